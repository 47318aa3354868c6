#include "server/core/part_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/model/number_reader.h"
#include "server/core/rounds.h"
#include "server/core/sequence.h"

namespace kvstore {
namespace {

bool IsRowSparse(const KeySpec& spec) { return spec.storage == Storage::kRowSparse; }

// "shape [4,8] of f32", "row_sparse shape [4,8] of f32".
std::string ValueString(const KeySpec& spec) {
  return fmt::format("{}shape {} of {}", IsRowSparse(spec) ? "row_sparse " : "",
                     ShapeString(spec.shape), DTypeName(spec.dtype));
}

std::string LabelOf(const KeySpec& spec) { return KeyLabel(spec.key, spec.name); }

}  // namespace

void PartTable::Begin(StoreMode mode, std::optional<uint64_t> staleness, uint32_t workers) {
  OptimizerConfig none{"assign", {}};
  if (!(optimizer_ == none)) {
    KVS_CHECK(values_->SetOptimizer(none).ok());
    optimizer_ = std::move(none);
  }
  changes_.clear();
  records_ = {};
  keys_.clear();
  deleted_.clear();
  value_bytes_ = 0;
  mode_ = mode;
  staleness_ = staleness;
  workers_ = workers;
}

PartRecord* PartTable::Find(PartId id) const {
  const auto it = records_.find(id);
  return it == records_.end() ? nullptr : it->second.get();
}

PartRecord& PartTable::FindOrAdd(PartId id) {
  if (PartRecord* const known = Find(id)) return *known;
  return *records_.emplace(id, std::make_unique<PartRecord>()).first->second;
}

Part* PartTable::FindPart(PartId id) const {
  const PartRecord* record = Find(id);
  return record == nullptr ? nullptr : record->part.get();
}

std::string PartTable::Label(KeyId key) const {
  const auto it = keys_.find(key);
  if (it != keys_.end()) return KeyLabel(key, it->second.spec.name);
  const auto deleted = deleted_.find(key);
  return KeyLabel(key, deleted == deleted_.end() ? std::string_view() : deleted->second);
}

absl::Status PartTable::CheckSameValue(const KeySpec& have, const KeySpec& want) {
  if (have.name != want.name) {
    return absl::AlreadyExistsError(
        fmt::format("{} and {} have the same key id {:016x}; rename one of them", LabelOf(have),
                    LabelOf(want), have.key));
  }
  if (want.shape_unknown) return absl::OkStatus();
  if (have.dtype != want.dtype || have.shape != want.shape ||
      IsRowSparse(have) != IsRowSparse(want)) {
    return absl::InvalidArgumentError(fmt::format("{}: {} expected, got {}", LabelOf(have),
                                                  ValueString(have), ValueString(want)));
  }
  return absl::OkStatus();
}

absl::Status PartTable::CheckSameKey(const KeySpec& have, const KeySpec& want) {
  // Of two names with one id nothing else is told.
  if (have.name != want.name) return CheckSameValue(have, want);
  if (have.compression != want.compression) {
    return absl::FailedPreconditionError(
        fmt::format("{}: compression {} expected, as rank 0 has it, got {}", LabelOf(have),
                    CompressionString(have.compression), CompressionString(want.compression)));
  }
  if (want.rule.by_rule() && have.rule != want.rule) {
    return absl::InvalidArgumentError(fmt::format("{}: rule {} expected, as rank 0 has it, got {}",
                                                  LabelOf(have), InitRuleString(have.rule),
                                                  InitRuleString(want.rule)));
  }
  return CheckSameValue(have, want);
}

// ---- values come and go

absl::Status PartTable::Create(const ReplyTo& from, const KeySpec& spec, const RequestEntry& init) {
  if (from.rank != 0) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: the value of Init comes from rank 0, got it from rank {}", LabelOf(spec), from.rank));
  }
  const PartId id = init.id();
  if (PartRecord* known = Find(id)) {
    if (known->init_incarnation == from.incarnation &&
        init.request <= std::max(known->init_request, known->init_refused)) {
      return absl::OkStatus();  // a repeat
    }
  }
  // A value without memory of its own yet, just to check the piece and to learn how much is needed.
  // A fragment that does not fit, or that there is no memory for, undoes those that came before it:
  // rank 0 hears of the refusal, and nobody will bring the rest.
  uint64_t needed = init.piece.data.size();  // at least
  Creation* creation = nullptr;
  try {
    const std::unique_ptr<PartValue> like = values_->Make(spec, id);
    if (absl::Status fits = like->Check(Op::kInit, init.piece); !fits.ok()) {
      PartRecord* record = Find(id);
      if (record != nullptr && record->creation != nullptr) Release(id, *record);
      return fits;
    }
    needed = like->BytesWith(like->PagesMissing(init.piece, std::nullopt));
    KVS_ASSIGN_OR_RETURN(creation, CreationFor(spec, init, needed));
    PartRecord& record = *Find(id);
    if (creation->filled > 0) {  // the first piece's were charged just now
      needed = creation->value->BytesWith(creation->value->PagesMissing(init.piece, std::nullopt));
      absl::Status room = CheckBudget(LabelOf(spec), record.charged, needed);
      if (!room.ok()) {
        Release(id, record);
        record.undone = room;
        return room;
      }
      Charge(record, needed);
    }
    creation->value->Fill(init.piece);
  } catch (const std::bad_alloc&) {
    absl::Status refused = absl::ResourceExhaustedError(
        fmt::format("{} part {}: memory for {} bytes expected, the system has no more",
                    LabelOf(spec), id.part, needed));
    PartRecord* const record = Find(id);
    const bool begun = creation != nullptr || init.piece.fragment > 0;
    if (begun && record != nullptr && record->creation != nullptr) {
      Release(id, *record);
      record->undone = refused;
    }
    return refused;
  }
  PartRecord& record = *Find(id);
  // Noted so that TAKE_BACK can name the Init by its first request, and a late repeat be told from
  // a new Init by its last one.
  if (init.piece.fragment == 0) record.init_first = init.request;
  if (record.init_incarnation != from.incarnation) record.init_refused = 0;
  record.init_request = init.request;
  record.init_incarnation = from.incarnation;
  if (++creation->filled == creation->fragments) {
    record.part = std::move(creation->part);
    record.creation.reset();
  }
  return absl::OkStatus();
}

