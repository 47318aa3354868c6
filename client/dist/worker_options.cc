#include "client/dist/worker_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <random>

namespace kvstore {

std::string NodeLabel(const Environment& environment) {
  std::string host = environment.node_host;
  if (host.empty()) {
    char name[256] = "localhost";
    if (gethostname(name, sizeof name - 1) != 0) name[0] = '\0';
    host = name;
  }
  return fmt::format("{}:{}", host, getpid());
}

int64_t ScaledTime(const Environment& environment, int64_t ms) {
  return static_cast<int64_t>(static_cast<double>(ms) * environment.time_scale);
}

MembershipOptions MembershipOptionsOf(const Environment& environment,
                                      const std::string& store_type) {
  MembershipOptions options;
  std::random_device random;
  v1::Register& registration = options.registration;
  registration.set_role(environment.reads() ? v1::ROLE_READER : v1::ROLE_WORKER);
  registration.set_address(NodeLabel(environment));
  registration.set_nonce((uint64_t{random()} << 32) | random() | 1);  // never 0
  registration.set_store_type(store_type);
  registration.set_protocol(kProtocolVersion);
  if (environment.rank && !environment.reads())
    registration.set_wanted_rank_plus_one(*environment.rank + 1);
  for (int64_t* ms :
       {&options.redial_min_ms, &options.redial_max_ms, &options.register_timeout_ms}) {
    *ms = ScaledTime(environment, *ms);
  }
  return options;
}

ServerReachOptions ReachOptionsOf(const Environment& environment) {
  ServerReachOptions options;
  options.redial_ms = ScaledTime(environment, options.redial_ms);
  options.patience_ms = ScaledTime(environment, options.patience_ms);
  return options;
}

ClientCoreOptions ClientOptionsOf(const Environment& environment) {
  ClientCoreOptions options;
  for (int64_t* ms : {&options.try_ms, &options.redial_min_ms, &options.redial_max_ms}) {
    *ms = ScaledTime(environment, *ms);
  }
  return options;
}

}  // namespace kvstore
