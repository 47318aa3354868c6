// The calls of a listener: the accepting end of a stream, and a unary call.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <string>
#include <utility>

#include "common/transport/grpc/grpc_server.h"
#include "common/transport/grpc/grpc_stream.h"

namespace kvstore {

// Counts one call of a listener while it lives. What gRPC has of the call must be gone before:
// whoever waits for the last call (AwaitCallsGone) destroys gRPC's server next.
class CountedCall {
 public:
  explicit CountedCall(std::shared_ptr<GrpcServerState> server) : server_(std::move(server)) {
    server_->CallBegins();
  }
  ~CountedCall() { server_->CallGone(); }
  CountedCall(const CountedCall&) = delete;
  CountedCall& operator=(const CountedCall&) = delete;

 private:
  const std::shared_ptr<GrpcServerState> server_;
};

// Life: armed (waits for a call, kept alive by `self_`) → accepted (kept by its loop) → over.
class GrpcServerStream final : public GrpcStream {
 public:
  // After std::bad_alloc nothing is armed.
  static void Arm(const std::shared_ptr<GrpcServerState>& server, size_t method);

  GrpcServerStream(std::shared_ptr<GrpcServerState> server, size_t method, GrpcLoop* loop);
  std::string peer() const override { return rpc_ != nullptr ? rpc_->context.peer() : peer_; }
  Identity caller() const override { return caller_; }
  // The listener shuts down: ends the stream in order, with UNAVAILABLE.
  void ShutDown();

 private:
  void StartRead(grpc::ByteBuffer* message, CompletionTag* tag) override;
  void StartWrite(const grpc::ByteBuffer& message, CompletionTag* tag) override;
  void StartEnd(CompletionTag* tag) override;
  void Cancel() override { rpc_->context.TryCancel(); }
  void Fail(absl::Status status) override;
  void OnReadsOver() override { WindDown(); }
  bool IsOver() const override { return done_ && ended(); }
  absl::Status FinalStatus() override;
  void OnReleased() override;

  void OnAccepted(bool ok);
  void OnDone(bool ok);

  struct Rpc {
    explicit Rpc(std::shared_ptr<GrpcServerState> server) : counted(std::move(server)) {}
    const CountedCall counted;  // first, so that it goes last
    grpc::ServerContext context;
    grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> call{&context};
  };

  const std::shared_ptr<GrpcServerState> server_;
  const size_t method_;
  std::shared_ptr<GrpcStream> self_;
  std::unique_ptr<Rpc> rpc_;
  Identity caller_;
  std::string peer_;         // when rpc_ is gone
  absl::Status end_status_;  // what Finish tells the peer
  MethodTag<GrpcServerStream> accept_tag_{this, &GrpcServerStream::OnAccepted};
  MethodTag<GrpcServerStream> done_tag_{this, &GrpcServerStream::OnDone};
  bool done_ = false;  // gRPC is through with the call
  bool cancelled_ = false;
};

class GrpcServerUnary final : public GrpcCall,
                              public std::enable_shared_from_this<GrpcServerUnary> {
 public:
  // After std::bad_alloc nothing is armed.
  static void Arm(const std::shared_ptr<GrpcServerState>& server, size_t method);

  GrpcServerUnary(std::shared_ptr<GrpcServerState> server, size_t method, GrpcLoop* loop);
  void Abort() override { rpc_->context.TryCancel(); }
  // The listener shuts down: nobody waits for the handler any more.
  void ShutDown();

 private:
  void OnAccepted(bool ok);
  void OnDone(bool ok);
  void OnFinished(bool ok);
  void Finish(absl::StatusOr<std::string> result);
  void ReleaseIfOver();

  struct Rpc {
    explicit Rpc(std::shared_ptr<GrpcServerState> server) : counted(std::move(server)) {}
    const CountedCall counted;  // first, so that it goes last
    grpc::ServerContext context;
    grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> call{&context};
  };

  const std::shared_ptr<GrpcServerState> server_;
  const size_t method_;
  GrpcLoop* const loop_;
  std::shared_ptr<GrpcServerUnary> self_;
  std::unique_ptr<Rpc> rpc_;
  grpc::ByteBuffer request_;
  MethodTag<GrpcServerUnary> accept_tag_{this, &GrpcServerUnary::OnAccepted};
  MethodTag<GrpcServerUnary> done_tag_{this, &GrpcServerUnary::OnDone};
  MethodTag<GrpcServerUnary> finish_tag_{this, &GrpcServerUnary::OnFinished};
  bool done_ = false;
  bool finishing_ = false;
};

}  // namespace kvstore