absl::StatusOr<Creation*> PartTable::CreationFor(const KeySpec& spec, const RequestEntry& init,
                                                 uint64_t needed) {
  const PartId id = init.id();
  const Piece& piece = init.piece;
  PartRecord* record = Find(id);
  if (record != nullptr && record->creation != nullptr) {
    // A value is being brought already: this must be its next fragment. Rank 0 sends them one after
    // the other, so there is never a gap; a gap means another Init, or a fragment that was refused.
    Creation* creation = record->creation.get();
    KVS_RETURN_IF_ERROR(CheckSameKey(creation->value->key(), spec));
    if (piece.fragment < creation->filled) {
      return absl::AlreadyExistsError(fmt::format("{} is being created already", LabelOf(spec)));
    }
    if (piece.fragments != creation->fragments || piece.fragment > creation->filled) {
      return absl::InvalidArgumentError(fmt::format(
          "{} part {}: fragment {} of {} expected next, got {} of {}", LabelOf(spec), id.part,
          creation->filled, creation->fragments, piece.fragment, piece.fragments));
    }
    return creation;
  }
  // The fragments before this one were undone; the worker goes on sending until it hears of that.
  if (piece.fragment != 0 && record != nullptr && !record->undone.ok()) return record->undone;
  if (piece.fragment != 0 || (piece.fragments != 1 && !IsRowSparse(spec))) {
    return absl::InvalidArgumentError(
        fmt::format("{} part {}: fragment 0{} expected, got {} of {}", LabelOf(spec), id.part,
                    IsRowSparse(spec) ? " first" : " of 1 (the key is dense)", piece.fragment,
                    piece.fragments));
  }
  KVS_RETURN_IF_ERROR(CheckBudget(LabelOf(spec), 0, needed));
  auto creation = std::make_unique<Creation>();
  creation->fragments = piece.fragments;
  KVS_ASSIGN_OR_RETURN(KnownKey* const known, AddKey(spec));
  try {
    record = &FindOrAdd(id);
    std::unique_ptr<PartValue> value = values_->Make(known->spec, id);
    creation->value = value.get();
    creation->part = MakePart(std::move(value));
  } catch (const std::bad_alloc&) {
    if (known->parts == 0) keys_.erase(spec.key);
    throw;
  }
  // Nothing is refused, and nothing allocated, from here on: what is charged and counted now stays
  // so.
  record->undone = absl::OkStatus();
  Charge(*record, needed);
  ++known->parts;
  record->creation = std::move(creation);
  return record->creation.get();
}

