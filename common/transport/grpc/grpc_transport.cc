#include "common/transport/grpc/grpc_transport.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <chrono>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/transport/check_methods.h"
#include "common/transport/dead_stream.h"
#include "common/transport/grpc/grpc_client_stream.h"
#include "common/transport/grpc/grpc_credentials.h"
#include "common/transport/grpc/grpc_loop.h"
#include "common/transport/grpc/grpc_options.h"
#include "common/transport/grpc/grpc_payload.h"
#include "common/transport/grpc/grpc_server.h"
#include "common/transport/grpc/grpc_status.h"
#include "common/transport/grpc/probe_address.h"
#include "common/transport/host_port.h"

namespace kvstore {
namespace {

// IP addresses skip the resolver. Brackets are not allowed in a URI's path.
std::string TargetOf(const HostPort& address) {
  if (address.host.find(':') != std::string::npos) {
    return fmt::format("ipv6:%5B{}%5D:{}", address.host, address.port);
  }
  const bool name = address.host.find_first_not_of("0123456789.") != std::string::npos;
  return fmt::format("{}{}:{}", name ? "dns:///" : "ipv4:", address.host, address.port);
}

}  // namespace

class GrpcTransport::Impl {
 public:
  explicit Impl(GrpcTransportOptions options) : options_(std::move(options)) {
    ApplyServerOptions(options_, &builder_);
  }

  std::shared_ptr<grpc::Channel> MakeChannel(const HostPort& address) const {
    return grpc::CreateCustomChannel(TargetOf(address), ClientCredentials(options_.tls.get()),
                                     ClientArguments(options_));
  }

  const GrpcTransportOptions options_;
  // gRPC wants a server's completion queues before the server: the builder waits for Listen.
  grpc::ServerBuilder builder_;
  std::atomic<bool> listened_{false};
};

GrpcTransport::GrpcTransport(GrpcTransportOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
GrpcTransport::~GrpcTransport() = default;

std::unique_ptr<EventLoop> GrpcTransport::MakeLoop(const std::string& name) {
  return std::make_unique<GrpcLoop>(std::make_unique<grpc::CompletionQueue>(), nullptr, name);
}

std::unique_ptr<EventLoop> GrpcTransport::MakeServerLoop(const std::string& name) {
  KVS_CHECK(!impl_->listened_);
  std::unique_ptr<grpc::ServerCompletionQueue> queue = impl_->builder_.AddCompletionQueue();
  grpc::ServerCompletionQueue* const raw = queue.get();
  return std::make_unique<GrpcLoop>(std::move(queue), raw, name);
}

absl::StatusOr<std::unique_ptr<Listener>> GrpcTransport::Listen(const std::string& address,
                                                                ListenOptions options) {
  KVS_ASSIGN_OR_RETURN(const HostPort wanted, ParseHostPort(address));
  KVS_RETURN_IF_ERROR(CheckMethods<GrpcLoop>(options));
  KVS_RETURN_IF_ERROR(ProbeAddress(wanted));
  KVS_CHECK(!impl_->listened_.exchange(true));

  std::unique_ptr<ServerCredentials> secured;
  if (impl_->options_.tls != nullptr) {
    KVS_ASSIGN_OR_RETURN(secured, ServerCredentials::Make(impl_->options_.tls));
  }
  int port = 0;
  impl_->builder_.AddListeningPort(
      HostPortString(wanted),
      secured == nullptr ? grpc::InsecureServerCredentials() : secured->get(), &port);
  auto state =
      std::make_shared<GrpcServerState>(std::move(options), impl_->options_, std::move(secured));
  impl_->builder_.RegisterService(state->service());
  std::unique_ptr<grpc::Server> server = impl_->builder_.BuildAndStart();
  if (server == nullptr) {
    return absl::UnavailableError(fmt::format("address {}: gRPC cannot listen on it", address));
  }
  state->ArmAll();
  return std::make_unique<GrpcListener>(std::move(server), std::move(state), port);
}

std::unique_ptr<MessageStream> GrpcTransport::Dial(EventLoop& loop, const std::string& address,
                                                   const std::string& method, StreamEvents events) {
  KVS_CHECK(loop.InLoop());
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  if (!parsed.ok()) {
    return std::make_unique<DeadStream>(loop, std::move(events), parsed.status());
  }
  return GrpcClientStream::Dial(static_cast<GrpcLoop*>(&loop), impl_->MakeChannel(*parsed), address,
                                method, impl_->options_, std::move(events));
}

absl::StatusOr<std::string> GrpcTransport::CallUnary(const std::string& address,
                                                     const std::string& method,
                                                     const std::string& request,
                                                     int64_t deadline_ms) {
  KVS_ASSIGN_OR_RETURN(const HostPort parsed, ParseHostPort(address));
  const std::shared_ptr<grpc::Channel> channel = impl_->MakeChannel(parsed);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(deadline_ms));
  const grpc::ByteBuffer sent = ToByteBuffer(Payload::CopyOf(request));
  grpc::ByteBuffer received;
  grpc::Status status;
  grpc::GenericStub stub(channel);
  const auto call = stub.PrepareUnaryCall(&context, method, sent, &queue);
  call->StartCall();
  call->Finish(&received, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  if (status.ok()) return TakePayload(&received).ToString();
  return DescribeCallError(FromGrpcStatus(status), address, method, impl_->options_.tls != nullptr);
}

}  // namespace kvstore
