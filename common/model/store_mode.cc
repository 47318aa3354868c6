#include "common/model/store_mode.h"

#include <fmt/format.h>

#include <charconv>
#include <string>

namespace kvstore {

std::optional<uint64_t> StalenessBoundOf(std::string_view store_type) {
  if (store_type.substr(0, kBoundedStaleness.size()) != kBoundedStaleness) return std::nullopt;
  const std::string_view text = store_type.substr(kBoundedStaleness.size());
  uint64_t bound = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bound);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || bound > kStalenessMax || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  return bound;
}

absl::Status CheckStaleness(std::string_view store_type) {
  // "dist_ssp" without a number is meant for one, too.
  const std::string_view stem = kBoundedStaleness.substr(0, kBoundedStaleness.size() - 1);
  if (store_type.substr(0, stem.size()) != stem || StalenessBoundOf(store_type).has_value()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format(
      "type of store: {}<s> expected, with s, how many pushes a worker may be behind, from 0 to {} "
      "and without leading zeros, got '{}'",
      kBoundedStaleness, kStalenessMax, store_type.substr(0, 64)));
}

}  // namespace kvstore
