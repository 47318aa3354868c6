// Dispatch of requests: what each of them asks, and what refuses it.
#include "server/core/server_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/mutation.h"
#include "common/base/status_macros.h"
#include "server/core/rounds.h"
#include "server/core/sequence.h"
#include "server/core/server_core_impl.h"

namespace kvstore {
namespace {

bool IsRowSparse(const KeySpec& spec) { return spec.storage == Storage::kRowSparse; }

// "shape [4,8] of f32", "row_sparse shape [4,8] of f32".
std::string ValueString(const KeySpec& spec) {
  return fmt::format("{}shape {} of {}", IsRowSparse(spec) ? "row_sparse " : "",
                     ShapeString(spec.shape), DTypeName(spec.dtype));
}

// `begun`: so many fragments has the contribution of which some came before; 0: none did.
absl::Status CheckFragments(const KeySpec& key, const PushId& push, uint32_t begun) {
  const bool many = IsRowSparse(key);
  const uint32_t expected = begun > 0 ? begun : many ? push.fragments : 1;
  if (push.fragments == expected && push.fragment < push.fragments) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: a fragment of {}{} expected, got {} of {}", KeyLabel(key.key, key.name),
                  expected, many ? "" : " (the key is dense)", push.fragment, push.fragments));
}

}  // namespace

void ServerCore::Impl::OnRouting(ClusterId cluster, Incarnation self, RoutingPtr routing) {
  if (routing_ != nullptr && routing->epoch <= routing_->epoch) return;
  if (routing_ == nullptr || routing->job != routing_->job) {
    keys_.clear();
    parts_.clear();
    parking_.bytes = 0;
    value_bytes_ = 0;
    if (routing_ != nullptr) KVS_CHECK(SetUpdater(OptimizerConfig{"assign", {}}).ok());
    waiting_ = 0;
    mode_ = StoreModeOf(routing->store_type);
    view_.workers = static_cast<uint32_t>(routing->workers.size());
    view_.left.assign(view_.workers, false);
    optimizer_was_set_ = false;
    optimizer_request_ = 0;
    optimizer_incarnation_ = 0;
    command_log_.Clear();
    commands_.clear();
  }
  cluster_ = cluster;
  incarnation_ = self;
  routing_ = std::move(routing);
}

absl::Status ServerCore::Impl::CheckHeader(const FrameHeader& header, bool* retry) const {
  *retry = true;
  if (routing_ == nullptr) return absl::UnavailableError("the server is not routed yet");
  if (header.cluster != cluster_) {
    *retry = false;
    return absl::FailedPreconditionError(
        fmt::format("cluster {:016x} expected, got {:016x}", cluster_, header.cluster));
  }
  if (header.job != routing_->job) {
    *retry = header.job > routing_->job;
    const std::string message =
        fmt::format("job {} expected, got job {}", routing_->job, header.job);
    return *retry ? absl::UnavailableError(message) : absl::AbortedError(message);
  }
  if (header.epoch > routing_->epoch) {
    return absl::UnavailableError(fmt::format("routing epoch {} is not known here yet, at {}",
                                              header.epoch, routing_->epoch));
  }
  if (header.server_incarnation != incarnation_) {
    return absl::UnavailableError(fmt::format("server incarnation {} was meant, this is {}",
                                              header.server_incarnation, incarnation_));
  }
  *retry = false;
  if (header.rank >= routing_->workers.size()) {
    return absl::FailedPreconditionError(fmt::format("rank {} is not in the view of {} workers",
                                                     header.rank, routing_->workers.size()));
  }
  const Incarnation expected = routing_->workers[header.rank].incarnation;
  if (header.incarnation < expected) {
    return absl::AbortedError(fmt::format("worker {}: incarnation {} was replaced by {}",
                                          header.rank, header.incarnation, expected));
  }
  if (header.incarnation > expected) {
    *retry = true;
    return absl::UnavailableError(fmt::format("worker {}: incarnation {} is not known here yet",
                                              header.rank, header.incarnation));
  }
  return absl::OkStatus();
}

FrameHeader ServerCore::Impl::ReplyHeader() const {
  FrameHeader header;
  header.cluster = cluster_;
  header.epoch = routing_ ? routing_->epoch : 0;
  header.job = routing_ ? routing_->job : 0;
  header.server_incarnation = incarnation_;
  return header;
}

