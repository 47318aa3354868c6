// Dispatch of requests: what each of them asks, and what refuses it.
// Over 450 lines: what an op asks of a part, and what is refused before anything has changed, reads
// as one list; the things it works on (PartTable, WaitingRoom, rounds, sequence) have files.
#include "server/core/server_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/model/store_mode.h"
#include "server/core/no_memory.h"
#include "server/core/server_core_impl.h"

namespace kvstore {

void ServerCore::Impl::OnRouting(ClusterId cluster, Incarnation self, RoutingPtr routing) {
  if (routing_ != nullptr && routing->epoch <= routing_->epoch) return;
  // A new job begins with nothing: no keys, nobody who waits or has left, no optimizer. A new epoch
  // of the same job changes only who routes to whom.
  if (routing_ == nullptr || routing->job != routing_->job) {
    const auto workers = static_cast<uint32_t>(routing->workers.size());
    std::vector<bool> left(workers, false);
    const StoreMode mode = StoreModeOf(routing->store_type);
    // The scheduler has refused a type whose bound is no number.
    const std::optional<uint64_t> staleness = StalenessBoundOf(routing->store_type);
    const bool waits = mode == StoreMode::kSync || staleness.has_value();
    std::vector<Waited> waited_for(waits ? workers : 0);
    parts_.Begin(mode, staleness, workers);
    // From here on nothing is allocated.
    view_.workers = workers;
    view_.left = std::move(left);
    waited_for_ = std::move(waited_for);
    waiting_.Clear();
    optimizer_was_set_ = false;
    optimizer_request_ = 0;
    optimizer_incarnation_ = 0;
    numbers_request_ = 0;
    begun_step_ = 0;
    times_set_ = 0;
    held_.reset();
    view_.held_from = UINT64_MAX;
    command_log_.Clear();
    commands_.clear();
  }
  cluster_ = cluster;
  incarnation_ = self;
  routing_ = std::move(routing);
}

// Which refusals say "come again" and which are final: a frame that is ahead of us (a later job,
// epoch or life of a worker) is put off, because the scheduler's word is on its way to us, too; a
// frame from the past (an earlier job, a replaced worker) is refused for good.
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
  if (header.rank == kReaderRank) return absl::OkStatus();
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
  // A program may set its own updater at any time, so this is asked anew for every frame.
  view_.has_updater = optimizer_was_set_ || values_->has_own_updater();
  ReplyBatch replies(ReplyHeader(), out, request.entries.size());
  const ReplyTo from{peer, request.header.rank, request.header.incarnation};
  bool retry = false;
  const absl::Status header = CheckHeader(request.header, &retry);
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
  if (op->scope == OpScope::kPart && !(routing_->OwnerOf(entry.id()) == self_)) {
    *retry = true;
    return absl::UnavailableError(fmt::format("slot {} is not owned here", SlotOf(entry.id())));
  }
  if (op->scope == OpScope::kFirstShard && self_.shard != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: shard 0 of the server expected, got shard {}", op->name, self_.shard));
  }
  if (op->rank_0_only && from.rank != 0) {
    const std::string key = op->scope == OpScope::kPart ? parts_.Label(entry.key) + ": " : "";
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
    case Op::kSetNumbers:
      return OnSetNumbers(from, frame, entry, replies);
    case Op::kCommand:
    case Op::kProfile:
      return OnCommand(from, frame, entry, replies);
    case Op::kTakeBack:
      return OnTakeBack(from, entry, replies);
    case Op::kNorms:
      return OnNorms(from, entry, replies);
    case Op::kDelete:
      return OnDelete(from, entry, replies);
    case Op::kReset:
      return OnReset(from, entry, replies);
    case Op::kReadState:
      return OnReadState(from, entry, replies);
    case Op::kWriteState:
      return OnWriteState(from, entry, replies);
    case Op::kUnspecified:
      break;
  }
  CheckFailed("an op of kOps", __FILE__, __LINE__, OpName(entry.op));  // CheckSent refuses others
}

// ---- the ops

