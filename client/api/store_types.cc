#include "client/api/store_types.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "common/model/store_mode.h"

namespace kvstore {
namespace {

struct KnownType {
  std::string_view name;
  StoreFamily family;
  SumsOf sums = SumsOf::kCpu;
};

constexpr KnownType kKnown[] = {
    {"local", StoreFamily::kLocal},
    {"local_update_cpu", StoreFamily::kLocal},
    {"local_allreduce_cpu", StoreFamily::kLocal},
    {"device", StoreFamily::kLocal, SumsOf::kDevices},
    {"local_allreduce_device", StoreFamily::kLocal, SumsOf::kDevices},
    {"nccl", StoreFamily::kLocal, SumsOf::kNccl},
    {"dist", StoreFamily::kDist},
    {"dist_sync", StoreFamily::kDist},
    {"dist_device_sync", StoreFamily::kDist},
    {"dist_sync_device", StoreFamily::kDist},
    {"p3", StoreFamily::kDist},
    {"dist_async", StoreFamily::kDist},
    {"dist_device_async", StoreFamily::kDist},
    {"dist_async_device", StoreFamily::kDist},
};

std::string KnownNames() {
  std::string names;
  for (const KnownType& type : kKnown) {
    if (!names.empty()) names += ", ";
    names += type.name;
  }
  return names + ", dist_ssp:<s>";
}

}  // namespace

absl::StatusOr<StoreType> ParseStoreType(const std::string& type) {
  StoreType parsed;
  parsed.name = type;
  for (char& c : parsed.name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  for (const KnownType& known : kKnown) {
    if (known.name != parsed.name) continue;
    parsed.family = known.family;
    parsed.sums = known.sums;
    return parsed;
  }
  if (absl::Status bound = CheckStaleness(parsed.name); !bound.ok()) return bound;
  if (StalenessBoundOf(parsed.name).has_value()) {
    parsed.family = StoreFamily::kDist;
    return parsed;
  }
  return absl::InvalidArgumentError(
      fmt::format("type of store: {} expected, got '{}'", KnownNames(), parsed.name.substr(0, 64)));
}

}  // namespace kvstore
