#include "client/core/norm_relay.h"

#include <algorithm>

namespace kvstore::client_internal {

std::vector<NormRelay::Due> NormRelay::Hear(PartId id, Round round, const NormNote* note, bool over,
                                            absl::FunctionRef<bool(PartId)> is_over) {
  auto found = wholes_.find({id.key, round});
  if (found == wholes_.end()) {
    if (note == nullptr || id.part >= note->parts) return {};
    Whole begun = Begin(*note, id.key, id.part, is_over);
    begun.due_to_all = begun.over > 0;
    found = wholes_.emplace(Name(id.key, round), std::move(begun)).first;
  }
  Whole& whole = found->second;
  if (id.part >= whole.parts.size()) return {};
  const uint32_t known_before = whole.known;
  const uint32_t over_before = whole.over_known_min;
  if (note != nullptr) Note(whole, id.part, *note);
  Heard& teller = whole.parts[id.part];
  if (over && !teller.over) {
    teller.over = true;
    ++whole.over;
    whole.over_known_min = std::min(whole.over_known_min, note == nullptr ? 0 : note->known);
  }
  if (whole.over == whole.parts.size()) {
    wholes_.erase(found);
    return {};
  }
  std::vector<Due> due;
  const auto add_due = [&](PartIndex part) {
    const Heard& heard = whole.parts[part];
    if (heard.over || !heard.measured) return;
    NormNote told;
    told.parts = static_cast<uint32_t>(whole.parts.size());
    if (whole.known > heard.known) {
      if (heard.sent_known > heard.known) return;
      told.known = whole.known;
      told.norms = whole.norms;
    } else if (whole.over_known_min <= heard.known) {
      if (heard.sent_abandoned) return;
      told.known = whole.known;
      told.abandoned = true;
    } else {
      return;
    }
    due.push_back({{id.key, part}, round, told});
  };
  // Mostly there is something new for nobody, or for all.
  whole.due_to_all |= whole.known != known_before || whole.over_known_min != over_before;
  if (!whole.due_to_all) {
    add_due(id.part);
    return due;
  }
  for (PartIndex part = 0; part < whole.parts.size(); ++part) add_due(part);
  if (due.empty()) whole.due_to_all = false;
  return due;
}

void NormRelay::Sent(const std::vector<Due>& due) noexcept {
  for (const Due& each : due) {
    const auto found = wholes_.find({each.id.key, each.round});
    if (found == wholes_.end()) continue;
    found->second.due_to_all = false;
    Heard& part = found->second.parts[each.id.part];
    part.sent_known = std::max(part.sent_known, each.note.known);
    part.sent_abandoned |= each.note.abandoned;
  }
}

NormRelay::Whole NormRelay::Begin(const NormNote& note, KeyId key, PartIndex teller,
                                  absl::FunctionRef<bool(PartId)> is_over) const {
  Whole whole;
  whole.parts.resize(note.parts);
  for (PartIndex part = 0; part < note.parts; ++part) {
    if (part == teller || !is_over({key, part})) continue;
    // Its push is over, and what it said had no note, or it would have begun this.
    whole.parts[part].over = true;
    ++whole.over;
    whole.over_known_min = 0;
  }
  return whole;
}

void NormRelay::Note(Whole& whole, PartIndex part, const NormNote& note) {
  Heard& heard = whole.parts[part];
  // What comes late says less.
  if (note.known < heard.known || (note.known == heard.known && heard.measured)) return;
  heard.known = note.known;
  heard.measured = note.measured;
  heard.own = note.own;
  if (note.known > whole.known) {
    whole.known = note.known;
    whole.norms = note.norms;
    return AddUp(whole);
  }
  if (Counts(whole, heard) && ++whole.counted == whole.parts.size()) AddUp(whole);
}

void NormRelay::AddUp(Whole& whole) {
  const auto count = [&whole] {
    return static_cast<uint32_t>(
        std::count_if(whole.parts.begin(), whole.parts.end(),
                      [&whole](const Heard& part) { return Counts(whole, part); }));
  };
  whole.counted = count();
  if (whole.counted < whole.parts.size()) return;
  NormSums found;
  for (const Heard& part : whole.parts) found += part.own;
  whole.norms += found;
  ++whole.known;
  whole.counted = count();  // 0: a part can know no more than we
}

void NormRelay::Forget(KeyId key) noexcept {
  wholes_.erase(wholes_.lower_bound({key, 0}), wholes_.upper_bound({key, UINT64_MAX}));
}

}  // namespace kvstore::client_internal