void ServerCore::Impl::OnFrame(int64_t now_ms, PeerId peer, const RequestFrame& request,
                               ServerOutbox* out) {
  now_ms_ = now_ms;
  view_.has_updater = optimizer_was_set_ || values_->has_own_updater();
  ReplyBatch replies(ReplyHeader(), out);
  const ReplyTo from{peer, request.header.rank, request.header.incarnation};
  bool retry = false;
  const absl::Status header = CheckHeader(request.header, &retry);
  if (Broken(Mutation::kAsyncDedupForgotten) && header.ok() &&
      std::exchange(peers_[from.rank], peer) != peer) {
    ForgetLast(from.rank);
  }
  for (const RequestEntry& entry : request.entries) {
    absl::Status status = header;
    bool retry_entry = retry;
    if (status.ok()) status = CheckSent(from, entry, &retry_entry);
    if (status.ok()) {
      OnEntry(from, request, entry, replies);
      continue;
    }
    ReplyEntry reply(entry, status);
    if (retry_entry) reply.retry_after_ms = options_.retry_after_ms;
    replies.Add(from, std::move(reply));
  }
}

absl::Status ServerCore::Impl::CheckSent(const ReplyTo& from, const RequestEntry& entry,
                                         bool* retry) const {
  const OpInfo* op = FindOp(entry.op);
  if (op == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("a known op expected, got {}", static_cast<uint32_t>(entry.op)));
  }
  if (op->scope == OpScope::kPart && !Owns(entry.id())) {
    *retry = true;
    return absl::UnavailableError(fmt::format("slot {} is not owned here", SlotOf(entry.id())));
  }
  if (op->scope == OpScope::kFirstShard && self_.shard != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: shard 0 of the server expected, got shard {}", op->name, self_.shard));
  }
  if (op->rank_0_only && from.rank != 0) {
    const std::string key = op->scope == OpScope::kPart ? Label(entry.key) + ": " : "";
    return absl::InvalidArgumentError(
        fmt::format("{}{} comes from rank 0, got it from rank {}", key, op->name, from.rank));
  }
  return absl::OkStatus();
}

void ServerCore::Impl::OnEntry(const ReplyTo& from, const RequestFrame& frame,
                               const RequestEntry& entry, ReplyBatch& replies) {
  switch (entry.op) {
    case Op::kInit:
      return OnInit(from, frame, entry, replies);
    case Op::kPush:
      return OnPush(from, entry, replies);
    case Op::kPull:
      return OnPull(from, entry, replies);
    case Op::kProbe:
      return OnProbe(from, entry, replies);
    case Op::kLeave:
      return OnLeave(from, entry, replies);
    case Op::kSetOptimizer:
    case Op::kCheckOptimizer:
      return OnSetOptimizer(from, frame, entry, replies);
    case Op::kCommand:
      return OnCommand(from, frame, entry, replies);
    case Op::kDrop:
      return OnDrop(from, entry, replies);
    case Op::kUnspecified:
      break;
  }
  CheckFailed("an op of kOps", __FILE__, __LINE__, OpName(entry.op));  // CheckSent refuses others
}

PartSlot* ServerCore::Impl::Find(PartId id) {
  const auto it = parts_.find(id);
  return it == parts_.end() ? nullptr : it->second.get();
}

std::string ServerCore::Impl::Label(KeyId key) const {
  const auto it = keys_.find(key);
  return KeyLabel(key, it == keys_.end() ? std::string_view() : it->second.spec.name);
}

std::unique_ptr<Part> ServerCore::Impl::MakePart(std::unique_ptr<PartValue> value) const {
  if (mode_ == StoreMode::kAsync) {
    return std::make_unique<PartSequence>(std::move(value), options_.rounds_ahead_max,
                                          view_.workers);
  }
  return std::make_unique<PartRounds>(std::move(value), options_.rounds_ahead_max);
}

