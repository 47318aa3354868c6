#include "cli/read_key.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "cli/ask.h"
#include "cli/ask_servers.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

constexpr size_t kNearestMax = 3;

std::string NameOf(const v1::KeyStats& key) {
  return key.name().empty() ? std::to_string(static_cast<int64_t>(key.key())) : key.name();
}

// How many letters must be changed, added or taken away (Levenshtein).
size_t Distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);  // of the row before, one to the left
    for (size_t k = 1; k <= b.size(); ++k) {
      const size_t changed = diagonal + (a[i - 1] == b[k - 1] ? 0 : 1);
      diagonal = row[k];
      row[k] = std::min({changed, row[k] + 1, row[k - 1] + 1});
    }
  }
  return row.back();
}

// The keys whose names begin so, as all servers have them.
absl::StatusOr<std::vector<v1::KeyStats>> KeysThatBegin(Transport& transport, const ClusterAsk& ask,
                                                        const std::string& prefix) {
  v1::KeyStatsRequest request;
  request.set_prefix(prefix);
  request.set_without_figures(true);
  KVS_ASSIGN_OR_RETURN(const auto answers,
                       (AskServers<v1::ServerKeyStats>(
                           transport, ask.scheduler, ask.timeout_ms,
                           [&](Transport& to, const std::string& address, int64_t timeout_ms) {
                             return AskKeyStats(to, address, request, timeout_ms);
                           })));
  std::map<std::pair<uint64_t, std::string>, v1::KeyStats> keys;
  for (const auto& [rank, answer] : answers) {
    if (!answer.ok()) {
      return absl::Status(
          answer.status().code(),
          fmt::format("server {}: {}", rank, std::string(answer.status().message())));
    }
    for (const v1::KeyStats& key : answer->keys()) {
      const auto [at, fresh] = keys.try_emplace({key.key(), key.name()}, key);
      if (fresh) continue;
      at->second.set_parts(at->second.parts() + key.parts());
      at->second.set_version(std::min(at->second.version(), key.version()));
    }
  }
  std::vector<v1::KeyStats> all;
  for (auto& [name, key] : keys) all.push_back(std::move(key));
  return all;
}

}  // namespace

std::vector<std::string> NearestNames(const std::string& name,
                                      const std::vector<std::string>& names) {
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& other : names) {
    const size_t distance = Distance(name, other);
    const bool begins = !name.empty() && other.compare(0, name.size(), name) == 0;
    if (begins || distance <= std::max<size_t>(1, name.size() / 3)) {
      near.emplace_back(distance, other);
    }
  }
  std::sort(near.begin(), near.end());
  std::vector<std::string> nearest;
  for (size_t i = 0; i < std::min(near.size(), kNearestMax); ++i) {
    nearest.push_back(std::move(near[i].second));
  }
  return nearest;
}

absl::StatusOr<v1::KeyStats> FindKey(Transport& transport, const ClusterAsk& ask,
                                     const std::string& name) {
  KVS_ASSIGN_OR_RETURN(const std::vector<v1::KeyStats> begin, KeysThatBegin(transport, ask, name));
  std::vector<v1::KeyStats> found;
  for (const v1::KeyStats& key : begin) {
    if (NameOf(key) == name) found.push_back(key);
  }
  if (found.size() == 1) return found[0];
  if (found.size() > 1) {
    return absl::FailedPreconditionError(fmt::format(
        "one key {} expected, there is a string key and an int key of that name", name));
  }
  KVS_ASSIGN_OR_RETURN(const std::vector<v1::KeyStats> all, KeysThatBegin(transport, ask, ""));
  std::vector<std::string> names;
  for (const v1::KeyStats& key : all) names.push_back(NameOf(key));
  const std::vector<std::string> nearest = NearestNames(name, names);
  return absl::NotFoundError(
      fmt::format("key {}: there is none{}", name,
                  nearest.empty() ? fmt::format(" (of {} keys)", all.size())
                                  : fmt::format("; the nearest: {}", fmt::join(nearest, ", "))));
}

absl::Status ReadKey(Transport& transport, const ClusterAsk& ask, v1::ReadKeyRequest range,
                     std::set<uint64_t>* versions, const TakePiece& take) {
  KVS_ASSIGN_OR_RETURN(const ServerAddresses servers,
                       FindServers(transport, ask.scheduler, ask.timeout_ms));
  for (const auto& [rank, address] : servers) {
    range.set_shard(0);
    range.set_part(range.part_begin());
    range.set_row(range.row_begin());
    for (bool last = false; !last;) {
      const absl::StatusOr<v1::KeyPiece> piece =
          AskForKeyPiece(transport, address, range, ask.timeout_ms);
      if (!piece.ok()) {
        return absl::Status(
            piece.status().code(),
            fmt::format("server {}: {}", rank, std::string(piece.status().message())));
      }
      if (piece->found()) {
        versions->insert(piece->version());
        KVS_RETURN_IF_ERROR(take(*piece));
      }
      range.set_shard(piece->next_shard());
      range.set_part(piece->next_part());
      range.set_row(piece->next_row());
      last = piece->last();
    }
  }
  return absl::OkStatus();
}

std::string VersionsText(const std::set<uint64_t>& versions) {
  if (versions.empty()) return "no version";
  const std::vector<uint64_t> all(versions.begin(), versions.end());
  if (all.size() == 1) return fmt::format("version {}", all[0]);
  return fmt::format("parts of versions {} and {}", fmt::join(all.begin(), all.end() - 1, ", "),
                     all.back());
}

}  // namespace kvstore
