// Dispatch of requests, waiting and answering. The rounds themselves are in rounds.cc.
#include "server/core/server_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/base/check.h"
#include "common/base/mutation.h"
#include "server/core/reply_batch.h"
#include "server/core/rounds.h"

namespace kvstore {
namespace {

// A request that is answered later. Named by (rank, request); asked again, it moves to the newer
// stream.
struct Waiter {
  Op op = Op::kUnspecified;
  ReplyTo to;
  RequestId request = 0;
  Round round = 0;
  uint64_t step = 0;
  KeySpec key;  // kInit: what the waiter expects the key to be
};

struct PartSlot {
  std::unique_ptr<PartRounds> rounds;  // null until Init brought the value
  std::vector<Waiter> waiters;
  RequestId init_request = 0;
  Incarnation init_incarnation = 0;
};

PartEntry EchoOf(const PartEntry& request) {
  PartEntry reply;
  reply.op = request.op;
  reply.key = request.key;
  reply.part = request.part;
  reply.round = request.round;
  reply.request = request.request;
  reply.step = request.step;
  reply.probed_op = request.probed_op;
  return reply;
}

PartEntry EchoOf(const Waiter& waiter, PartId id) {
  PartEntry reply;
  reply.op = waiter.op;
  reply.key = id.key;
  reply.part = id.part;
  reply.round = waiter.round;
  reply.request = waiter.request;
  reply.step = waiter.step;
  return reply;
}

void SetStatus(PartEntry& reply, const absl::Status& status) {
  reply.code = status.code();
  reply.message = std::string(status.message());
}

}  // namespace

class ServerCore::Impl {
 public:
  Impl(ServerCoreOptions options, ShardAddress self, PartMath* math)
      : options_(options), self_(self), math_(math) {
    parking_.bytes_max = options.parked_bytes_max;
  }

  void OnRouting(ClusterId cluster, Incarnation self, RoutingPtr routing);
  void OnFrame(int64_t now_ms, PeerId peer, const Frame& request, ServerOutbox* out);
  ShardStatus Status() const;

 private:
  // What the whole frame must satisfy before its entries are looked at. `*retry` is set when the
  // sender should simply send it again.
  absl::Status CheckHeader(const FrameHeader& header, bool* retry) const;
  bool Owns(PartId id) const { return routing_->OwnerOf(id) == self_; }
  PartSlot* Find(PartId id);
  std::string Label(KeyId key) const;
  FrameHeader ReplyHeader() const;

  void OnEntry(const ReplyTo& from, const Frame& frame, const PartEntry& entry,
               ReplyBatch& replies);
  void OnInit(const ReplyTo& from, const Frame& frame, const PartEntry& entry, ReplyBatch& replies);
  void OnPush(const ReplyTo& from, const PartEntry& entry, ReplyBatch& replies);
  void OnPull(const ReplyTo& from, const PartEntry& entry, ReplyBatch& replies);
  void OnProbe(const ReplyTo& from, const PartEntry& entry, ReplyBatch& replies);
  void OnLeave(const ReplyTo& from, const PartEntry& entry, ReplyBatch& replies);
  void OnSetOptimizer(const ReplyTo& from, const Frame& frame, const PartEntry& entry,
                      ReplyBatch& replies);

  absl::StatusOr<const KeySpec*> AddKey(const KeySpec& spec);
  static absl::Status CheckSameKey(const KeySpec& have, const KeySpec& want);
  PartSlot& AddSlot(PartId id);
  // A repeat takes the place of what it repeats. Errors: RESOURCE_EXHAUSTED, then nothing is kept.
  absl::Status Park(PartId id, Waiter waiter);
  void AnswerWaiters(PartId id, PartSlot& slot, ReplyBatch& replies);
  // True when the waiter got its answer.
  bool Answer(const Waiter& waiter, PartId id, const PartSlot& slot, ReplyBatch& replies);

  const ServerCoreOptions options_;
  const ShardAddress self_;
  PartMath* const math_;

  ClusterId cluster_ = 0;
  Incarnation incarnation_ = 0;
  RoutingPtr routing_;
  View view_;
  int64_t now_ms_ = 0;

