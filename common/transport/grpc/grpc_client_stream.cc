#include "common/transport/grpc/grpc_client_stream.h"

#include <utility>

#include "common/transport/grpc/grpc_status.h"

namespace kvstore {

std::unique_ptr<MessageStream> GrpcClientStream::Dial(
    GrpcLoop* loop, std::shared_ptr<grpc::Channel> channel, const std::string& address,
    const std::string& method, const GrpcTransportOptions& options, StreamEvents events) {
  auto stream =
      std::make_shared<GrpcClientStream>(loop, std::move(channel), address, method, options);
  stream->SetEvents(std::move(events));
  auto handle = std::make_unique<GrpcStreamHandle>(stream);
  Rpc& rpc = *stream->rpc_;
  rpc.call = grpc::GenericStub(rpc.channel).PrepareCall(&rpc.context, method, loop->queue());
  // All that may throw comes before gRPC has the tag, which is a part of the stream.
  loop->Keep(stream);
  rpc.call->StartCall(&stream->start_tag_);
  return handle;
}

GrpcClientStream::GrpcClientStream(GrpcLoop* loop, std::shared_ptr<grpc::Channel> channel,
                                   std::string address, std::string method,
                                   const GrpcTransportOptions& options)
    : GrpcStream(loop, options.message_bytes_max),
      with_tls_(options.tls != nullptr),
      address_(std::move(address)),
      method_(std::move(method)) {
  rpc_->channel = std::move(channel);
  rpc_->context.set_wait_for_ready(false);  // nobody there: say so at once
}

std::string GrpcClientStream::peer() const {
  const std::string peer = rpc_ != nullptr ? rpc_->context.peer() : peer_;
  return peer.empty() ? address_ : peer;
}

void GrpcClientStream::StartRead(grpc::ByteBuffer* message, CompletionTag* tag) {
  rpc_->call->Read(message, tag);
}
void GrpcClientStream::StartWrite(const grpc::ByteBuffer& message, CompletionTag* tag) {
  rpc_->call->Write(message, tag);
}
void GrpcClientStream::StartEnd(CompletionTag* tag) { rpc_->call->WritesDone(tag); }

void GrpcClientStream::OnStarted(bool ok) {
  if (ok) {
    // The call's headers went out, so the connection stands.
    Open();
    TellOpen();
  } else {
    OnReadsOver();
  }
}

void GrpcClientStream::Fail(absl::Status status) {
  failure_ = std::move(status);
  DropQueue();
  Cancel();
}

void GrpcClientStream::OnReadsOver() { rpc_->call->Finish(&status_, &finish_tag_); }

void GrpcClientStream::OnFinished(bool) {
  finished_ = true;
  FinishIfOver();
}

void GrpcClientStream::OnReleased() {
  peer_ = peer();
  rpc_.reset();
}

absl::Status GrpcClientStream::FinalStatus() {
  if (!failure_.ok()) return failure_;
  return DescribeCallError(FromGrpcStatus(status_), address_, method_, with_tls_);
}

}  // namespace kvstore
