#include "common/transport/factory/make_transport.h"

#include "common/transport/grpc/grpc_transport.h"

namespace kvstore {

std::unique_ptr<Transport> MakeTransport(const TransportOptions& options) {
  GrpcTransportOptions grpc;
  grpc.server_buffer_bytes_max = options.server_buffer_bytes_max;
  return std::make_unique<GrpcTransport>(grpc);
}

}  // namespace kvstore
