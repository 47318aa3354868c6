// Over 450 lines: what becomes of an operation of each kind is read in one place.
#include "client/dist/dist_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "client/base/in_place.h"
#include "client/base/no_memory.h"
#include "client/base/sdk_log.h"
#include "client/dist/any_cut.h"
#include "client/dist/await_init_operation.h"
#include "client/dist/compressing_codec.h"
#include "client/dist/consistent_pull.h"
#include "client/dist/end_operation.h"
#include "client/dist/group_operation.h"
#include "client/dist/init_operation.h"
#include "client/dist/pull_operation.h"
#include "client/dist/push_operation.h"
#include "client/dist/state_operation.h"
#include "client/reduce/device_reducer.h"
#include "client/store/argument_checks.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/model/command.h"
#include "common/tensor/buffer.h"
#include "common/updater/part_updater.h"
#include "common/wire/byte_counts.h"

namespace kvstore {
namespace {

// Values that go in groups: as small as what gRPC's frames have copies of anyway.
constexpr uint64_t kGroupedBytesMax = 2048;

absl::Status Stopped() {
  return WordedStatus(absl::StatusCode::kCancelled, [] { return "the store was destroyed"; });
}

// The first verb of an operation lies in the operation, if it is small enough.
template <typename Verb, typename... Args>
std::shared_ptr<Verb> MakeIn(const std::shared_ptr<KeyOperation>& operation, Args&&... args) {
  return std::allocate_shared<Verb>(InPlace<Verb>(operation, &operation->place), operation,
                                    std::forward<Args>(args)...);
}

// Whether what is kept beside the key's value ends with the operation.
bool EndsKey(const KeyOperation& operation) {
  return operation.kind == OperationKind::kDelete || operation.kind == OperationKind::kReset;
}

// Whether the operation is a push without any row, which is no update of its own on a store that
// nobody counts pushes on.
bool PushesNothing(const KeyOperation& operation) {
  if (operation.kind != OperationKind::kPush && operation.kind != OperationKind::kPushPull) {
    return false;
  }
  return std::all_of(operation.values.begin(), operation.values.end(), [](const NDArray& value) {
    return value.storage_type() == StorageType::kRowSparse && value.indices().empty();
  });
}

// Lends the parts of the contribution one by one, if they lie in one of the operation's outputs;
// else null.
std::shared_ptr<LentParts> LentInPlace(const KeyOperation& operation, const TokenPtr& token,
                                       const Contribution& contribution, const Cut& cut) {
  absl::Span<const NDArray> outputs = operation.outputs;
  const bool in_place =
      contribution.lent && std::any_of(outputs.begin(), outputs.end(), [&](const NDArray& output) {
        return output.data() == contribution.data;
      });
  return in_place ? std::make_shared<LentParts>(token, cut.parts()) : nullptr;
}

// Brings what a PushPull asks, first its pushes and then its pulls, each in ascending order of
// parts, into the order push, pull of part 0, push, pull of part 1 …: so the pull of a part is
// under way while later parts are still being pushed. The push of a part stays first, which is what
// makes the pull ask for the value after it.
void OrderPartByPart(size_t pushes, PartAsks* asks) {
  std::inplace_merge(
      asks->begin(), asks->begin() + static_cast<std::ptrdiff_t>(pushes), asks->end(),
      [](const PartAsk& a, const PartAsk& b) { return a.request.id.part < b.request.id.part; });
}

// Encodes the push, and has what is encoded sent meanwhile, some parts at a time: so that these
// travel, and the servers decode them, while the next ones are encoded. `asks`: of the push and
// perhaps of its pulls, in ascending order of parts.
void EncodeAndAdd(PushOperation& push, PartAsks asks, ShardLinks& links) {
  constexpr size_t kPartsAtOnce = 4;
  std::vector<PartAsks> lists;  // made before anything is encoded: memory may lack
  for (PartAsk& ask : asks) {
    const PartIndex part = ask.request.id.part;
    if (lists.empty() ||
        part / kPartsAtOnce != lists.back().back().request.id.part / kPartsAtOnce) {
      lists.emplace_back();
    }
    lists.back().push_back(std::move(ask));
  }
  auto next = lists.begin();
  push.Encode([&](PartIndex end) {
    for (; next != lists.end() && next->back().request.id.part < end; ++next) {
      links.AddForGood(std::move(*next));  // what is left over has moved on
    }
  });
}

}  // namespace

DistBackend::Session::Session(const DistBackend& backend) : backend_(backend) {
  MutexLock lock(backend.mutex_);
  if (backend.stopped_) return;
  ++backend.borrowers_;
  session_ = backend.share_->session().get();
}

DistBackend::Session::~Session() {
  if (session_ == nullptr) return;
  MutexLock lock(backend_.mutex_);
  if (--backend_.borrowers_ == 0) backend_.returned_.NotifyAll();
}

DistBackend::DistBackend(std::shared_ptr<SessionShare> share, const Environment& environment,
                         bool sums_on_devices)
    : share_(std::move(share)),
      rank_(share_->session()->rank()),
      workers_(share_->session()->workers()),
      mode_(StoreModeOf(share_->session()->store_type())),
      counts_every_push_(mode_ == StoreMode::kSync ||
                         StalenessBoundOf(share_->session()->store_type()).has_value()),
      timeout_ms_(share_->session()->operation_timeout_ms()),
      push_copy_(environment.push_copy),
      sums_on_devices_(sums_on_devices),
      guard_(environment.nan_policy, rank_),
      staleness_(mode_ == StoreMode::kAsync ? std::make_shared<StalenessTable>() : nullptr),
      reading_(rank_ == kReaderRank ? std::make_shared<ReadingCodec>() : nullptr),
      reducer_(std::make_shared<DeviceReducer>(environment.reduction_threads, sums_on_devices)),
      reductions_(reducer_.get()) {
  if (reading_ != nullptr) {
    codec_ = reading_;
  } else {
    codec_ = std::make_shared<PlainCodec>();
  }
}

absl::Status DistBackend::Usable() const {
  const Session session(*this);
  return session ? session->JobStatus() : Stopped();
}

bool DistBackend::OnOwnThread() const {
  const Session session(*this);
  return reductions_.InThread() || (session && session->InLoop());
}

void DistBackend::Flush() noexcept {
  if (const Session session(*this); session) session->links().Flush();
}

absl::Status DistBackend::Overdue(const std::vector<OverdueOperation>& operations,
                                  int64_t waited_ms) {
  const Session session(*this);
  return session ? session->Explain(operations, waited_ms) : Stopped();
}

absl::Status DistBackend::UpdaterHasNoEffect() {
  {
    MutexLock lock(mutex_);
    if (std::exchange(warned_, true)) return absl::OkStatus();
  }
  LogWarning(
      "set_updater on a dist store does not reach the servers: use SetOptimizer; nothing was set");
  return absl::OkStatus();
}

absl::Status DistBackend::Prepare(KeyOperation* operation) {
  operation->nan_policy = guard_.policy();
  return absl::OkStatus();
}

void DistBackend::Issue(std::shared_ptr<KeyOperation> operation, const TokenPtr& token) {
  if (!counts_every_push_ && PushesNothing(*operation)) {
    if (operation->outputs.empty()) return token->Finish(absl::OkStatus());
    operation->kind = OperationKind::kPull;  // that is what is left of a PushPull
    operation->values.clear();
  }
  // The guard looks into values, which it finds in host memory: those of GPUs later.
  NanGuard* const guard =
      guard_.policy() != NanPolicy::kAllow && AnyOnDevice(operation->values) ? &guard_ : nullptr;
  if (guard == nullptr) {
    const absl::Status admitted = guard_.Admit(operation.get());
    if (!admitted.ok()) return token->Finish(admitted);
  }
  if (EndsKey(*operation)) codec_->Forget(operation->key->id);
  const bool awaits = operation->kind == OperationKind::kInit && rank_ != 0;
  if (awaits || operation->values.empty()) return Send(operation, token, nullptr);
  const bool encodes = operation->kind != OperationKind::kInit && codec_->Encodes(*operation);
  if (auto contribution = reducer_->AsIs(*operation, token); contribution && !encodes) {
    const absl::Status copied = CopyIfAsked(*operation, &*contribution);
    return copied.ok() ? Send(operation, token, &*contribution) : token->Finish(copied);
  }
  reductions_.Reduce(operation, token, {guard, encodes ? codec_.get() : nullptr},
                     [this, token, operation](const absl::StatusOr<Contribution>& contribution) {
                       if (!contribution.ok()) return token->Finish(contribution.status());
                       const absl::Status admitted =
                           guard_.AdmitSum(*operation, contribution->data, contribution->rows);
                       if (!admitted.ok()) return token->Finish(admitted);
                       Send(operation, token, &*contribution);
                       Flush();  // the engine has flushed already what was issued with this one
                     });
}

// Whatever would look at a value on its way, or wants to know of each pull, has it go by itself.
bool DistBackend::MayBeInGroup(const KeyOperation& common, const ValueSpec& spec) const {
  const bool plain = !spec.row_sparse && spec.bytes > 0 && spec.bytes <= kGroupedBytesMax &&
                     !compresses_ && reading_ == nullptr;
  if (common.kind == OperationKind::kPull) return plain && staleness_ == nullptr;
  return plain && guard_.policy() == NanPolicy::kAllow;
}

void DistBackend::IssueGroup(const std::shared_ptr<KeyGroup>& group, const TokenPtr& token) {
  const Session session(*this);
  if (!session) return token->Finish(Stopped());
  try {
    session->links().Add(std::make_shared<GroupOperation>(group.get(), token)->Asks());
  } catch (const std::bad_alloc&) {
    token->Finish(WordedStatus(absl::StatusCode::kResourceExhausted, [] {
      return "memory for requests about some small keys expected, there is too little";
    }));
  }
}

absl::Status DistBackend::MayPullConsistently(const char* call) const {
  if (mode_ == StoreMode::kSync) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{}: a store with rounds expected for consistent = true, on this one each push "
                  "is an update of its own",
                  call));
}

