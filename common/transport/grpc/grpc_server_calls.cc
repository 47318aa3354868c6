#include "common/transport/grpc/grpc_server_calls.h"

#include <fmt/format.h>

#include <new>
#include <utility>

#include "common/base/await_memory.h"
#include "common/transport/grpc/grpc_payload.h"
#include "common/transport/grpc/grpc_status.h"
#include "common/transport/unary_reply.h"

namespace kvstore {
namespace {

absl::Status ShutDownStatus() { return absl::UnavailableError("the listener shut down"); }

}  // namespace

// ---- streams

void GrpcServerStream::Arm(const std::shared_ptr<GrpcServerState>& server, size_t method) {
  auto* loop = static_cast<GrpcLoop*>(server->options().methods[method].loop);
  auto stream = std::make_shared<GrpcServerStream>(server, method, loop);
  stream->self_ = stream;
  stream->rpc_->context.AsyncNotifyWhenDone(&stream->done_tag_);
  try {
    server->service()->RequestStream(method, &stream->rpc_->context, &stream->rpc_->call, loop,
                                     &stream->accept_tag_);
  } catch (const std::bad_alloc&) {
    stream->self_.reset();
    throw;
  }
}

GrpcServerStream::GrpcServerStream(std::shared_ptr<GrpcServerState> server, size_t method,
                                   GrpcLoop* loop)
    : GrpcStream(loop, server->message_bytes_max()),
      server_(std::move(server)),
      method_(method),
      rpc_(std::make_unique<Rpc>(server_)) {}

void GrpcServerStream::OnAccepted(bool ok) {
  const std::shared_ptr<GrpcStream> self = std::move(self_);
  if (!ok) {  // the server shuts down: no call came, and no other tag will
    rpc_.reset();
    return;
  }
  // A method takes its next call only if one is armed, and this call comes once: so all three wait
  // for memory. That blocks this loop: no other stream of it is served until a few hundred bytes
  // are there.
  AwaitMemory([&] { server_->ArmStream(method_); });
  AwaitMemory([&] { loop()->Keep(self); });
  AwaitMemory([&] { server_->StateOf(loop())->streams.insert(this); });
  Open();
  if (server_->closing()) {
    ShutDown();
    return;
  }
  try {
    absl::StatusOr<Identity> caller =
        server_->Admit(rpc_->context, server_->options().methods[method_].method);
    if (!caller.ok()) {
      Fail(caller.status());
      return;
    }
    caller_ = *std::move(caller);
    server_->options().methods[method_].acceptor(std::make_unique<GrpcStreamHandle>(self));
  } catch (const std::bad_alloc&) {
    Break();
  }
}

void GrpcServerStream::ShutDown() { Fail(ShutDownStatus()); }

void GrpcServerStream::Fail(absl::Status status) {
  if (!winding_down()) end_status_ = std::move(status);
  WindDown();
}

void GrpcServerStream::StartRead(grpc::ByteBuffer* message, CompletionTag* tag) {
  rpc_->call.Read(message, tag);
}
void GrpcServerStream::StartWrite(const grpc::ByteBuffer& message, CompletionTag* tag) {
  rpc_->call.Write(message, tag);
}
void GrpcServerStream::StartEnd(CompletionTag* tag) {
  rpc_->call.Finish(ToGrpcStatus(end_status_), tag);
}

void GrpcServerStream::OnDone(bool) {
  done_ = true;
  cancelled_ = rpc_->context.IsCancelled();
  if (cancelled_) DropQueue();
  WindDown();
  FinishIfOver();
}

absl::Status GrpcServerStream::FinalStatus() {
  if (!end_status_.ok() || !cancelled_) return end_status_;
  return absl::UnavailableError(
      fmt::format("{}: the peer went away without closing the stream", peer()));
}

void GrpcServerStream::OnReleased() {
  server_->StateOf(loop())->streams.erase(this);
  peer_ = peer();
  rpc_.reset();
}

// ---- unary calls

void GrpcServerUnary::Arm(const std::shared_ptr<GrpcServerState>& server, size_t method) {
  auto* loop = static_cast<GrpcLoop*>(server->options().unary_methods[method].loop);
  auto call = std::make_shared<GrpcServerUnary>(server, method, loop);
  call->self_ = call;
  call->rpc_->context.AsyncNotifyWhenDone(&call->done_tag_);
  try {
    server->service()->RequestUnary(server->options().methods.size() + method, &call->rpc_->context,
                                    &call->request_, &call->rpc_->call, loop, &call->accept_tag_);
  } catch (const std::bad_alloc&) {
    call->self_.reset();
    throw;
  }
}

GrpcServerUnary::GrpcServerUnary(std::shared_ptr<GrpcServerState> server, size_t method,
                                 GrpcLoop* loop)
    : server_(std::move(server)),
      method_(method),
      loop_(loop),
      rpc_(std::make_unique<Rpc>(server_)) {}

void GrpcServerUnary::OnAccepted(bool ok) {
  const std::shared_ptr<GrpcServerUnary> self = std::move(self_);
  if (!ok) {
    rpc_.reset();
    return;
  }
  // As for a stream, and at the same price.
  AwaitMemory([&] { server_->ArmUnary(method_); });
  AwaitMemory([&] { loop_->Keep(self); });
  AwaitMemory([&] { server_->StateOf(loop_)->unary_calls.insert(this); });
  if (server_->closing()) {
    ShutDown();
    return;
  }
  try {
    const UnaryMethod& method = server_->options().unary_methods[method_];
    if (const auto caller = server_->Admit(rpc_->context, method.method); !caller.ok()) {
      Finish(caller.status());
      return;
    }
    // The answer may come when the call is over, or even its loop.
    UnaryReply reply = MakeUnaryReply(
        [weak = weak_from_this(), tasks = loop_->tasks()](absl::StatusOr<std::string> result) {
          tasks->Post([weak, result = std::move(result)]() mutable {
            if (const auto call = weak.lock(); call != nullptr) call->Finish(std::move(result));
          });
        });
    method.handler(TakePayload(&request_), std::move(reply));
  } catch (const std::bad_alloc&) {
    Abort();
  }
}

void GrpcServerUnary::ShutDown() { Finish(ShutDownStatus()); }

void GrpcServerUnary::Finish(absl::StatusOr<std::string> result) {
  if (done_ || finishing_) return;
  finishing_ = true;
  if (result.ok()) {
    rpc_->call.Finish(ToByteBuffer(Payload::CopyOf(*result)), grpc::Status::OK, &finish_tag_);
  } else {
    rpc_->call.FinishWithError(ToGrpcStatus(result.status()), &finish_tag_);
  }
}

void GrpcServerUnary::OnFinished(bool) {
  finishing_ = false;
  ReleaseIfOver();
}

void GrpcServerUnary::OnDone(bool) {
  done_ = true;
  ReleaseIfOver();
}

void GrpcServerUnary::ReleaseIfOver() {
  if (!done_ || finishing_) return;
  server_->StateOf(loop_)->unary_calls.erase(this);
  rpc_.reset();
  loop_->Release(this);
}

}  // namespace kvstore
