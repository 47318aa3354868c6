// What the optimizer keeps of a key of a local store, page by page, as a dist store reads and
// brings it: so that both make the same of it.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "client/store/key_states.h"
#include "client/store/store_backend.h"
#include "common/base/status_macros.h"

namespace kvstore {

// Fills the operation's states with the pages that `read(part, cursor)` gives.
template <typename Read>
absl::Status Collect(const KeyOperation& operation, PartIndex parts, const Read& read) {
  StateCollector collector(operation.key->label, operation.spec, parts);
  for (PartIndex part = 0; part < parts; ++part) {
    std::optional<StateCursor> from = StateCursor();
    while (from.has_value()) {
      const absl::StatusOr<StatePage> page = read(part, *from);
      if (!page.ok()) return page.status();
      KVS_ASSIGN_OR_RETURN(from, collector.Add(part, /*version=*/0, *page));
    }
  }
  KVS_ASSIGN_OR_RETURN(*operation.states, collector.Finish());
  return absl::OkStatus();
}

// Gives the operation's states, page by page, to `stage(part, page)`.
template <typename Stage>
absl::Status Bring(const KeyOperation& operation, PartIndex parts, const Stage& stage) {
  KVS_RETURN_IF_ERROR(CheckUpdates(operation.key->label, *operation.states, parts));
  const StateCutter cutter(*operation.states, operation.spec, parts);
  for (PartIndex part = 0; part < parts; ++part) {
    std::optional<StateCursor> from = StateCursor();
    while (from.has_value()) {
      const StatePage page = cutter.PageAt(part, *from);
      KVS_RETURN_IF_ERROR(stage(part, page));
      from = cutter.Next(part, page);
    }
  }
  return absl::OkStatus();
}

}  // namespace kvstore