void DistBackend::IssueConsistent(const std::vector<std::shared_ptr<KeyOperation>>& operations,
                                  const TokenPtr& token) {
  const Session session(*this);
  if (!session) return token->Finish(Stopped());
  try {
    PartAsks asks = std::make_shared<ConsistentPull>(operations, token, codec_, reducer_)->Asks();
    if (asks.empty()) return token->Finish(absl::OkStatus());
    session->links().Add(std::move(asks));
  } catch (const std::bad_alloc&) {
    for (const auto& operation : operations) DropRows(*operation);
    token->Finish(WordlessStatus(absl::StatusCode::kResourceExhausted));
  }
}

absl::Status DistBackend::CopyIfAsked(const KeyOperation& operation,
                                      Contribution* contribution) const {
  if (!push_copy_ || operation.kind == OperationKind::kInit) return absl::OkStatus();
  try {
    const auto copy = std::make_shared<Buffer>(operation.spec.bytes);
    std::memcpy(copy->data(), contribution->data, copy->size());
    CountCopiedBytes(copy->size());
    contribution->data = copy->data();
    contribution->owner = copy;
    contribution->lent = false;
    return absl::OkStatus();
  } catch (const std::bad_alloc&) {
    return TooLittleMemory(operation.key->label,
                           fmt::format("a copy of {} bytes", operation.spec.bytes));
  }
}

