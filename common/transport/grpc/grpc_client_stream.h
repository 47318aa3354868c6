// The dialling end of a stream. A stream has a channel, and so a connection, of its own: the
// connection is read by the thread that owns the stream, a broken connection is a broken stream,
// and a dial never waits for the backoff that an earlier one earned.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <string>

#include "common/transport/grpc/grpc_stream.h"
#include "common/transport/grpc/grpc_transport.h"

namespace kvstore {

class GrpcClientStream final : public GrpcStream {
 public:
  // Dials on `channel`. `address` is for messages; the channel knows it. After std::bad_alloc
  // nothing is left of the stream, and no event of it comes.
  static std::unique_ptr<MessageStream> Dial(GrpcLoop* loop, std::shared_ptr<grpc::Channel> channel,
                                             const std::string& address, const std::string& method,
                                             const GrpcTransportOptions& options,
                                             StreamEvents events);

  GrpcClientStream(GrpcLoop* loop, std::shared_ptr<grpc::Channel> channel, std::string address,
                   std::string method, const GrpcTransportOptions& options);
  std::string peer() const override;
  Identity caller() const override { return {}; }  // nobody calls the one who dials

 private:
  void StartRead(grpc::ByteBuffer* message, CompletionTag* tag) override;
  void StartWrite(const grpc::ByteBuffer& message, CompletionTag* tag) override;
  void StartEnd(CompletionTag* tag) override;
  void Cancel() override { rpc_->context.TryCancel(); }
  void Fail(absl::Status status) override;
  void OnReadsOver() override;
  bool IsOver() const override { return finished_; }
  absl::Status FinalStatus() override;
  void OnReleased() override;

  void OnStarted(bool ok);
  void OnFinished(bool ok);

  struct Rpc {
    std::shared_ptr<grpc::Channel> channel;
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call;
  };

  std::unique_ptr<Rpc> rpc_ = std::make_unique<Rpc>();
  std::string peer_;  // when rpc_ is gone
  const bool with_tls_;
  const std::string address_;
  const std::string method_;
  grpc::Status status_;   // of the call
  absl::Status failure_;  // ours; goes before
  MethodTag<GrpcClientStream> start_tag_{this, &GrpcClientStream::OnStarted};
  MethodTag<GrpcClientStream> finish_tag_{this, &GrpcClientStream::OnFinished};
  bool finished_ = false;
};

}  // namespace kvstore
