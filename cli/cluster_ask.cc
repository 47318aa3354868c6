#include "cli/cluster_ask.h"

#include <cstdlib>

#include "common/base/status_macros.h"
#include "common/tls/tls_source.h"
#include "common/transport/factory/make_transport.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Transport>> TransportFor(const ClusterAsk& ask) {
  // What gRPC would say on stderr is in the errors. One who sets the variable wants to hear it.
  ::setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  TransportOptions options;
  KVS_ASSIGN_OR_RETURN(options.tls, TlsSource::Open(ask.tls_dir));
  return MakeTransport(options);
}

}  // namespace kvstore