void ServerCore::Impl::OnInit(const ReplyTo& from, const RequestFrame& frame,
                              const RequestEntry& entry, ReplyBatch& replies) {
  ReplyEntry reply(entry);
  const KeySpec* spec = FindKeySpec(frame, entry);
  if (spec == nullptr) {
    reply.SetStatus(absl::InvalidArgumentError(
        fmt::format("{}: Init without a description of the key", parts_.Label(entry.key))));
    return replies.Add(from, std::move(reply));
  }
  const bool reads = from.rank == kReaderRank;
  if (!reads && spec->nan_policy != options_.nan_policy) {
    reply.SetStatus(absl::FailedPreconditionError(fmt::format(
        "{}: nan-policy '{}' expected, as this server has it, worker {} has '{}': give all workers "
        "and servers one",
        KeyLabel(spec->key, spec->name), NanPolicyName(options_.nan_policy), from.rank,
        NanPolicyName(spec->nan_policy))));
    return replies.Add(from, std::move(reply));
  }
  const PartId id = entry.id();
  const bool creates = entry.piece.create || !entry.piece.data.empty();
  PartRecord* record = parts_.Find(id);
  if (record != nullptr && record->part != nullptr) {
    const KeySpec& key = record->part->key();
    absl::Status status =
        reads ? PartTable::CheckSameValue(key, *spec) : PartTable::CheckSameKey(key, *spec);
    // A second Init of the key by the same rank 0, not a repeat of the first: refused. A repeat, or
    // a worker that waits for the value, is told that it is there.
    const bool again = creates && record->init_incarnation == from.incarnation &&
                       entry.request > record->init_request;
    if (again) record->init_refused = std::max(record->init_refused, entry.request);
    if (status.ok() && again) {
      status = absl::AlreadyExistsError(fmt::format("{} exists already", parts_.Label(entry.key)));
    }
    reply.progress = Progress::kDone;
    reply.life = record->life;
    reply.SetStatus(status);
    return replies.Add(from, std::move(reply), spec->shape_unknown ? &key : nullptr);
  }
  // There is no value yet. Who does not bring it waits for rank 0.
  if (!creates) {
    bool retry = false;
    const absl::Status parked = waiting_.Park(
        {from, entry, std::make_shared<const KeySpec>(*spec), {}, /*answered=*/false, now_ms_},
        &retry);
    if (parked.ok()) return;
    reply.SetStatus(parked);
    if (retry) reply.retry_after_ms = options_.retry_after_ms;
    return replies.Add(from, std::move(reply));
  }
  reply.progress = Progress::kDone;
  reply.SetStatus(parts_.Create(from, *spec, entry));
  record = parts_.Find(id);
  if (record != nullptr) reply.life = record->life;
  replies.Add(from, std::move(reply));
  if (record != nullptr && record->part != nullptr) {
    waiting_.AnswerReady(from.rank, *record, replies);
  }
}

void ServerCore::Impl::OnTakeBack(const ReplyTo& from, const RequestEntry& entry,
                                  ReplyBatch& replies) {
  ReplyEntry reply(entry, parts_.TakeBack(from, entry));
  reply.progress = Progress::kDone;
  replies.Add(from, std::move(reply));
}

absl::Status ServerCore::Impl::CheckPush(const ReplyTo& from, const Part& part,
                                         const RequestEntry& entry) const {
  const Piece& piece = entry.piece;
  // All fragments of a contribution say how many they are; only rows come in several.
  const bool many = part.key().storage == Storage::kRowSparse;
  const uint32_t begun = part.FragmentsOf(from.rank, entry.round);  // 0: none came before
  const uint32_t expected = begun > 0 ? begun : many ? piece.fragments : 1;
  if (piece.fragments != expected || piece.fragment >= piece.fragments) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a fragment of {}{} expected, got {} of {}", parts_.Label(entry.key),
                    expected, many ? "" : " (the key is dense)", piece.fragment, piece.fragments));
  }
  if (absl::Status fits = part.value().Check(Op::kPush, piece); !fits.ok()) return fits;
  const Round done = part.DoneThrough(from.rank);
  if (entry.round <= done) return absl::OkStatus();
  if (entry.round - done > options_.rounds_ahead_max) {
    return absl::FailedPreconditionError(fmt::format(
        "{} part {}: round {} is more than {} ahead of version {}: an earlier push was refused, "
        "or an acknowledged round was lost",
        parts_.Label(entry.key), entry.part, entry.round, options_.rounds_ahead_max, done));
  }
  if (view_.left[from.rank] && begun == 0) {
    return absl::FailedPreconditionError(
        fmt::format("{}: worker {} has left the job", parts_.Label(entry.key), from.rank));
  }
  return absl::OkStatus();
}