absl::Status ServerCore::Impl::CheckSameKey(const KeySpec& have, const KeySpec& want) {
  if (have.name != want.name) {
    return absl::AlreadyExistsError(
        fmt::format("{} and {} have the same key id {:016x}; rename one of them",
                    KeyLabel(have.key, have.name), KeyLabel(want.key, want.name), have.key));
  }
  if (want.shape_unknown) return absl::OkStatus();
  if (have.dtype != want.dtype || have.shape != want.shape ||
      IsRowSparse(have) != IsRowSparse(want)) {
    return absl::InvalidArgumentError(fmt::format("{}: {} expected, got {}",
                                                  KeyLabel(have.key, have.name), ValueString(have),
                                                  ValueString(want)));
  }
  return absl::OkStatus();
}

absl::StatusOr<KnownKey*> ServerCore::Impl::AddKey(const KeySpec& spec) {
  auto [it, created] = keys_.try_emplace(spec.key);
  if (created) {
    it->second.spec = spec;
  } else if (absl::Status same = CheckSameKey(it->second.spec, spec); !same.ok()) {
    return same;
  }
  return &it->second;
}

absl::StatusOr<Creation*> ServerCore::Impl::CreationFor(PartId id, const KeySpec& spec,
                                                        const RequestEntry& entry,
                                                        uint64_t needed) {
  const uint32_t fragments = entry.piece.fragments;
  PartSlot* slot = Find(id);
  if (slot != nullptr && slot->creation != nullptr) {
    Creation* creation = slot->creation.get();
    KVS_RETURN_IF_ERROR(CheckSameKey(creation->value->key(), spec));
    if (entry.piece.fragment < creation->filled) {
      return absl::AlreadyExistsError(
          fmt::format("{} is being created already", KeyLabel(spec.key, spec.name)));
    }
    if (fragments != creation->fragments || entry.piece.fragment > creation->filled) {
      return absl::InvalidArgumentError(
          fmt::format("{} part {}: fragment {} of {} expected next, got {} of {}",
                      KeyLabel(spec.key, spec.name), id.part, creation->filled, creation->fragments,
                      entry.piece.fragment, fragments));
    }
    return creation;
  }
  if (entry.piece.fragment != 0 || (fragments != 1 && !IsRowSparse(spec))) {
    return absl::InvalidArgumentError(fmt::format(
        "{} part {}: fragment 0{} expected, got {} of {}", KeyLabel(spec.key, spec.name), id.part,
        IsRowSparse(spec) ? " first" : " of 1 (the key is dense)", entry.piece.fragment,
        fragments));
  }
  if (value_bytes_ + needed > options_.value_bytes_max) {
    return absl::ResourceExhaustedError(fmt::format("{}: {} bytes needed, {} of {} are in use",
                                                    KeyLabel(spec.key, spec.name), needed,
                                                    value_bytes_, options_.value_bytes_max));
  }
  KVS_ASSIGN_OR_RETURN(KnownKey* const known, AddKey(spec));
  value_bytes_ += needed;
  ++known->parts;
  slot = &AddSlot(id);
  slot->creation = std::make_unique<Creation>();
  slot->creation->value = values_->Make(known->spec, id);
  slot->creation->fragments = fragments;
  return slot->creation.get();
}

absl::Status ServerCore::Impl::Create(const ReplyTo& from, const KeySpec& spec,
                                      const RequestEntry& entry) {
  if (from.rank != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: the value of Init comes from rank 0, got it from rank {}",
                    KeyLabel(spec.key, spec.name), from.rank));
  }
  const PartId id = entry.id();
  const PartSlot* known = Find(id);
  const bool repeat = known != nullptr && known->init_incarnation == from.incarnation &&
                      entry.request <= known->init_request;
  if (repeat) return absl::OkStatus();
  const Piece& piece = entry.piece;
  const std::unique_ptr<PartValue> like = values_->Make(spec, id);
  if (absl::Status fits = like->Check(Op::kInit, piece); !fits.ok()) {
    DropCreation(id);
    return fits;
  }
  KVS_ASSIGN_OR_RETURN(Creation* const creation, CreationFor(id, spec, entry, like->Bytes()));
  PartSlot& slot = *Find(id);
  creation->value->Fill(piece);
  if (entry.piece.fragment == 0) slot.init_first = entry.request;
  slot.init_request = entry.request;
  slot.init_incarnation = from.incarnation;
  if (++creation->filled == creation->fragments) {
    slot.part = MakePart(std::move(creation->value));
    slot.creation.reset();
  }
  return absl::OkStatus();
}

