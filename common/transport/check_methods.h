// What every transport checks before it listens.
#pragma once

#include <fmt/format.h>

#include <set>
#include <string>

#include "absl/status/status.h"
#include "common/base/status_macros.h"
#include "common/transport/transport.h"

namespace kvstore {

// `Loop`: the transport's own class of loops, with serves(). Errors: INVALID_ARGUMENT for a method
// that is named twice, or whose loop was not made by MakeServerLoop.
template <typename Loop>
absl::Status CheckMethods(const ListenOptions& options) {
  std::set<std::string> names;
  const auto check = [&names](const std::string& name, EventLoop* loop) -> absl::Status {
    if (!names.insert(name).second) {
      return absl::InvalidArgumentError(fmt::format("method {} is served twice", name));
    }
    const auto* own = dynamic_cast<Loop*>(loop);
    if (own == nullptr || !own->serves()) {
      return absl::InvalidArgumentError(
          fmt::format("method {}: a loop made by MakeServerLoop expected, got another one", name));
    }
    return absl::OkStatus();
  };
  for (const ServedMethod& m : options.methods) KVS_RETURN_IF_ERROR(check(m.method, m.loop));
  for (const UnaryMethod& m : options.unary_methods) KVS_RETURN_IF_ERROR(check(m.method, m.loop));
  return absl::OkStatus();
}

}  // namespace kvstore