void DistBackend::Send(const std::shared_ptr<KeyOperation>& operation, const TokenPtr& token,
                       const Contribution* contribution) {
  const Session session(*this);
  if (!session) return token->Finish(Stopped());
  try {
    std::shared_ptr<PushOperation> push;
    PartAsks asks = AsksOf(operation, token, contribution, &push);
    if (asks.empty()) return token->Finish(absl::OkStatus());
    ShardLinks& links = session->links();
    if (push != nullptr && push->encodes()) {
      EncodeAndAdd(*push, std::move(asks), links);
      return token->GiveBackReads();
    }
    // What goes out is not the caller's memory any more.
    if (contribution != nullptr && !contribution->lent) token->GiveBackReads();
    links.Add(std::move(asks));
  } catch (const std::bad_alloc&) {
    DropRows(*operation);
    token->Finish(WordedStatus(absl::StatusCode::kResourceExhausted, [&] {
      return fmt::format(
          "{}: memory for requests about a value of shape {} of {} expected, there is too little",
          operation->key->label, ShapeString(operation->spec.shape),
          DTypeName(operation->spec.dtype));
    }));
  }
}

PartAsks DistBackend::AsksOf(const std::shared_ptr<KeyOperation>& operation, const TokenPtr& token,
                             const Contribution* contribution,
                             std::shared_ptr<PushOperation>* push) const {
  if (operation->kind == OperationKind::kInit && rank_ != 0) {
    return std::make_shared<AwaitInitOperation>(operation, token, codec_->config(), reading_)
        ->Asks();
  }
  const AnyCut cut(operation->spec);
  if (ConcernsState(operation->kind)) return AsksOfState(operation, token, cut->parts());
  if (EndsKey(*operation)) {
    const Op op = operation->kind == OperationKind::kDelete ? Op::kDelete : Op::kReset;
    return std::make_shared<EndOperation>(operation, token)->Asks(op, *cut);
  }
  if (operation->kind == OperationKind::kInit) {
    return std::make_shared<InitOperation>(operation, token)
        ->Asks(*cut, contribution, codec_->config());
  }
  const bool pulls = !operation->outputs.empty();
  PartAsks asks;
  asks.reserve(cut->parts() * (size_t{contribution != nullptr} + size_t{pulls}));
  std::shared_ptr<LentParts> lent;
  if (contribution != nullptr) {
    lent = LentInPlace(*operation, token, *contribution, *cut);
    *push = MakeIn<PushOperation>(operation, token);
    (*push)->AddAsks(*cut, *contribution, lent.get(), *codec_, &asks);
  }
  const size_t pushes = asks.size();
  if (pulls) {
    const auto pull =
        pushes == 0
            ? MakeIn<PullOperation>(operation, token, cut, nullptr, codec_, reducer_, staleness_)
            : std::make_shared<PullOperation>(operation, token, cut, std::move(lent), codec_,
                                              reducer_, staleness_);
    pull->AddAsks(&asks);
  }
  if (pushes > 0 && pulls && cut->parts() > 1) OrderPartByPart(pushes, &asks);
  return asks;
}