void ServerCore::Impl::DropCreation(PartId id) {
  PartSlot* slot = Find(id);
  if (slot != nullptr && slot->creation != nullptr) Release(id, *slot);
}

void ServerCore::Impl::Release(PartId id, PartSlot& slot) {
  const PartValue& value = slot.part != nullptr ? slot.part->value() : *slot.creation->value;
  value_bytes_ -= value.Bytes();
  slot.part.reset();
  slot.creation.reset();
  const auto known = keys_.find(id.key);
  if (--known->second.parts == 0) keys_.erase(known);
}

absl::Status ServerCore::Impl::Drop(const ReplyTo& from, const RequestEntry& entry) {
  const PartId id = entry.id();
  PartSlot& slot = AddSlot(id);
  const bool same_life = slot.init_incarnation == from.incarnation;
  if (slot.part != nullptr || slot.creation != nullptr) {
    // What another Init brought stays.
    if (!same_life || slot.init_first != entry.takes_back) return absl::OkStatus();
    if (slot.part != nullptr && (slot.part->version() > 0 || slot.part->open())) {
      return absl::FailedPreconditionError(fmt::format(
          "{} part {}: a value as Init brought it expected, it was pushed to: at version {}",
          Label(id.key), id.part, slot.part->version()));
    }
    Release(id, slot);
  }
  // An Init that was refused may still be repeated, too.
  slot.init_request = same_life ? std::max(slot.init_request, entry.takes_back) : entry.takes_back;
  slot.init_incarnation = from.incarnation;
  if (Broken(Mutation::kDropForgetsRequests)) slot.init_request = 0;
  return absl::OkStatus();
}

void ServerCore::Impl::OnDrop(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies) {
  ReplyEntry reply(entry);
  reply.progress = Progress::kDone;
  reply.SetStatus(Drop(from, entry));
  replies.Add(from, std::move(reply));
}

void ServerCore::Impl::OnInit(const ReplyTo& from, const RequestFrame& frame,
                              const RequestEntry& entry, ReplyBatch& replies) {
  ReplyEntry reply(entry);
  const KeySpec* spec = FindKeySpec(frame, entry);
  if (spec == nullptr) {
    reply.SetStatus(absl::InvalidArgumentError(
        fmt::format("{}: Init without a description of the key", Label(entry.key))));
    return replies.Add(from, std::move(reply));
  }
  const PartId id = entry.id();
  const bool creates = entry.piece.create || !entry.piece.data.empty();
  PartSlot* slot = Find(id);
  if (slot != nullptr && slot->part != nullptr) {
    absl::Status status = CheckSameKey(slot->part->key(), *spec);
    const bool again =
        creates && slot->init_incarnation == from.incarnation && entry.request > slot->init_request;
    if (status.ok() && again) {
      status = absl::AlreadyExistsError(fmt::format("{} exists already", Label(entry.key)));
    }
    reply.progress = Progress::kDone;
    reply.SetStatus(status);
    return replies.Add(from, std::move(reply), spec->shape_unknown ? &slot->part->key() : nullptr);
  }
  if (!creates) {
    bool retry = false;
    const absl::Status parked = Park({from, entry, *spec, {}}, &retry);
    if (parked.ok()) return;
    reply.SetStatus(parked);
    return replies.Add(from, std::move(reply));
  }
  reply.progress = Progress::kDone;
  reply.SetStatus(Create(from, *spec, entry));
  replies.Add(from, std::move(reply));
  slot = Find(id);
  if (slot != nullptr && slot->part != nullptr) AnswerWaiters(*slot, replies);
}

