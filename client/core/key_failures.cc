#include "client/core/key_failures.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvstore::client_internal {
namespace {

bool IsAccepted(const ReplyEntry& entry) {
  if (entry.progress == Progress::kDone) return true;  // also with its updater's error
  return entry.code == absl::StatusCode::kOk && entry.progress == Progress::kReceived;
}

bool IsRefused(const ReplyEntry& entry) {
  return entry.code != absl::StatusCode::kOk && entry.code != absl::StatusCode::kNotFound &&
         entry.code != absl::StatusCode::kAborted && entry.retry_after_ms == 0;
}

}  // namespace

void KeyFailures::Expect(const KeySpec& key) {
  std::string name = key.name;
  if (Of(key.key) == nullptr) keys_.emplace(key.key, std::make_unique<Known>());
  Of(key.key)->name = std::move(name);
}

void KeyFailures::Hear(Known* known, const Push& push, const ReplyEntry& entry) {
  if (known == nullptr) return;
  const bool accepted = IsAccepted(entry);
  if (!accepted && !IsRefused(entry)) return;
  Known& key = *known;
  if (push.ends < key.ends || (push.ends == key.ends && !key.failure.ok())) return;
  if (accepted && key.refused == 0 && push.ends == key.ends) {
    key.accepted = std::max(key.accepted, push.round);
    return;
  }
  Known next;
  next.ends = push.ends;
  if (push.ends == key.ends) {
    next.accepted = key.accepted;
    next.refused = key.refused;
    next.part = key.part;
    next.refusal = key.refusal;
  }
  if (accepted) {
    next.accepted = std::max(next.accepted, push.round);
  } else if (next.refused == 0 || push.round < next.refused) {
    next.refused = push.round;
    next.part = push.id.part;
    next.refusal = absl::Status(entry.code, entry.message);
  }
  if (next.refused != 0 && next.accepted >= next.refused) {
    next.failure = absl::FailedPreconditionError(fmt::format(
        "{} has failed: part {} of push {} was refused, which others were not, or a later one: {}; "
        "Reset or Delete it",
        KeyLabel(push.id.key, key.name), next.part, next.refused, next.refusal.ToString()));
  }
  // From here on nothing takes memory.
  failed_ += size_t{!next.failure.ok()};
  failed_ -= size_t{!key.failure.ok()};
  next.name = std::move(key.name);
  key = std::move(next);
}

}  // namespace kvstore::client_internal
