// What a shard tells of its keys: to kvctl status, stats, keys, get, delete and reset.
#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/core/part_table.h"

namespace kvstore {
namespace {

// What an operator calls the key: its name, or of an int key its number.
std::string TextOf(const KeySpec& spec) {
  return spec.name.empty() ? std::to_string(static_cast<int64_t>(spec.key)) : spec.name;
}

}  // namespace

std::vector<PartTable::NamedParts> PartTable::PartsOf(const std::string& name, bool prefix) const {
  std::map<KeyId, NamedParts> found;
  for (const auto& [id, known] : keys_) {
    const std::string text = TextOf(known.spec);
    const bool meant = prefix ? text.compare(0, name.size(), name) == 0 : text == name;
    if (meant) found[id] = {id, known.spec.name, {}};
  }
  for (const auto& [id, record] : records_) {
    const auto at = found.find(id.key);
    if (at != found.end() && record->part != nullptr) at->second.parts.push_back(id);
  }
  std::vector<NamedParts> keys;
  for (auto& [id, key] : found) {
    if (!key.parts.empty()) keys.push_back(std::move(key));
  }
  std::sort(keys.begin(), keys.end(), [](const NamedParts& a, const NamedParts& b) {
    return std::tie(a.name, a.key) < std::tie(b.name, b.key);
  });
  return keys;
}

ReadPart PartTable::Read(const PartRange& range, PartIndex from, int64_t row,
                         size_t bytes_max) const {
  ReadPart read;
  PartIndex found = range.part_end;
  PartIndex after = range.part_end;  // the part behind the one that is found
  for (const auto& [id, record] : records_) {
    if (id.key != range.key || record->part == nullptr || id.part < from) continue;
    if (id.part < found) {
      after = found;
      found = id.part;
    } else if (id.part < after) {
      after = id.part;
    }
  }
  if (found >= range.part_end) return read;
  const Part& part = *FindPart({range.key, found});
  const int64_t begin = found == from ? std::max(row, range.row_begin) : range.row_begin;
  read.found = true;
  read.part = found;
  read.version = part.version();
  read.value = part.value().ReadRows(begin, range.row_end, bytes_max);
  read.next_part = read.value.more ? found : after;
  read.next_row = read.value.more ? read.value.next : range.row_begin;
  read.more = read.next_part < range.part_end;
  return read;
}

std::vector<KeyStats> PartTable::StatsOf(const KeyQuery& query, uint64_t* keys) const {
  struct Asked {
    KeyPlace place;
    const KeySpec* spec;
  };
  std::vector<Asked> asked;
  for (const auto& [id, known] : keys_) {
    if (!query.prefix.empty() &&
        TextOf(known.spec).compare(0, query.prefix.size(), query.prefix) != 0) {
      continue;
    }
    KeyPlace place{id, known.spec.name};
    if (query.after.has_value() && !(*query.after < place)) continue;
    asked.push_back({std::move(place), &known.spec});
  }
  *keys = asked.size();
  const size_t count = std::min(asked.size(), query.keys_max);
  std::partial_sort(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(count), asked.end(),
                    [](const Asked& a, const Asked& b) { return a.place < b.place; });
  std::vector<KeyStats> all(count);
  std::unordered_map<KeyId, KeyStats*> shown;
  for (size_t i = 0; i < count; ++i) {
    KeyStats& stats = all[i];
    stats.key = asked[i].place.key;
    stats.name = asked[i].place.name;
    stats.dtype = asked[i].spec->dtype;
    stats.storage = asked[i].spec->storage;
    stats.shape = asked[i].spec->shape;
    shown.emplace(stats.key, &stats);
  }
  for (const auto& [id, record] : records_) {
    const auto at = shown.find(id.key);
    if (at == shown.end() || record->part == nullptr) continue;
    KeyStats& stats = *at->second;
    const Part& part = *record->part;
    const PartFigures measured = query.figures ? part.value().Measure() : PartFigures();
    stats.version = stats.parts == 0 ? part.version() : std::min(stats.version, part.version());
    stats.pushes = std::max(stats.pushes, part.pushes());
    stats.failures += part.failures();
    const PullFigures& pulled = part.pull_figures();
    stats.pulled.pulls += pulled.pulls;
    stats.pulled.staleness_sum += pulled.staleness_sum;
    stats.pulled.staleness_max = std::max(stats.pulled.staleness_max, pulled.staleness_max);
    stats.figures.value.Add(measured.value);
    stats.figures.sum.Add(measured.sum);
    stats.figures.has_sum |= measured.has_sum;
    ++stats.parts;
  }
  return all;
}

// A part whose staleness is bounded shows its pulls that wait. Example, with s = 1: rank 0 has
// pushed 5 times and rank 2 4 times, both pull and wait, since 100 and since 130, for rank 1, which
// has pushed 2 times. Rank 0 waits for push 4 of everybody, rank 2 for push 3: the part waits for
// push 3, since 100, for rank 1. A part where nobody pulls shows pushes of which something lacks,
// as on other stores.
std::optional<OpenRoundInfo> PartTable::WaitAt(const PartRecord& record, const View& view) {
  if (record.part == nullptr) return std::nullopt;
  const Part& part = *record.part;
  std::optional<OpenRoundInfo> info;
  for (const Waiter& waiter : record.waiters) {
    if (!part.bounds_staleness() || waiter.request.op != Op::kPull) continue;
    Part::PullWait wait = part.WaitOfPull(view, waiter.to.rank, waiter.request.round);
    if (!info.has_value()) info.emplace().since_ms = waiter.since_ms;
    info->since_ms = std::min(info->since_ms, waiter.since_ms);
    if (!info->missing.empty() && info->round <= wait.round) continue;
    info->round = wait.round;
    info->missing = std::move(wait.missing);
  }
  if (!info.has_value()) {
    if (!part.open()) return std::nullopt;
    info.emplace();
    info->round = part.version() + 1;
    info->since_ms = part.open_since_ms();
    info->missing = part.Missing(view);
    if (part.held(view)) info->held_from = view.held_from;
  }
  info->key = part.id().key;
  info->name = part.key().name;
  return info;
}

void PartTable::Report(const View& view, ShardStatus* status) const {
  status->keys = keys_.size();
  status->value_bytes = value_bytes_;
  std::map<KeyId, OpenRoundInfo> open;
  for (const auto& [id, record] : records_) {
    if (record->part != nullptr) status->held_bytes += record->part->value().HeldBytes();
    if (record->creation != nullptr) status->held_bytes += record->creation->value->HeldBytes();
    std::optional<OpenRoundInfo> wait = WaitAt(*record, view);
    if (!wait.has_value()) continue;
    OpenRoundInfo& info = open[id.key];
    if (info.parts > 0) {
      wait->since_ms = std::min(wait->since_ms, info.since_ms);
      if (info.round <= wait->round) {
        wait->round = info.round;
        wait->held_from = info.held_from;
        wait->missing = std::move(info.missing);
      }
    }
    wait->parts = info.parts + 1;
    info = *std::move(wait);
  }
  for (auto& [key, info] : open) status->open_rounds.push_back(std::move(info));
  std::stable_sort(
      status->open_rounds.begin(), status->open_rounds.end(),
      [](const OpenRoundInfo& a, const OpenRoundInfo& b) { return a.since_ms < b.since_ms; });
}

}  // namespace kvstore