absl::Status ServerCore::Impl::CheckFinite(const ReplyTo& from, const Part& part,
                                           const RequestEntry& entry, std::string* seen) const {
  // What is over is not looked at again: it is answered as it was.
  if (options_.nan_policy == NanPolicy::kAllow || entry.round <= part.DoneThrough(from.rank)) {
    return absl::OkStatus();
  }
  const std::string where = part.value().NotFinite(entry.piece);
  if (where.empty()) return absl::OkStatus();
  *seen = fmt::format("{} part {}: worker {} round {}: {}", parts_.Label(entry.key), entry.part,
                      from.rank, entry.round, where);
  if (options_.nan_policy != NanPolicy::kReject) return absl::OkStatus();
  return absl::InvalidArgumentError(*seen + ", nan-policy 'reject' wants finite numbers");
}

void ServerCore::Impl::OnPush(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies) {
  ReplyEntry reply(entry);
  PartRecord* record = parts_.Find(entry.id());
  const auto answer = [&](const absl::Status& status) {
    reply.SetStatus(status);
    replies.Add(from, std::move(reply));
  };
  if (const absl::Status there = parts_.CheckLife(record, entry); !there.ok()) return answer(there);
  Part& part = *record->part;
  const WorkSpan span(recorder_, {Work::kPush, &part.key(), entry.part, entry.round, from.rank,
                                  entry.piece.data.size(), 0});
  if (const absl::Status fits = CheckPush(from, part, entry); !fits.ok()) return answer(fits);
  const PushId push{from.rank, entry.round, entry.step};
  const bool was_open = part.open();
  const int64_t since_ms = part.open_since_ms();
  const Round version = part.version();
  const bool measured = part.measuring();
  Part::Accepted accepted = Part::Accepted::kNoRoom;
  const uint64_t charged = record->charged;
  PartTable::Room room = PartTable::Room::kNotNeeded;  // for rows that are new
  absl::Status finite;
  std::string seen;
  try {
    finite = CheckFinite(from, part, entry, &seen);
    if (finite.ok() && !part.Has(push, entry.piece.fragment)) {
      room = parts_.Reserve(*record, push, entry.piece);
    }
    // What there is no room for is not kept; but the contribution is made, so that its round ends.
    Piece without_rows;
    without_rows.fragment = entry.piece.fragment;
    without_rows.fragments = entry.piece.fragments;
    const Piece& piece = room == PartTable::Room::kNone ? without_rows : entry.piece;
    if (finite.ok()) accepted = part.Contribute(now_ms_, push, piece, view_, waiting_.parking());
    // The push waits for its round even if that is about to be committed: Commit then answers it
    // with all the others. Its bytes are counted in the parking lot or in the sum, not here, so
    // that there is always room.
    bool retry = false;
    const bool ours = accepted == Part::Accepted::kTaken || accepted == Part::Accepted::kRepeat;
    Waiter waiter{from, entry, {}, {}, /*answered=*/false, now_ms_};
    if (ours) KVS_CHECK(waiting_.Park(std::move(waiter), &retry).ok());
  } catch (const std::bad_alloc&) {
    // What is not held is sent again, and then counted anew.
    if (!part.Has(push, entry.piece.fragment)) parts_.Unreserve(*record, room, charged);
    reply.retry_after_ms = options_.retry_after_ms;
    return answer(NoMemory(parts_.Label(entry.key), entry.part,
                           fmt::format("a contribution of {} bytes", entry.piece.data.size())));
  }
  if (!seen.empty() && (!finite.ok() || accepted == Part::Accepted::kTaken)) {
    ++not_finite_pushes_;
    if (options_.nan_policy == NanPolicy::kWarn) warning_ = std::move(seen);
  }
  if (!finite.ok()) return answer(finite);
  switch (accepted) {
    case Part::Accepted::kDone:
      reply.progress = Progress::kDone;
      reply.data = NormsFor(part, from.rank, entry.round);
      return answer(part.PushStatus(from.rank, entry.round));
    case Part::Accepted::kNoRoom:
      parts_.Unreserve(*record, room, charged);
      reply.retry_after_ms = options_.retry_after_ms;
      return answer(waiting_.parking().Full(parts_.Label(entry.key)));
    case Part::Accepted::kTaken:
    case Part::Accepted::kRepeat:
      break;
  }
  const bool made = Commit(from.rank, *record, replies);
  // All contributions are there: nobody else is waited for.
  const bool complete = part.version() > version || (part.measuring() && !measured);
  if (was_open && complete && !part.bounds_staleness()) {
    CountWait(from.rank, since_ms);
  }
  // Not committed, so not answered yet: `received` tells the worker that its bytes are ours, and
  // may leave its window.
  if (part.DoneThrough(from.rank) < entry.round) {
    reply.progress = Progress::kReceived;
    reply.data = NormsFor(part, from.rank, entry.round);
    replies.Add(from, std::move(reply));
  }
  if (!made) AskForPushAgain(*record, from.rank, replies);
}

