// The listening end of GrpcTransport: a service of raw bytes whose methods are each bound to the
// completion queue of one loop, so that a shard's frames are read by the thread that owns the
// shard. (AsyncGenericService would hand a call to any queue.)
#pragma once

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/transport/grpc/grpc_credentials.h"
#include "common/transport/grpc/grpc_loop.h"
#include "common/transport/grpc/grpc_stream.h"
#include "common/transport/grpc/grpc_transport.h"
#include "common/transport/transport.h"

namespace kvstore {

// gRPC keeps the names' addresses: the service outlives the server.
class RawService final : public grpc::Service {
 public:
  // The stream methods come first, then the unary ones.
  explicit RawService(const ListenOptions& options);

  void RequestStream(size_t index, grpc::ServerContext* context,
                     grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>* stream,
                     GrpcLoop* loop, CompletionTag* tag);
  void RequestUnary(size_t index, grpc::ServerContext* context, grpc::ByteBuffer* request,
                    grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>* writer, GrpcLoop* loop,
                    CompletionTag* tag);

 private:
  std::vector<std::string> names_;
};

class GrpcServerStream;
class GrpcServerUnary;

// What the calls of one listener share. Its calls keep it alive.
class GrpcServerState : public std::enable_shared_from_this<GrpcServerState> {
 public:
  // The methods of one loop; touched on its thread only.
  struct LoopState {
    GrpcLoop* loop = nullptr;
    std::unordered_set<GrpcServerStream*> streams;
    std::unordered_set<GrpcServerUnary*> unary_calls;
  };

  // `credentials`: null without encryption.
  GrpcServerState(ListenOptions options, const GrpcTransportOptions& transport,
                  std::unique_ptr<ServerCredentials> credentials);

  RawService* service() { return &service_; }
  const ListenOptions& options() const { return options_; }
  size_t message_bytes_max() const { return message_bytes_max_; }
  LoopState* StateOf(EventLoop* loop);

  // Begins to take calls of all methods.
  void ArmAll();
  // Takes the next call of a method. On the loop's thread.
  void ArmStream(size_t index);
  void ArmUnary(size_t index);

  // Who calls, if they may call `method`; without encryption everybody may. Errors:
  // UNAUTHENTICATED, PERMISSION_DENIED. One a second is logged, with the number of those that were
  // not.
  absl::StatusOr<Identity> Admit(const grpc::ServerContext& context, const std::string& method)
      KVS_EXCLUDES(mutex_);

  // Begins the end: from now on new calls are refused, and the open streams wind down.
  void BeginShutdown();
  // Waits until no call is left, and no wait for one.
  void AwaitCallsGone() KVS_EXCLUDES(mutex_);

  bool closing() const { return closing_.load(std::memory_order_acquire); }
  void CallBegins() KVS_EXCLUDES(mutex_);
  void CallGone() KVS_EXCLUDES(mutex_);

 private:
  static constexpr int64_t kNeverMs = -1'000'000;
  const ListenOptions options_;
  const size_t message_bytes_max_;
  const decltype(GrpcTransportOptions::check_permission) check_permission_;
  const std::unique_ptr<ServerCredentials> credentials_;
  RawService service_;
  std::vector<std::unique_ptr<LoopState>> loops_;
  // Release by BeginShutdown, acquire by loops that accept.
  std::atomic<bool> closing_{false};
  Mutex mutex_;
  CondVar calls_gone_;
  size_t calls_ KVS_GUARDED_BY(mutex_) = 0;
  uint64_t refused_ KVS_GUARDED_BY(mutex_) = 0;  // calls, and how many of them were logged
  uint64_t refused_logged_ KVS_GUARDED_BY(mutex_) = 0;
  int64_t refusal_logged_ms_ KVS_GUARDED_BY(mutex_) = kNeverMs;
};

class GrpcListener final : public Listener {
 public:
  GrpcListener(std::unique_ptr<grpc::Server> server, std::shared_ptr<GrpcServerState> state,
               int port)
      : server_(std::move(server)), state_(std::move(state)), port_(port) {}
  ~GrpcListener() override { Shutdown(); }
  GrpcListener(const GrpcListener&) = delete;
  GrpcListener& operator=(const GrpcListener&) = delete;

  int port() const override { return port_; }
  void Shutdown() override;

 private:
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<GrpcServerState> state_;
  const int port_;
};

}  // namespace kvstore
