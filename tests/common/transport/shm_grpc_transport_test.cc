// Streams with lanes over gRPC: the conformance suite, with what MakeTransport puts together.
#include "common/transport/grpc/grpc_transport.h"
#include "common/transport/shm/envelope.h"
#include "common/transport/shm/shm_transport.h"
#include "tests/common/transport/transport_conformance.h"

namespace kvstore::testing {

std::unique_ptr<Transport> MakeParticipant() {
  GrpcTransportOptions grpc;
  grpc.message_bytes_max += kEnvelopeBytesMax;
  ShmTransportOptions shm;
  shm.carries_much = shm.is_here = [](const std::string&) { return true; };
  return std::make_unique<ShmTransport>(std::make_unique<GrpcTransport>(grpc), std::move(shm));
}

std::vector<std::string> HostsToListenOn() { return {"127.0.0.1", "[::1]", "localhost"}; }

}  // namespace kvstore::testing