void ServerCore::Impl::OnPush(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies) {
  ReplyEntry reply(entry);
  const PartId id = entry.id();
  PartSlot* slot = Find(id);
  const auto refuse = [&](const absl::Status& status) {
    reply.SetStatus(status);
    replies.Add(from, std::move(reply));
  };
  if (slot == nullptr || slot->part == nullptr) {
    return refuse(absl::NotFoundError(fmt::format("{} has no Init", Label(entry.key))));
  }
  Part& part = *slot->part;
  const PushId push{from.rank, entry.round, entry.piece.fragment, entry.piece.fragments};
  const Piece& piece = entry.piece;
  const uint32_t begun = part.FragmentsOf(from.rank, entry.round);
  if (const absl::Status fits = CheckFragments(part.key(), push, begun); !fits.ok()) {
    return refuse(fits);
  }
  if (const absl::Status fits = part.value().Check(Op::kPush, piece); !fits.ok()) {
    return refuse(fits);
  }
  const Round done = part.DoneThrough(from.rank);
  if (entry.round > done && entry.round - done > options_.rounds_ahead_max) {
    return refuse(absl::FailedPreconditionError(
        fmt::format("{} part {}: round {} is more than {} ahead of version {}: an acknowledged "
                    "round was lost",
                    Label(entry.key), entry.part, entry.round, options_.rounds_ahead_max, done)));
  }
  if (entry.round > done && view_.left[from.rank] && begun == 0) {
    return refuse(absl::FailedPreconditionError(
        fmt::format("{}: worker {} has left the job", Label(entry.key), from.rank)));
  }
  switch (part.Contribute(now_ms_, push, piece, view_, parking_)) {
    case Part::Accepted::kDone:
      reply.progress = Progress::kDone;
      return refuse(part.PushStatus(from.rank, entry.round));
    case Part::Accepted::kNoRoom:
      reply.retry_after_ms = options_.retry_after_ms;
      return refuse(parking_.Full(Label(entry.key)));
    case Part::Accepted::kTaken:
    case Part::Accepted::kRepeat:
      break;
  }
  bool retry = false;
  KVS_CHECK(Park({from, entry, {}, {}}, &retry).ok());
  if (const int commits = part.CommitReady(view_, parking_); commits > 0) {
    committed_rounds_ += static_cast<uint64_t>(commits);
    AnswerWaiters(*slot, replies);
  }
  if (part.DoneThrough(from.rank) < entry.round) {
    reply.progress = Broken(Mutation::kAckBeforeApply) ? Progress::kDone : Progress::kReceived;
    replies.Add(from, std::move(reply));
  }
}

void ServerCore::Impl::OnPull(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies) {
  const PartId id = entry.id();
  ReplyEntry reply(entry);
  PartSlot* slot = Find(id);
  if (slot == nullptr || slot->part == nullptr) {
    reply.SetStatus(absl::NotFoundError(fmt::format("{} has no Init", Label(entry.key))));
    return replies.Add(from, std::move(reply));
  }
  Waiter waiter{from, entry, {}, entry.piece};
  absl::Status status = slot->part->value().Check(Op::kPull, waiter.asked);
  bool retry = false;
  if (status.ok()) {
    if (Answer(waiter, *slot->part, replies)) return;
    status = Park(std::move(waiter), &retry);
    if (status.ok() && entry.piece.data.empty()) return;
    // Its bytes are ours now: the worker may send others.
    reply.progress = Progress::kReceived;
  }
  reply.SetStatus(status);
  if (retry) reply.retry_after_ms = options_.retry_after_ms;
  replies.Add(from, std::move(reply));
}

void ServerCore::Impl::OnProbe(const ReplyTo& from, const RequestEntry& entry,
                               ReplyBatch& replies) {
  ReplyEntry reply(entry);
  reply.progress = Progress::kUnknown;
  PartSlot* slot = Find(entry.id());
  if (slot == nullptr) return replies.Add(from, std::move(reply));
  const Part* part = slot->part.get();

  // A parked request moves to the stream that asks.
  for (Waiter& waiter : slot->waiters) {
    if (waiter.to.rank != from.rank || waiter.request.request != entry.request) continue;
    waiter.to = from;
    reply.progress = Progress::kReceived;
    reply.missing_ranks = part == nullptr ? std::vector<WorkerRank>{0} : part->Missing(view_);
    return replies.Add(from, std::move(reply));
  }
  // A push is known by its round, whoever waits for it; anything else is simply asked again.
  const bool over = entry.probed_op == Op::kPush && part != nullptr &&
                    entry.round <= part->DoneThrough(from.rank) &&
                    !IsForgotten(*part, from.rank, entry.round);
  if (over) {
    reply.progress = Progress::kDone;
    reply.SetStatus(part->PushStatus(from.rank, entry.round));
  }
  replies.Add(from, std::move(reply));
}