absl::StatusOr<PartTable::KnownKey*> PartTable::AddKey(const KeySpec& spec) {
  const auto known = keys_.find(spec.key);
  if (known == keys_.end()) return &keys_.emplace(spec.key, KnownKey{spec}).first->second;
  KVS_RETURN_IF_ERROR(CheckSameKey(known->second.spec, spec));
  return &known->second;
}

std::unique_ptr<Part> PartTable::MakePart(std::unique_ptr<PartValue> value) const {
  const Round outcomes_kept = options_.rounds_ahead_max;
  if (mode_ == StoreMode::kAsync) {
    return std::make_unique<PartSequence>(std::move(value), outcomes_kept, workers_, staleness_,
                                          recorder_);
  }
  return std::make_unique<PartRounds>(std::move(value), outcomes_kept, recorder_);
}

absl::Status PartTable::TakeBack(const ReplyTo& from, const RequestEntry& take_back) {
  const PartId id = take_back.id();
  PartRecord& record = FindOrAdd(id);
  const bool same_life = record.init_incarnation == from.incarnation;
  if (record.part != nullptr || record.creation != nullptr) {
    // What another Init brought stays.
    // Example: rank 0's Init was request 7, with fragments 7, 8 and 9. It is taken back under the
    // number 7. If the value is gone already and another Init (request 20) has brought a new one, a
    // late TAKE_BACK of 7 finds init_first = 20 and changes nothing.
    if (!same_life || record.init_first != take_back.takes_back) return absl::OkStatus();
    if (record.part != nullptr && (record.part->version() > 0 || record.part->open())) {
      return absl::FailedPreconditionError(fmt::format(
          "{} part {}: a value as Init brought it expected, it was pushed to: at version {}",
          Label(id.key), id.part, record.part->version()));
    }
    Release(id, record);
  }
  // An Init that was refused may still be repeated, too.
  record.init_request =
      same_life ? std::max(record.init_request, take_back.takes_back) : take_back.takes_back;
  record.init_incarnation = from.incarnation;
  return absl::OkStatus();
}

void PartTable::Release(PartId id, PartRecord& record) noexcept {
  Charge(record, 0);
  record.part.reset();
  record.creation.reset();
  const auto known = keys_.find(id.key);
  if (--known->second.parts == 0) keys_.erase(known);
}

absl::Status PartTable::CheckLife(const PartRecord* record, const EntryHead& request) const {
  const uint64_t life = record == nullptr ? 0 : record->life;
  const bool there = record != nullptr && record->part != nullptr;
  if (there && request.life == life) return absl::OkStatus();
  if (life == 0) {
    return absl::NotFoundError(fmt::format("{} has no Init", Label(request.key)));
  }
  if (there && request.life < life && request.life >= record->first_life) {
    return absl::NotFoundError(
        fmt::format("{} was reset: call Reset, or Delete", Label(request.key)));
  }
  return absl::NotFoundError(fmt::format("{} was deleted{}", Label(request.key),
                                         there && request.life < life ? ", and made anew" : ""));
}

void PartTable::Delete(PartId id, PartRecord& record, ParkingLot& parking) {
  deleted_.insert_or_assign(id.key, record.part->key().name);
  // From here on nothing is allocated.
  record.part->DropParked(parking);
  Release(id, record);
  record.first_life = ++record.life;
}

void PartTable::Reset(PartRecord& record, ParkingLot& parking) {
  std::unique_ptr<Part> next = MakePart(nullptr);
  // From here on nothing is allocated.
  record.part->DropParked(parking);
  std::unique_ptr<PartValue> value = record.part->TakeValue();
  value->Reset();
  next->GiveValue(std::move(value));
  record.part = std::move(next);
  ++record.life;
  Settle(record);
}

// ---- the optimizer

absl::StatusOr<PartTable::Needed> PartTable::TryOptimizer(const OptimizerConfig& spec) {
  if (values_->has_own_updater() && spec.name != "assign") {
    return absl::FailedPreconditionError(fmt::format("SetOptimizer '{}': this server runs {}",
                                                     spec.name, values_->own_updater_label()));
  }
  // How much memory the parts need with an optimizer only the values know, once it is set. So it is
  // set, and set back if that is too much: nothing runs in between, and values change with their
  // next update only.
  KVS_RETURN_IF_ERROR(values_->SetOptimizer(spec));
  if (!asynchronous() && values_->updates_by_worker()) {
    values_->UndoSetOptimizer();
    return absl::InvalidArgumentError(fmt::format(
        "optimizer '{}' with per_worker: an asynchronous store expected, whose updates are by one "
        "worker's push each, got a synchronous one, whose updates are by the sum of all workers'",
        spec.name));
  }
  Needed needed;
  try {
    needed = NeededBytes();
  } catch (const std::bad_alloc&) {
    values_->UndoSetOptimizer();
    throw;
  }
  if (needed.all <= options_.value_bytes_max) return needed;
  values_->UndoSetOptimizer();
  return absl::ResourceExhaustedError(
      fmt::format("optimizer '{}': {} bytes needed for values and states, at most {} expected",
                  spec.name, needed.all, options_.value_bytes_max));
}

