#include "common/transport/factory/make_transport.h"

#include <utility>

#include "common/transport/grpc/grpc_credentials.h"
#include "common/transport/grpc/grpc_log.h"
#include "common/transport/grpc/grpc_transport.h"
#include "common/transport/host_port.h"
#include "common/transport/local_address.h"
#include "common/transport/methods.h"
#include "common/transport/permissions.h"
#include "common/transport/shm/envelope.h"
#include "common/transport/shm/shm_transport.h"

namespace kvstore {
namespace {

bool IsHere(const std::string& address) {
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  return parsed.ok() && IsThisHost(parsed->host);
}

}  // namespace

std::unique_ptr<Transport> MakeTransport(const TransportOptions& options) {
  GrpcTransportOptions grpc;
  grpc.server_buffer_bytes_max = options.server_buffer_bytes_max;
  grpc.message_bytes_max += kEnvelopeBytesMax;
  grpc.tls = options.tls;
  grpc.check_permission = CheckPermission;
  ShmTransportOptions shm;
  shm.carries_much = IsShardMethod;
  shm.is_here = IsHere;
  shm.enabled = options.shared_memory;
  return std::make_unique<ShmTransport>(std::make_unique<GrpcTransport>(std::move(grpc)),
                                        std::move(shm));
}

void TakeLogOfTransport() { LogOfGrpc(); }

absl::StatusOr<std::shared_ptr<TlsSource>> OpenTlsToListen(const std::string& folder) {
  if (!folder.empty()) AllowOnlyTls13();
  return TlsSource::Open(folder);
}

}  // namespace kvstore