bool ServerCore::Impl::Commit(WorkerRank by, PartRecord& record, ReplyBatch& replies) {
  int commits = 0;
  bool done = true;
  try {
    record.part->CommitReady(view_, waiting_.parking(), &commits);
  } catch (const std::bad_alloc&) {
    done = false;
  }
  if (commits > 0) parts_.Settle(record);
  committed_rounds_ += static_cast<uint64_t>(commits);
  begun_step_ = std::max(begun_step_, record.part->begun_step());
  if (record.part->TakeNormNews()) WaitingRoom::TellNorms(record, replies);
  // A worker that left makes no version, and yet nobody waits for it any more.
  const bool bounded = record.part->bounds_staleness();
  if (commits == 0 && !bounded) return done;
  const std::optional<int64_t> waited_since_ms = waiting_.AnswerReady(by, record, replies);
  if (bounded && waited_since_ms.has_value()) CountWait(by, *waited_since_ms);
  return done;
}

// With two parts that wait for rank 1, from 100 and from 150 on, and its contributions at 200 and
// 230: the first counts 100 to 200, the second what of 150 to 230 is not counted yet, 200 to 230.
// So rank 1 was waited for 130 ms.
void ServerCore::Impl::CountWait(WorkerRank last, int64_t since_ms) {
  if (last >= waited_for_.size()) return;
  Waited& waited = waited_for_[last];
  const int64_t from_ms = std::max(since_ms, waited.until_ms);
  if (now_ms_ <= from_ms) return;
  waited.total_ms += now_ms_ - from_ms;
  waited.until_ms = now_ms_;
}

void ServerCore::Impl::AskForPushAgain(const PartRecord& record, WorkerRank rank,
                                       ReplyBatch& replies) {
  const Waiter* oldest = nullptr;
  for (const Waiter& waiter : record.waiters) {
    if (waiter.to.rank != rank || waiter.request.op != Op::kPush) continue;
    if (oldest == nullptr || waiter.request.round < oldest->request.round) oldest = &waiter;
  }
  if (oldest == nullptr) return;
  const PartId id = oldest->request.id();
  ReplyEntry reply(oldest->request, NoMemory(parts_.Label(id.key), id.part, "an update"));
  reply.retry_after_ms = options_.retry_after_ms;
  replies.Add(oldest->to, std::move(reply));
}