void ServerCore::Impl::OnLeave(const ReplyTo& from, const RequestEntry& entry,
                               ReplyBatch& replies) {
  ReplyEntry reply(entry);
  reply.progress = Progress::kDone;
  replies.Add(from, std::move(reply));
  if (view_.left[from.rank]) return;
  view_.left[from.rank] = true;
  std::vector<PartId> ids;
  for (const auto& [id, slot] : parts_) {
    if (slot->part != nullptr && slot->part->open()) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  for (const PartId id : ids) {
    PartSlot& slot = *parts_.at(id);
    const int commits = slot.part->CommitReady(view_, parking_);
    if (commits == 0) continue;
    committed_rounds_ += static_cast<uint64_t>(commits);
    AnswerWaiters(slot, replies);
  }
}

void ServerCore::Impl::OnSetOptimizer(const ReplyTo& from, const RequestFrame& frame,
                                      const RequestEntry& entry, ReplyBatch& replies) {
  ReplyEntry reply(entry);
  reply.progress = Progress::kDone;
  const bool repeat =
      from.incarnation == optimizer_incarnation_ && entry.request <= optimizer_request_;
  if (!frame.optimizer.has_value()) {
    reply.SetStatus(absl::InvalidArgumentError("SetOptimizer without an optimizer"));
  } else if (entry.op == Op::kCheckOptimizer) {
    const absl::Status fits = TryUpdater(*frame.optimizer).status();
    if (fits.ok()) KVS_CHECK(values_->SetOptimizer(optimizer_).ok());
    reply.SetStatus(fits);
  } else if (!repeat) {
    const absl::Status status = SetUpdater(*frame.optimizer);
    reply.SetStatus(status);
    if (status.ok()) {
      optimizer_incarnation_ = from.incarnation;
      optimizer_request_ = entry.request;
      optimizer_was_set_ = true;
      view_.has_updater = true;
    }
  }
  replies.Add(from, std::move(reply));
}

absl::StatusOr<uint64_t> ServerCore::Impl::TryUpdater(const OptimizerConfig& spec) {
  if (values_->has_own_updater() && spec.name != "assign") {
    return absl::FailedPreconditionError(
        fmt::format("SetOptimizer '{}': this server runs the updater of its program", spec.name));
  }
  KVS_RETURN_IF_ERROR(values_->SetOptimizer(spec));
  uint64_t needed = 0;
  for (const auto& [id, slot] : parts_) {
    if (slot->part != nullptr) needed += slot->part->value().Bytes();
    if (slot->creation != nullptr) needed += slot->creation->value->Bytes();
  }
  if (needed > options_.value_bytes_max) {
    KVS_CHECK(values_->SetOptimizer(optimizer_).ok());
    return absl::ResourceExhaustedError(
        fmt::format("optimizer '{}': {} bytes needed for values and states, at most {} expected",
                    spec.name, needed, options_.value_bytes_max));
  }
  return needed;
}

absl::Status ServerCore::Impl::SetUpdater(const OptimizerConfig& spec) {
  KVS_ASSIGN_OR_RETURN(value_bytes_, TryUpdater(spec));
  optimizer_ = spec;
  return absl::OkStatus();
}

absl::Status ServerCoreOptions::Check() const {
  if (rounds_ahead_max >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("rounds_ahead_max: at least 1 expected, got {}", rounds_ahead_max));
}

ServerCore::ServerCore(ServerCoreOptions options, ShardAddress self, ShardValues* values)
    : impl_(std::make_unique<Impl>(options, self, values)) {
  KVS_CHECK(options.Check().ok());
}
ServerCore::~ServerCore() = default;

void ServerCore::OnRouting(ClusterId cluster, Incarnation self, RoutingPtr routing) {
  impl_->OnRouting(cluster, self, std::move(routing));
}
void ServerCore::OnFrame(int64_t now_ms, PeerId peer, const RequestFrame& request,
                         ServerOutbox* out) {
  impl_->OnFrame(now_ms, peer, request, out);
}
std::vector<CommandRun> ServerCore::TakeCommands() { return impl_->TakeCommands(); }
void ServerCore::OnCommandDone(uint64_t ticket, absl::Status outcome, ServerOutbox* out) {
  impl_->OnCommandDone(ticket, std::move(outcome), out);
}
ShardStatus ServerCore::Status() const { return impl_->Status(); }

}  // namespace kvstore