PartAsks DistBackend::AsksOfState(const std::shared_ptr<KeyOperation>& operation,
                                  const TokenPtr& token, PartIndex parts) {
  if (operation->kind == OperationKind::kDescribeState ||
      operation->kind == OperationKind::kReadState) {
    return std::make_shared<ReadStateOperation>(operation, token, parts)->Asks();
  }
  auto asks = std::make_shared<WriteStateOperation>(operation, token, parts)->Asks();
  if (asks.ok()) return *std::move(asks);
  token->Finish(asks.status());
  return {};
}

absl::Status DistBackend::SetCompression(const CompressionConfig& config) {
  KVS_ASSIGN_OR_RETURN(CodecPtr codec, MakeCodec(config));
  codec_ = std::make_shared<CompressingCodec>(config, std::move(codec), rank_, sums_on_devices_);
  compresses_ = true;
  return absl::OkStatus();
}

absl::Status DistBackend::SetOptimizer(const OptimizerConfig& config) {
  absl::Status valid = PartUpdater().Set(config);
  if (!valid.ok()) return valid;
  if (rank_ != 0) return absl::OkStatus();
  const Session session(*this);
  return session ? session->SetOptimizer(config) : Stopped();
}

absl::Status DistBackend::ChangeNumbers(const std::string& optimizer, const NumbersChange& change) {
  if (rank_ != 0) return absl::OkStatus();
  const Session session(*this);
  return session ? session->ChangeNumbers(optimizer, change) : Stopped();
}

absl::Status DistBackend::SendCommand(int id, const std::string& body) {
  if (absl::Status valid = CheckCommand(id, body.size()); !valid.ok()) return valid;
  const Session session(*this);
  return session ? session->SendCommand({id, body}) : Stopped();
}

absl::Status DistBackend::SendProfilerOrder(const ProfilerOrder& order) {
  const Session session(*this);
  if (!session) return Stopped();
  return rank_ == 0 ? session->SendProfilerOrder(order) : absl::OkStatus();
}

uint64_t DistBackend::StalenessOf(KeyId key) const {
  return staleness_ == nullptr ? 0 : staleness_->Of(key);
}

absl::Status DistBackend::Barrier() {
  const Session session(*this);
  return session ? session->Barrier() : Stopped();
}

absl::StatusOr<int> DistBackend::DeadNodes(int node_id, int timeout_s) const {
  const Session session(*this);
  if (!session) return Stopped();
  return session->DeadNodes(node_id, timeout_s);
}

absl::StatusOr<std::vector<KeyInfo>> DistBackend::KeysOfJob(const std::string& prefix) {
  const Session session(*this);
  if (!session) return Stopped();
  return session->Keys(prefix);
}

absl::Status DistBackend::Leave() {
  const Session session(*this);
  if (!session) return Stopped();
  if (share_->shared()) {
    return absl::FailedPreconditionError(
        "Leave: another dist store of this process is still in use");
  }
  return session->Leave();
}

void DistBackend::Stop(Close how) {
  try {
    TakeLeave(how);
  } catch (const std::bad_alloc&) {
    // The scheduler learns it from the session's end.
  }
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  reductions_.Stop();
  {
    MutexLock lock(mutex_);
    while (borrowers_ > 0) returned_.Wait(mutex_);
  }
  share_ = nullptr;
}

void DistBackend::TakeLeave(Close how) {
  const bool last = share_->Exit();
  ClusterSession& session = *share_->session();
  const bool over = !session.JobStatus().ok();
  if (how == Close::kAbandon && !session.reads()) {
    if (!over) session.ReportFailure("its program threw an exception, or gave up waiting");
  } else if (last && !over) {
    absl::Status status;
    if (how == Close::kMeet && !session.reads()) status = session.Barrier();
    // After a barrier that timed out this worker leaves all the same: it has waited long enough.
    if (status.ok() || status.code() == absl::StatusCode::kDeadlineExceeded) {
      if (!status.ok()) LogWarning("leaving the cluster: " + std::string(status.message()));
      status = session.Leave();
    }
    if (!status.ok()) LogWarning("leaving the cluster: " + std::string(status.message()));
  }
}

}  // namespace kvstore
