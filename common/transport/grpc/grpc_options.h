// The channel options of clients and servers, each with its reason: what makes gRPC fast, or what
// hostile or broken peers can do.
#pragma once

#include <grpcpp/server_builder.h>
#include <grpcpp/support/channel_arguments.h>

#include "common/transport/grpc/grpc_transport.h"

namespace kvstore {

grpc::ChannelArguments ClientArguments(const GrpcTransportOptions& options);
void ApplyServerOptions(const GrpcTransportOptions& options, grpc::ServerBuilder* builder);

}  // namespace kvstore
