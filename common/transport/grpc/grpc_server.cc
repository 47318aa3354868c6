#include "common/transport/grpc/grpc_server.h"

#include <grpcpp/impl/rpc_service_method.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/transport/grpc/grpc_server_calls.h"

namespace kvstore {
namespace {

constexpr int64_t kRefusalLogMs = 1000;

}  // namespace

RawService::RawService(const ListenOptions& options) {
  using grpc::internal::RpcMethod;
  using grpc::internal::RpcServiceMethod;
  names_.reserve(options.methods.size() + options.unary_methods.size());  // addresses stay
  const auto add = [this](const std::string& name, RpcMethod::RpcType type) {
    names_.push_back(name);
    // The service takes ownership.
    AddMethod(std::make_unique<RpcServiceMethod>(names_.back().c_str(), type, nullptr).release());
    MarkMethodAsync(static_cast<int>(names_.size()) - 1);
  };
  for (const ServedMethod& method : options.methods) add(method.method, RpcMethod::BIDI_STREAMING);
  for (const UnaryMethod& method : options.unary_methods) add(method.method, RpcMethod::NORMAL_RPC);
}

void RawService::RequestStream(
    size_t index, grpc::ServerContext* context,
    grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>* stream, GrpcLoop* loop,
    CompletionTag* tag) {
  RequestAsyncBidiStreaming(static_cast<int>(index), context, stream, loop->server_queue(),
                            loop->server_queue(), tag);
}

void RawService::RequestUnary(size_t index, grpc::ServerContext* context, grpc::ByteBuffer* request,
                              grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>* writer,
                              GrpcLoop* loop, CompletionTag* tag) {
  RequestAsyncUnary(static_cast<int>(index), context, request, writer, loop->server_queue(),
                    loop->server_queue(), tag);
}

GrpcServerState::GrpcServerState(ListenOptions options, const GrpcTransportOptions& transport,
                                 std::unique_ptr<ServerCredentials> credentials)
    : options_(std::move(options)),
      message_bytes_max_(transport.message_bytes_max),
      check_permission_(transport.check_permission),
      credentials_(std::move(credentials)),
      service_(options_) {
  const auto add = [this](EventLoop* loop) {
    if (StateOf(loop) != nullptr) return;
    loops_.push_back(std::make_unique<LoopState>());
    loops_.back()->loop = static_cast<GrpcLoop*>(loop);
  };
  for (const ServedMethod& method : options_.methods) add(method.loop);
  for (const UnaryMethod& method : options_.unary_methods) add(method.loop);
}

GrpcServerState::LoopState* GrpcServerState::StateOf(EventLoop* loop) {
  const auto found = std::find_if(loops_.begin(), loops_.end(),
                                  [loop](const auto& state) { return state->loop == loop; });
  return found == loops_.end() ? nullptr : found->get();
}

void GrpcServerState::ArmAll() {
  for (size_t i = 0; i < options_.methods.size(); ++i) ArmStream(i);
  for (size_t i = 0; i < options_.unary_methods.size(); ++i) ArmUnary(i);
}

void GrpcServerState::ArmStream(size_t index) { GrpcServerStream::Arm(shared_from_this(), index); }

void GrpcServerState::ArmUnary(size_t index) { GrpcServerUnary::Arm(shared_from_this(), index); }

absl::StatusOr<Identity> GrpcServerState::Admit(const grpc::ServerContext& context,
                                                const std::string& method) {
  if (credentials_ == nullptr) return Identity{"", kAnyPeer, std::nullopt, ""};
  absl::StatusOr<Identity> caller = CallerOf(*context.auth_context(), method);
  absl::Status status = caller.status();
  if (status.ok() && check_permission_) status = check_permission_(method, *caller);
  if (status.ok()) return caller;
  uint64_t not_logged = 0;
  {
    MutexLock lock(mutex_);
    ++refused_;
    if (SteadyNowMs() - refusal_logged_ms_ < kRefusalLogMs) return status;
    refusal_logged_ms_ = SteadyNowMs();
    not_logged = refused_ - refused_logged_ - 1;
    refused_logged_ = refused_;
  }
  spdlog::warn("refused {}: {} ({} more since the line before)", context.peer(),
               std::string(status.message()), not_logged);
  return status;
}

void GrpcServerState::BeginShutdown() {
  closing_.store(true, std::memory_order_release);
  for (const auto& state : loops_) {
    CallBegins();  // the task counts as a call, so that AwaitCallsGone waits for it
    state->loop->Post([self = shared_from_this(), state = state.get()] {
      // Copies: ending one may take it out of the set.
      const auto streams = state->streams;
      for (GrpcServerStream* stream : streams) stream->ShutDown();
      const auto unary_calls = state->unary_calls;
      for (GrpcServerUnary* call : unary_calls) call->ShutDown();
      self->CallGone();
    });
  }
}

void GrpcServerState::AwaitCallsGone() {
  MutexLock lock(mutex_);
  while (calls_ != 0) calls_gone_.Wait(mutex_);
}

void GrpcServerState::CallBegins() {
  MutexLock lock(mutex_);
  ++calls_;
}

void GrpcServerState::CallGone() {
  MutexLock lock(mutex_);
  if (--calls_ == 0) calls_gone_.NotifyAll();
}

void GrpcListener::Shutdown() {
  if (server_ == nullptr) return;
  for (const ServedMethod& method : state_->options().methods) KVS_CHECK(!method.loop->InLoop());
  state_->BeginShutdown();
  // Waits for the calls to end by themselves, and cancels those that do not.
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(kCloseLingerMs));
  state_->AwaitCallsGone();
  server_.reset();
}

}  // namespace kvstore