  std::map<KeyId, std::unique_ptr<KeySpec>> keys_;
  absl::flat_hash_map<PartId, std::unique_ptr<PartSlot>, PartIdHash> parts_;
  ParkingLot parking_;
  uint64_t value_bytes_ = 0;
  uint64_t waiting_ = 0;  // waiters of all parts
  uint64_t committed_rounds_ = 0;
  RequestId optimizer_request_ = 0;
  Incarnation optimizer_incarnation_ = 0;
};

void ServerCore::Impl::OnRouting(ClusterId cluster, Incarnation self, RoutingPtr routing) {
  if (routing_ != nullptr && routing->epoch <= routing_->epoch) return;
  if (routing_ == nullptr || routing->job != routing_->job) {
    if (routing_ != nullptr) KVS_CHECK(math_->SetOptimizer(OptimizerConfig{"assign", {}}).ok());
    keys_.clear();
    parts_.clear();
    parking_.bytes = 0;
    value_bytes_ = 0;
    waiting_ = 0;
    view_.workers = static_cast<uint32_t>(routing->workers.size());
    view_.left.assign(view_.workers, false);
    optimizer_request_ = 0;
    optimizer_incarnation_ = 0;
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

void ServerCore::Impl::OnFrame(int64_t now_ms, PeerId peer, const Frame& request,
                               ServerOutbox* out) {
  now_ms_ = now_ms;
  ReplyBatch replies(ReplyHeader(), out);
  const ReplyTo from{peer, request.header.rank, request.header.incarnation};
  bool retry = false;
  const absl::Status header = CheckHeader(request.header, &retry);
  for (const PartEntry& entry : request.parts) {
    absl::Status status = header;
    bool retry_entry = retry;
    const bool about_part = entry.op != Op::kLeave && entry.op != Op::kSetOptimizer;
    if (status.ok() && about_part && !Owns({entry.key, entry.part})) {
      status = absl::UnavailableError(
          fmt::format("slot {} is not owned here", SlotOf({entry.key, entry.part})));
      retry_entry = true;
    }
    if (status.ok()) {
      OnEntry(from, request, entry, replies);
      continue;
    }
    PartEntry reply = EchoOf(entry);
    SetStatus(reply, status);
    if (retry_entry) reply.retry_after_ms = options_.retry_after_ms;
    replies.Add(from, std::move(reply));
  }
}

void ServerCore::Impl::OnEntry(const ReplyTo& from, const Frame& frame, const PartEntry& entry,
                               ReplyBatch& replies) {
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
      return OnSetOptimizer(from, frame, entry, replies);
    case Op::kCommand:
    case Op::kUnspecified:
      break;
  }
  PartEntry reply = EchoOf(entry);
  SetStatus(reply, absl::InvalidArgumentError(
                       fmt::format("a known op expected, got {}", static_cast<int>(entry.op))));
  replies.Add(from, std::move(reply));
}

PartSlot* ServerCore::Impl::Find(PartId id) {
  const auto it = parts_.find(id);
  return it == parts_.end() ? nullptr : it->second.get();
}

std::string ServerCore::Impl::Label(KeyId key) const {
  const auto it = keys_.find(key);
  return KeyLabel(key, it == keys_.end() ? std::string_view() : it->second->name);
}

absl::Status ServerCore::Impl::CheckSameKey(const KeySpec& have, const KeySpec& want) {
  if (have.name != want.name) {
    return absl::AlreadyExistsError(
        fmt::format("{} and {} have the same key id {:016x}; rename one of them",
                    KeyLabel(have.key, have.name), KeyLabel(want.key, want.name), have.key));
  }
  if (want.shape_unknown) return absl::OkStatus();
  if (have.dtype != want.dtype || have.shape != want.shape) {
    return absl::InvalidArgumentError(fmt::format("{}: shape {} of {} expected, got {} of {}",
                                                  KeyLabel(have.key, have.name),
                                                  ShapeString(have.shape), DTypeName(have.dtype),
                                                  ShapeString(want.shape), DTypeName(want.dtype)));
  }
  return absl::OkStatus();
}

absl::StatusOr<const KeySpec*> ServerCore::Impl::AddKey(const KeySpec& spec) {
  auto [it, created] = keys_.try_emplace(spec.key);
  if (created) {
    it->second = std::make_unique<KeySpec>(spec);
  } else if (absl::Status same = CheckSameKey(*it->second, spec); !same.ok()) {
    return same;
  }
  return it->second.get();
}

void ServerCore::Impl::OnInit(const ReplyTo& from, const Frame& frame, const PartEntry& entry,
                              ReplyBatch& replies) {
  PartEntry reply = EchoOf(entry);
  const KeySpec* spec = FindKeySpec(frame, entry);
  if (spec == nullptr) {
    SetStatus(reply, absl::InvalidArgumentError(fmt::format(
                         "{}: Init without a description of the key", Label(entry.key))));
    return replies.Add(from, std::move(reply));
  }
  const PartId id{entry.key, entry.part};
  PartSlot* slot = Find(id);

  const bool creates = !entry.data.empty();
  if ((slot == nullptr || slot->rounds == nullptr) && !creates) {
    Waiter waiter{Op::kInit, from, entry.request, 0, entry.step, *spec};
    const absl::Status parked = Park(id, std::move(waiter));
    if (parked.ok()) return;
    SetStatus(reply, parked);
    return replies.Add(from, std::move(reply));
  }
  reply.progress = Progress::kDone;
  if (slot != nullptr && slot->rounds != nullptr) {
    absl::Status status = CheckSameKey(slot->rounds->key(), *spec);
    const bool again = creates && slot->init_incarnation == from.incarnation &&
                       slot->init_request != entry.request;
    if (status.ok() && again) {
      status = absl::AlreadyExistsError(fmt::format("{} exists already", Label(entry.key)));
    }
    SetStatus(reply, status);
    return replies.Add(from, std::move(reply));
  }

  if (from.rank != 0) {
    SetStatus(reply, absl::InvalidArgumentError(
                         fmt::format("{}: the value of Init comes from rank 0, got it from rank {}",
                                     KeyLabel(spec->key, spec->name), from.rank)));
    return replies.Add(from, std::move(reply));
  }
  // The value, and the accumulator that invariant I5 reserves.
  const uint64_t needed = 2 * entry.data.size();
  if (value_bytes_ + needed > options_.value_bytes_max) {
    SetStatus(reply,
              absl::ResourceExhaustedError(fmt::format("{}: {} bytes needed, {} of {} are in use",
                                                       KeyLabel(spec->key, spec->name), needed,
                                                       value_bytes_, options_.value_bytes_max)));
    return replies.Add(from, std::move(reply));
  }
  absl::StatusOr<const KeySpec*> key = AddKey(*spec);
  if (!key.ok()) {
    SetStatus(reply, key.status());
    return replies.Add(from, std::move(reply));
  }
  value_bytes_ += needed;
  if (slot == nullptr) slot = &AddSlot(id);
  slot->rounds = std::make_unique<PartRounds>(id, *key, math_->Copy(entry.data));
  slot->init_request = entry.request;
  slot->init_incarnation = from.incarnation;
  replies.Add(from, std::move(reply));
  AnswerWaiters(id, *slot, replies);
}

void ServerCore::Impl::OnPush(const ReplyTo& from, const PartEntry& entry, ReplyBatch& replies) {
  PartEntry reply = EchoOf(entry);
  const PartId id{entry.key, entry.part};
  PartSlot* slot = Find(id);
  const auto refuse = [&](const absl::Status& status) {
    SetStatus(reply, status);
    replies.Add(from, std::move(reply));
  };
  if (slot == nullptr || slot->rounds == nullptr) {
    return refuse(absl::NotFoundError(fmt::format("{} has no Init", Label(entry.key))));
  }
  PartRounds& rounds = *slot->rounds;
  if (entry.data.size() != rounds.value()->size()) {
    return refuse(absl::InvalidArgumentError(
        fmt::format("{} part {}: {} bytes expected, got {}", Label(entry.key), entry.part,
                    rounds.value()->size(), entry.data.size())));
  }
  if (entry.round > rounds.version() &&
      entry.round - rounds.version() > options_.rounds_ahead_max) {
    return refuse(absl::FailedPreconditionError(fmt::format(
        "{} part {}: round {} is more than {} ahead of version {}: an acknowledged "
        "round was lost",
        Label(entry.key), entry.part, entry.round, options_.rounds_ahead_max, rounds.version())));
  }
  if (entry.round > rounds.version() && view_.left[from.rank] &&
      !rounds.HasContribution(from.rank, entry.round)) {
    return refuse(absl::FailedPreconditionError(
        fmt::format("{}: worker {} has left the job", Label(entry.key), from.rank)));
  }
  switch (rounds.Contribute(now_ms_, from.rank, entry.round, entry.data, view_, parking_, *math_)) {
    case PartRounds::Accepted::kCommitted:
      reply.progress = Progress::kDone;
      return refuse(rounds.RoundStatus(entry.round));
    case PartRounds::Accepted::kNoRoom:
      reply.retry_after_ms = options_.retry_after_ms;
      return refuse(absl::ResourceExhaustedError(
          fmt::format("{} part {}: {} of {} bytes for early contributions are in use",
                      Label(entry.key), entry.part, parking_.bytes, parking_.bytes_max)));
    case PartRounds::Accepted::kTaken:
    case PartRounds::Accepted::kRepeat:
      break;
  }
  KVS_CHECK(Park(id, Waiter{Op::kPush, from, entry.request, entry.round, entry.step, {}}).ok());
  if (const int commits = rounds.CommitReady(view_, parking_, *math_); commits > 0) {
    committed_rounds_ += static_cast<uint64_t>(commits);
    AnswerWaiters(id, *slot, replies);
  }
  if (rounds.version() < entry.round) {
    reply.progress = Broken(Mutation::kAckBeforeApply) ? Progress::kDone : Progress::kReceived;
    replies.Add(from, std::move(reply));
  }
}

void ServerCore::Impl::OnPull(const ReplyTo& from, const PartEntry& entry, ReplyBatch& replies) {
  const PartId id{entry.key, entry.part};
  PartSlot* slot = Find(id);
  if (slot == nullptr || slot->rounds == nullptr) {
    PartEntry reply = EchoOf(entry);
    SetStatus(reply, absl::NotFoundError(fmt::format("{} has no Init", Label(entry.key))));
    return replies.Add(from, std::move(reply));
  }
  Waiter waiter{Op::kPull, from, entry.request, entry.round, entry.step, {}};
  if (Answer(waiter, id, *slot, replies)) return;
  const absl::Status parked = Park(id, std::move(waiter));
  if (parked.ok()) return;
  PartEntry reply = EchoOf(entry);
  SetStatus(reply, parked);
  replies.Add(from, std::move(reply));
}

void ServerCore::Impl::OnProbe(const ReplyTo& from, const PartEntry& entry, ReplyBatch& replies) {
  PartEntry reply = EchoOf(entry);
  reply.progress = Progress::kUnknown;
  PartSlot* slot = Find({entry.key, entry.part});
  if (slot == nullptr) return replies.Add(from, std::move(reply));
  PartRounds* rounds = slot->rounds.get();

  // A parked request moves to the stream that asks.
  for (Waiter& waiter : slot->waiters) {
    if (waiter.to.rank != from.rank || waiter.request != entry.request) continue;
    waiter.to = from;
    reply.progress = Progress::kReceived;
    reply.missing_ranks = rounds == nullptr ? std::vector<WorkerRank>{0} : rounds->Missing(view_);
    return replies.Add(from, std::move(reply));
  }
  // A push is known by its round, whoever waits for it; anything else is simply asked again.
  if (entry.probed_op == Op::kPush && rounds != nullptr && entry.round <= rounds->version()) {
    reply.progress = Progress::kDone;
    SetStatus(reply, rounds->RoundStatus(entry.round));
  }
  replies.Add(from, std::move(reply));
}

void ServerCore::Impl::OnLeave(const ReplyTo& from, const PartEntry& entry, ReplyBatch& replies) {
  PartEntry reply = EchoOf(entry);
  reply.progress = Progress::kDone;
  replies.Add(from, std::move(reply));
  if (view_.left[from.rank]) return;
  view_.left[from.rank] = true;
  std::vector<PartId> ids;
  for (const auto& [id, slot] : parts_) {
    if (slot->rounds != nullptr && slot->rounds->open()) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  for (const PartId id : ids) {
    PartSlot& slot = *parts_.at(id);
    const int commits = slot.rounds->CommitReady(view_, parking_, *math_);
    if (commits == 0) continue;
    committed_rounds_ += static_cast<uint64_t>(commits);
    AnswerWaiters(id, slot, replies);
  }
}

void ServerCore::Impl::OnSetOptimizer(const ReplyTo& from, const Frame& frame,
                                      const PartEntry& entry, ReplyBatch& replies) {
  PartEntry reply = EchoOf(entry);
  reply.progress = Progress::kDone;
  const bool repeat =
      from.incarnation == optimizer_incarnation_ && entry.request <= optimizer_request_;
  if (!frame.optimizer.has_value()) {
    SetStatus(reply, absl::InvalidArgumentError("SetOptimizer without an optimizer"));
  } else if (from.rank != 0) {
    SetStatus(reply, absl::InvalidArgumentError(fmt::format(
                         "SetOptimizer comes from rank 0, got it from rank {}", from.rank)));
  } else if (!repeat) {
    const absl::Status status = math_->SetOptimizer(*frame.optimizer);
    SetStatus(reply, status);
    if (status.ok()) {
      optimizer_incarnation_ = from.incarnation;
      optimizer_request_ = entry.request;
    }
  }
  replies.Add(from, std::move(reply));
}

PartSlot& ServerCore::Impl::AddSlot(PartId id) {
  std::unique_ptr<PartSlot>& slot = parts_[id];
  if (slot == nullptr) slot = std::make_unique<PartSlot>();
  return *slot;
}

absl::Status ServerCore::Impl::Park(PartId id, Waiter waiter) {
  PartSlot* slot = Find(id);
  if (slot != nullptr) {
    for (Waiter& parked : slot->waiters) {
      if (parked.to.rank == waiter.to.rank && parked.request == waiter.request) {
        parked = std::move(waiter);
        return absl::OkStatus();
      }
    }
  }
  // Pushes are bounded by the rounds that may be open.
  if (waiter.op != Op::kPush && waiting_ >= options_.waiting_max) {
    return absl::ResourceExhaustedError(
        fmt::format("{}: at most {} requests may wait here", Label(id.key), options_.waiting_max));
  }
  ++waiting_;
  (slot == nullptr ? AddSlot(id) : *slot).waiters.push_back(std::move(waiter));
  return absl::OkStatus();
}

void ServerCore::Impl::AnswerWaiters(PartId id, PartSlot& slot, ReplyBatch& replies) {
  auto& waiters = slot.waiters;
  const size_t before = waiters.size();
  waiters.erase(std::remove_if(waiters.begin(), waiters.end(),
                               [&](const Waiter& w) { return Answer(w, id, slot, replies); }),
                waiters.end());
  waiting_ -= before - waiters.size();
}

bool ServerCore::Impl::Answer(const Waiter& waiter, PartId id, const PartSlot& slot,
                              ReplyBatch& replies) {
  const PartRounds& rounds = *slot.rounds;
  PartEntry reply = EchoOf(waiter, id);
  reply.progress = Progress::kDone;
  switch (waiter.op) {
    case Op::kInit:
      SetStatus(reply, CheckSameKey(rounds.key(), waiter.key));
      break;
    case Op::kPush:
      if (rounds.version() < waiter.round) return false;
      SetStatus(reply, rounds.RoundStatus(waiter.round));
      break;
    default:  // kPull
      if (rounds.version() < waiter.round && !Broken(Mutation::kTornPull)) return false;
      if (waiter.round != 0 && waiter.round < rounds.version()) {
        // Its worker has pushed again since, so it had the answer: a late duplicate.
        SetStatus(reply, absl::AbortedError(fmt::format("{} part {}: version {} is over, at {}",
                                                        Label(id.key), id.part, waiter.round,
                                                        rounds.version())));
        break;
      }
      reply.round = rounds.version();
      reply.data = Payload(rounds.value());
      break;
  }
  replies.Add(waiter.to, std::move(reply));
  return true;
}

ShardStatus ServerCore::Impl::Status() const {
  ShardStatus status;
  status.keys = keys_.size();
  status.value_bytes = value_bytes_;
  status.parked_bytes = parking_.bytes;
  status.committed_rounds = committed_rounds_;
  std::map<KeyId, OpenRoundInfo> open;
  for (const auto& [id, slot] : parts_) {
    if (slot->rounds == nullptr || !slot->rounds->open()) continue;
    const PartRounds& rounds = *slot->rounds;
    OpenRoundInfo& info = open[id.key];
    const Round round = rounds.version() + 1;
    if (info.parts++ == 0 || round < info.round) {
      info.key = id.key;
      info.name = rounds.key().name;
      info.round = round;
      info.missing = rounds.Missing(view_);
    }
    info.since_ms =
        info.parts == 1 ? rounds.open_since_ms() : std::min(info.since_ms, rounds.open_since_ms());
  }
  for (auto& [key, info] : open) status.open_rounds.push_back(std::move(info));
  std::stable_sort(
      status.open_rounds.begin(), status.open_rounds.end(),
      [](const OpenRoundInfo& a, const OpenRoundInfo& b) { return a.since_ms < b.since_ms; });
  return status;
}

ServerCore::ServerCore(ServerCoreOptions options, ShardAddress self, PartMath* math)
    : impl_(std::make_unique<Impl>(options, self, math)) {}
ServerCore::~ServerCore() = default;

void ServerCore::OnRouting(ClusterId cluster, Incarnation self, RoutingPtr routing) {
  impl_->OnRouting(cluster, self, std::move(routing));
}
void ServerCore::OnFrame(int64_t now_ms, PeerId peer, const Frame& request, ServerOutbox* out) {
  impl_->OnFrame(now_ms, peer, request, out);
}
ShardStatus ServerCore::Status() const { return impl_->Status(); }

}  // namespace kvstore