void ServerCore::Impl::OnPull(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies) {
  ReplyEntry reply(entry);
  PartRecord* const record = parts_.Find(entry.id());
  if (const absl::Status there = parts_.CheckLife(record, entry); !there.ok()) {
    reply.SetStatus(there);
    return replies.Add(from, std::move(reply));
  }
  Part* const part = record->part.get();
  Waiter waiter{from, entry, {}, entry.piece, /*answered=*/false, now_ms_};
  absl::Status status = part->value().Check(Op::kPull, waiter.asked);
  if (status.ok() && from.rank == kReaderRank && entry.round > 0 && parts_.asynchronous()) {
    status = absl::FailedPreconditionError(
        fmt::format("{}: a reader's pull without a round expected, as there are none here, got {}",
                    parts_.Label(entry.key), entry.round));
  }
  bool retry = false;
  if (status.ok()) {
    // Answered at once if the version is there, else when Commit makes it.
    if (waiting_.Answer(waiter, *part, record->life, replies)) return;
    try {
      status = waiting_.Park(std::move(waiter), &retry);
    } catch (const std::bad_alloc&) {
      retry = true;
      status = NoMemory(parts_.Label(entry.key), entry.part, "a pull that waits");
    }
    if (status.ok() && entry.piece.data.empty()) return;
    // The ids are copied: their bytes no longer count against the worker's window.
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
  PartRecord* record = parts_.Find(entry.id());
  if (record == nullptr) return replies.Add(from, std::move(reply));
  // What it asks after ended with its part.
  const bool lives = entry.probed_op == Op::kPush || entry.probed_op == Op::kPull;
  if (lives && entry.life != record->life) {
    reply.progress = Progress::kUnspecified;
    reply.SetStatus(parts_.CheckLife(record, entry));
    return replies.Add(from, std::move(reply));
  }
  const Part* part = record->part.get();

  // A parked request moves to the stream that asks.
  if (Waiter* waiter = WaitingRoom::Find(*record, from, entry.request)) {
    waiter->to = from;
    // A version may be due that there was no memory for when it was; whoever asks after a request
    // has it tried again.
    const bool made = part == nullptr || Commit(from.rank, *record, replies);
    waiter = WaitingRoom::Find(*record, from, entry.request);
    if (waiter == nullptr || waiting_.AnswerIfReady(*record, *waiter, replies)) return;
    reply.progress = Progress::kReceived;
    const bool ends = waiter->request.op == Op::kDelete || waiter->request.op == Op::kReset;
    if (part == nullptr || ends) {
      reply.missing_ranks = {0};  // which is to make it, to delete it or to reset it
    } else if (waiter->request.op == Op::kPull) {
      reply.missing_ranks = part->WaitOfPull(view_, from.rank, waiter->request.round).missing;
    } else {
      reply.missing_ranks = part->Missing(view_);
    }
    if (waiter->request.op == Op::kPush) reply.data = NormsFor(*part, from.rank, entry.round);
    if (part != nullptr && part->held(view_)) reply.message = HeldBy(view_.held_from);
    replies.Add(from, std::move(reply));
    if (!made) AskForPushAgain(*record, from.rank, replies);
    return;
  }
  // Nobody waits for it here. A push that is over is known by its round all the same; any other
  // request is `unknown`, and simply sent again.
  const bool over = entry.probed_op == Op::kPush && part != nullptr &&
                    entry.round <= part->DoneThrough(from.rank);
  if (over) {
    reply.progress = Progress::kDone;
    reply.data = NormsFor(*part, from.rank, entry.round);
    reply.SetStatus(part->PushStatus(from.rank, entry.round));
  }
  replies.Add(from, std::move(reply));
}

void ServerCore::Impl::OnLeave(const ReplyTo& from, const RequestEntry& entry,
                               ReplyBatch& replies) {
  // Rounds that waited for this worker alone may be complete now.
  const std::vector<PartId> open = parts_.OpenParts();
  view_.left[from.rank] = true;
  bool done = true;
  for (const PartId id : open) {
    PartRecord& record = *parts_.Find(id);
    const int64_t since_ms = record.part->open_since_ms();
    const Round version = record.part->version();
    const bool measured = record.part->measuring();
    done &= Commit(from.rank, record, replies);
    const bool complete =
        record.part->version() > version || (record.part->measuring() && !measured);
    if (complete) CountWait(from.rank, since_ms);
  }
  ReplyEntry reply(entry);
  if (done) {
    reply.progress = Progress::kDone;
  } else {  // its repeat goes on
    reply.SetStatus(
        absl::ResourceExhaustedError("memory for an update expected, the system has no more"));
    reply.retry_after_ms = options_.retry_after_ms;
  }
  replies.Add(from, std::move(reply));
}

// ----

ShardStatus ServerCore::Impl::Status() const {
  ShardStatus status;
  parts_.Report(view_, &status);
  status.parked_bytes = waiting_.parked_bytes();
  status.committed_rounds = committed_rounds_;
  status.not_finite_pushes = not_finite_pushes_;
  for (const Waited& waited : waited_for_) status.waited_for_ms.push_back(waited.total_ms);
  return status;
}

absl::Status ServerCoreOptions::Check() const {
  if (rounds_ahead_max >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("rounds_ahead_max: at least 1 expected, got {}", rounds_ahead_max));
}

ServerCore::ServerCore(ServerCoreOptions options, ShardAddress self, ShardValues* values,
                       WorkRecorder* recorder)
    : impl_(std::make_unique<Impl>(options, self, values, recorder)) {
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
void ServerCore::OnPeerDown(PeerId peer) noexcept { impl_->OnPeerDown(peer); }
std::string ServerCore::TakeWarning() { return impl_->TakeWarning(); }
ShardStatus ServerCore::Status() const { return impl_->Status(); }
std::vector<KeyStats> ServerCore::StatsOf(const KeyQuery& query, uint64_t* keys) const {
  return impl_->StatsOf(query, keys);
}

}  // namespace kvstore