PartTable::Needed PartTable::NeededBytes() {
  Needed needed;
  for (const auto& [id, record] : records_) {
    const Part* const part =
        record->creation != nullptr ? record->creation->part.get() : record->part.get();
    record->needed = part == nullptr ? 0 : BytesOf(*record);
    needed.all += record->needed;
    if (part != nullptr && !IsRowSparse(part->key())) needed.dense += record->needed;
  }
  return needed;
}

absl::Status PartTable::CheckOptimizer(const OptimizerConfig& spec) {
  // Rows take memory for their states as they come, dense values for all of theirs.
  const uint64_t before = NeededBytes().dense;
  KVS_ASSIGN_OR_RETURN(const Needed needed, TryOptimizer(spec));
  values_->UndoSetOptimizer();
  if (needed.dense <= before) return absl::OkStatus();
  const absl::Status memory = values_->CheckMemory(needed.dense - before);
  if (memory.ok()) return memory;
  return absl::Status(memory.code(),
                      fmt::format("optimizer '{}': {}", spec.name, std::string(memory.message())));
}

absl::Status PartTable::SetOptimizer(const OptimizerConfig& spec) {
  OptimizerConfig set = spec;
  KVS_RETURN_IF_ERROR(TryOptimizer(spec).status());
  optimizer_ = std::move(set);
  changes_.clear();
  for (const auto& [id, record] : records_) Charge(*record, record->needed);
  return absl::OkStatus();
}

absl::Status PartTable::CheckSet(const std::string& optimizer) const {
  if (values_->has_own_updater()) {
    return absl::FailedPreconditionError(
        fmt::format("numbers of optimizer '{}': this server runs {}", Quotable(optimizer),
                    values_->own_updater_label()));
  }
  if (optimizer == optimizer_.name) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("numbers of optimizer '{}' expected, which is set here, got those of '{}'",
                  optimizer_.name, Quotable(optimizer)));
}

absl::Status PartTable::CheckNumbers(const std::string& optimizer,
                                     const NumbersChange& change) const {
  KVS_RETURN_IF_ERROR(CheckSet(optimizer));
  return values_->CheckNumbers(change);
}

absl::Status PartTable::ChangeNumbers(const std::string& optimizer, const NumbersChange& change) {
  KVS_RETURN_IF_ERROR(CheckSet(optimizer));
  // Noted in a copy, so that a lack of memory finds nothing changed.
  std::map<uint64_t, std::map<std::string, double>> changes = changes_;
  for (const auto& [name, number] : change.numbers) changes[change.from_step][name] = number;
  KVS_RETURN_IF_ERROR(values_->ChangeNumbers(change));
  changes_ = std::move(changes);
  return absl::OkStatus();
}

bool PartTable::HasChange(const NumbersChange& change) const {
  const auto at = changes_.find(change.from_step);
  return at != changes_.end() &&
         std::all_of(change.numbers.begin(), change.numbers.end(), [&](const auto& number) {
           const auto known = at->second.find(number.first);
           return known != at->second.end() && known->second == number.second;
         });
}

void PartTable::ReportOptimizer(OptimizerReport* report) const {
  report->name = optimizer_.name;
  report->parameters = optimizer_.parameters;
  report->schedule = optimizer_.schedule.name;
  report->changes = changes_;
  if (values_->has_own_updater()) report->own_updater = values_->own_updater_label();
}

// ---- all parts: also part_table_report.cc

bool PartTable::measuring() const {
  return std::any_of(records_.begin(), records_.end(), [](const auto& each) {
    return each.second->part != nullptr && each.second->part->measuring();
  });
}

bool PartTable::measuring_from(uint64_t step) const {
  return std::any_of(records_.begin(), records_.end(), [step](const auto& each) {
    return each.second->part != nullptr && each.second->part->measuring_from(step);
  });
}

std::vector<PartId> PartTable::OpenParts() const {
  std::vector<PartId> ids;
  for (const auto& [id, record] : records_) {
    if (record->part == nullptr) continue;
    if (record->part->open() || !record->waiters.empty()) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace kvstore
