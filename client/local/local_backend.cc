#include "client/local/local_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
#include <unordered_map>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "client/base/sdk_log.h"
#include "client/local/local_rows.h"
#include "client/local/local_states.h"
#include "client/local/local_value.h"
#include "client/local/updater_choice.h"
#include "client/order/work_queue.h"
#include "client/reduce/device_reducer.h"
#include "client/store/argument_checks.h"
#include "client/store/nan_guard.h"
#include "client/store/row_values.h"
#include "client/store/staged_outputs.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/cluster/partitioner.h"
#include "common/codec/codec.h"

namespace kvstore {
namespace {

// Of an operation that is carried out by the thread that calls: waking the store's thread takes as
// long as moving some tens of KiB.
constexpr uint64_t kBriefBytesMax = 16u << 10;
constexpr size_t kBriefArraysMax = 16;

// How a pull failed whose operation has pushed already: it must not be said to be refused.
absl::Status AfterPush(bool pushed, const absl::Status& pulled) noexcept {
  if (!pushed || pulled.ok()) return pulled;
  return WordedStatus(absl::StatusCode::kUnknown, [&] {
    return std::string(pulled.message()) + ": it is pushed, but not pulled";
  });
}

absl::Status InitFailed(const Key& key) {
  return absl::NotFoundError(fmt::format("{}: its Init failed", key.label));
}

class LocalBackend final : public StoreBackend {
 public:
  LocalBackend(const Environment& environment, std::unique_ptr<Reducer> reducer,
               bool encodes_on_devices)
      : timeout_ms_(environment.operation_timeout_ms),
        guard_(environment.nan_policy, 0),
        choice_(std::make_shared<UpdaterChoice>()),
        reducer_(std::move(reducer)),
        scratch_(reducer_->threads().seats()),
        encodes_on_devices_(encodes_on_devices),
        work_("kvs-local") {}

  int64_t operation_timeout_ms() const override { return timeout_ms_; }
  void Flush() noexcept override {}
  absl::Status Overdue(const std::vector<OverdueOperation>& operations, int64_t waited_ms) override;

  bool OnOwnThread() const override { return work_.InTask(); }
  absl::Status Prepare(KeyOperation* operation) override;
  void Issue(std::shared_ptr<KeyOperation> operation, const TokenPtr& token) override;
  bool IsBrief(const KeyOperation& common, const ValueSpec& spec, size_t arrays) const override;
  bool RunAlone(absl::FunctionRef<void()> run) override { return work_.RunIfIdle(run); }
  absl::Status Execute(KeyOperation* operation) noexcept override;

  absl::Status SetUpdater(KVStore::Updater updater) override;
  absl::Status SetUpdater(KVStore::StrUpdater updater) override;
  absl::Status SetOptimizer(const OptimizerConfig& config) override;
  absl::Status ChangeNumbers(const std::string& optimizer, const NumbersChange& change) override;
  absl::Status SetCompression(const CompressionConfig& config) override;

  absl::Status SendCommand(int, const std::string&) override { return absl::OkStatus(); }
  absl::Status SendProfilerOrder(const ProfilerOrder&) override {
    LogWarningOnce("SetServerProfilerCommand: a local store has no server to profile");
    return absl::OkStatus();
  }
  absl::Status Barrier() override { return absl::OkStatus(); }
  int rank() const override { return 0; }
  int group_size() const override { return 1; }
  absl::StatusOr<int> DeadNodes(int node_id, int) const override {
    if (node_id > 0) return 0;
    return absl::InvalidArgumentError(
        fmt::format("a node id or a sum of node groups (1 or more) expected, got {}", node_id));
  }
  absl::Status Leave() override { return absl::OkStatus(); }
  void Stop(Close) override { work_.Stop(); }

 private:
  // These run in a task of `work_`. `pushed` becomes true when the operation has changed the
  // value; until then, and from then on while outputs are filled, std::bad_alloc may be thrown.
  absl::Status ExecuteOnDense(const KeyOperation& operation, bool* pushed);
  absl::Status ExecuteOnRows(KeyOperation* operation, bool* pushed);
  // For an operation on a dense value of so many bytes.
  Means MeansFor(uint64_t bytes);
  // After the policy on NaNs was kept.
  absl::Status ExecuteIfAdmitted(KeyOperation* operation) noexcept;
  // Fills the operation's outputs, of either storage.
  absl::Status CopyOut(const KeyOperation& operation, const LocalValue& value);
  // What an Init makes.
  LocalValue MakeValue(const KeyOperation& init) const;
  LocalRows MakeRows(const KeyOperation& init) const;
  absl::Status Push(const KeyOperation& operation, LocalValue* value);
  absl::Status Push(const KeyOperation& operation, LocalRows* value);
  // What concerns the optimizer's state of the key.
  template <typename Value>
  absl::Status DoState(const KeyOperation& operation, Value* value);

  // How pushes of such a key are compressed; null: not at all.
  CodecPtr CodecOf(const ValueSpec& spec) const KVS_EXCLUDES(mutex_);

  const int64_t timeout_ms_;
  NanGuard guard_;
  mutable Mutex mutex_;
  CompressionConfig compression_ KVS_GUARDED_BY(mutex_);
  CodecPtr codec_ KVS_GUARDED_BY(mutex_);
  std::shared_ptr<const UpdaterChoice> choice_ KVS_GUARDED_BY(mutex_);
  DeviceSpares spares_;  // before the values, which use it
  // Used by the task of `work_` that runs, on whatever thread.
  std::unordered_map<KeyId, LocalValue> values_;
  std::unordered_map<KeyId, LocalRows> rows_;  // row_sparse keys
  uint64_t value_bytes_ = 0;                   // of values_
  const std::unique_ptr<Reducer> reducer_;
  Scratch scratch_;
  const bool encodes_on_devices_;
  WorkQueue work_;  // last: its thread uses the rest
};

absl::Status LocalBackend::Overdue(const std::vector<OverdueOperation>& operations,
                                   int64_t waited_ms) {
  return absl::DeadlineExceededError(
      fmt::format("{} is not done after {} ms ({} operations under way): it waits for the store's "
                  "thread, which runs the updaters",
                  operations.front().what, waited_ms, operations.size()));
}

absl::Status LocalBackend::Prepare(KeyOperation* operation) {
  const bool concerns_state = ConcernsState(operation->kind);
  if (operation->kind != OperationKind::kPush && operation->kind != OperationKind::kPushPull &&
      !concerns_state) {
    return absl::OkStatus();
  }
  MutexLock lock(mutex_);
  if (concerns_state) {
    if (choice_->by_user()) {
      return absl::FailedPreconditionError(
          fmt::format("{}: an optimizer that SetOptimizer has set expected, set_updater has "
                      "replaced it, and remembers in its own program what it remembers",
                      NameOf(operation->kind)));
    }
    operation->as_of_call = choice_;
    return absl::OkStatus();
  }
  const bool served =
      operation->key->is_int ? choice_->for_int != nullptr : choice_->for_string != nullptr;
  if (choice_->by_user() && !served) {
    return absl::FailedPreconditionError(
        fmt::format("{}: an updater for {} keys expected, the one that is set is for {} keys",
                    operation->key->label, operation->key->is_int ? "int" : "string",
                    operation->key->is_int ? "string" : "int"));
  }
  operation->as_of_call = choice_;
  return absl::OkStatus();
}

bool LocalBackend::IsBrief(const KeyOperation& common, const ValueSpec& spec, size_t arrays) const {
  const auto* const choice = static_cast<const UpdaterChoice*>(common.as_of_call.get());
  return spec.bytes <= kBriefBytesMax && !spec.row_sparse && arrays <= kBriefArraysMax &&
         guard_.policy() == NanPolicy::kAllow && (choice == nullptr || !choice->by_user());
}

// What is brief and comes here had to wait for its arrays, or is no push or pull.
void LocalBackend::Issue(std::shared_ptr<KeyOperation> operation, const TokenPtr& token) {
  const size_t arrays = operation->values.size() + operation->outputs.size();
  if (IsBrief(*operation, operation->spec, arrays) &&
      work_.RunIfIdle([&] { token->Finish(Execute(operation.get())); })) {
    return;
  }
  const KeyId key = operation->key->id;
  const int priority = operation->priority;
  work_.Add(key, priority, [this, operation = std::move(operation), token](bool run) {
    if (!run) {
      return token->Finish(WordedStatus(absl::StatusCode::kCancelled, [&] {
        return fmt::format("{}: the store was destroyed", operation->key->label);
      }));
    }
    token->Finish(ExecuteIfAdmitted(operation.get()));
  });
}

absl::Status LocalBackend::ExecuteIfAdmitted(KeyOperation* operation) noexcept {
  // The guard looks into values, which it finds in host memory.
  if (guard_.policy() != NanPolicy::kAllow) {
    if (absl::Status brought = BringToHost(operation); !brought.ok()) return brought;
  }
  if (absl::Status admitted = guard_.Admit(operation); !admitted.ok()) return admitted;
  return Execute(operation);
}

absl::Status LocalBackend::Execute(KeyOperation* operation) noexcept {
  // Values on GPUs are summed there, or part by part, only where that is all that is done with
  // them.
  const ValueSpec& spec = operation->spec;
  const bool summed = spec.row_sparse ? operation->values.size() > 1 && CodecOf(spec) == nullptr
                                      : !AnyRowsOnDevice(operation->values);
  if (operation->kind == OperationKind::kInit || !summed) {
    if (absl::Status brought = BringToHost(operation); !brought.ok()) return brought;
  }
  bool pushed = false;
  try {
    return operation->spec.row_sparse ? ExecuteOnRows(operation, &pushed)
                                      : ExecuteOnDense(*operation, &pushed);
  } catch (const std::bad_alloc&) {
    // What has happened must not be said to be refused.
    return WordedStatus(
        pushed ? absl::StatusCode::kUnknown : absl::StatusCode::kResourceExhausted, [&] {
          return fmt::format(
              "{}: memory for a value of shape {} of {} expected, there is too little{}",
              operation->key->label, ShapeString(operation->spec.shape),
              DTypeName(operation->spec.dtype), pushed ? ": it is pushed, but not pulled" : "");
        });
  }
}

LocalValue LocalBackend::MakeValue(const KeyOperation& init) const {
  const ValueSpec& spec = init.spec;
  if (init.rule == nullptr) return LocalValue(spec, init.values[0], CodecOf(spec));
  return LocalValue(spec, InitialValues(*init.rule, init.key->id, spec.dtype), CodecOf(spec));
}

LocalRows LocalBackend::MakeRows(const KeyOperation& init) const {
  const ValueSpec& spec = init.spec;
  if (init.rule == nullptr) return LocalRows(spec, init.values[0], CodecOf(spec));
  return LocalRows(spec, InitialValues(*init.rule, init.key->id, spec.dtype), init.rule->rows_max,
                   CodecOf(spec));
}

absl::Status LocalBackend::ExecuteOnDense(const KeyOperation& operation, bool* pushed) {
  const Key& key = *operation.key;
  if (operation.kind == OperationKind::kInit) {
    const auto [value, fresh] = values_.insert_or_assign(key.id, MakeValue(operation));
    if (fresh) value_bytes_ += value->second.bytes();
    return absl::OkStatus();
  }
  const auto value = values_.find(key.id);
  if (value == values_.end()) return InitFailed(key);
  if (operation.kind == OperationKind::kDelete) {
    value_bytes_ -= value->second.bytes();
    values_.erase(value);
    return absl::OkStatus();
  }
  if (operation.kind == OperationKind::kReset) {
    value->second.Reset();
    return absl::OkStatus();
  }
  if (ConcernsState(operation.kind)) return Named(key.label, DoState(operation, &value->second));
  if (!operation.values.empty()) {
    if (absl::Status status = Push(operation, &value->second); !status.ok()) return status;
    *pushed = true;
  }
  return AfterPush(*pushed, CopyOut(operation, value->second));
}

Means LocalBackend::MeansFor(uint64_t bytes) {
  const Stores stores = bytes >= kPartBytesMax ? StoresFor(value_bytes_) : Stores::kCached;
  return {reducer_.get(), &scratch_, stores, encodes_on_devices_ ? &spares_ : nullptr};
}

absl::Status LocalBackend::CopyOut(const KeyOperation& operation, const LocalValue& value) {
  const auto is_dense = [](const NDArray& output) {
    return output.storage_type() == StorageType::kDefault;
  };
  const Arrays& outputs = operation.outputs;
  if (outputs.empty()) return absl::OkStatus();
  if (std::all_of(outputs.begin(), outputs.end(), is_dense)) {
    return Named(operation.key->label, value.CopyTo(outputs, MeansFor(value.bytes())));
  }
  Arrays dense, sparse;
  for (const NDArray& output : outputs) (is_dense(output) ? dense : sparse).push_back(output);
  dense.push_back(MakeArray(operation.spec.shape, ToDataType(operation.spec.dtype)));
  KVS_RETURN_IF_ERROR(Named(operation.key->label, value.CopyTo(dense, MeansFor(value.bytes()))));
  const LocalRows rows(operation.spec, dense.back(), nullptr);
  for (const NDArray& output : sparse) {
    const bool on_gpu = OnDevice(output.context());
    const NDArray filled = on_gpu ? MakeRowSparseArray(output.shape(), output.dtype()) : output;
    rows.CopyTo(filled, &reducer_->threads());
    if (on_gpu) KVS_RETURN_IF_ERROR(Named(operation.key->label, CopyRows(filled, output)));
  }
  return absl::OkStatus();
}

absl::Status LocalBackend::ExecuteOnRows(KeyOperation* operation, bool* pushed) {
  const Key& key = *operation->key;
  if (operation->kind == OperationKind::kInit) {
    rows_.insert_or_assign(key.id, MakeRows(*operation));
    return absl::OkStatus();
  }
  const auto value = rows_.find(key.id);
  if (value == rows_.end()) return InitFailed(key);
  if (operation->kind == OperationKind::kDelete) {
    rows_.erase(value);
    return absl::OkStatus();
  }
  if (operation->kind == OperationKind::kReset) {
    value->second.Reset();
    return absl::OkStatus();
  }
  if (ConcernsState(operation->kind)) return Named(key.label, DoState(*operation, &value->second));
  if (!operation->values.empty()) {
    if (absl::Status status = Push(*operation, &value->second); !status.ok()) return status;
    *pushed = true;
  }
  const StagedOutputs staged = StagedOutputs::In(operation);
  for (size_t i = 0; i < operation->outputs.size(); ++i) {
    if (operation->kind == OperationKind::kPullRows) {
      value->second.CopyRows(std::move(operation->row_ids[i].ids), operation->outputs[i],
                             &reducer_->threads());
    } else {
      value->second.CopyTo(operation->outputs[i], &reducer_->threads());
    }
  }
  return AfterPush(*pushed, Named(key.label, staged.CopyToDevices()));
}

absl::Status LocalBackend::Push(const KeyOperation& operation, LocalValue* value) {
  const Key& key = *operation.key;
  const UpdaterChoice& choice = ChoiceOf(operation);
  const Arrays values = AllDense(operation.values);
  Means means = MeansFor(value->bytes());
  // What is pulled next is the value that has just been written.
  if (operation.kind == OperationKind::kPushPull) means.stores = StoresFor(value->bytes());
  return Named(key.label, choice.by_user() ? value->Push(key.id, values, UpdateOf(operation), means)
                                           : value->Push(key.id, key.name, values, choice.built_in,
                                                         operation.step, means));
}

absl::Status LocalBackend::Push(const KeyOperation& operation, LocalRows* value) {
  const Key& key = *operation.key;
  const UpdaterChoice& choice = ChoiceOf(operation);
  return Named(key.label,
               choice.by_user()
                   ? value->Push(key.id, operation.values, UpdateOf(operation), *reducer_)
                   : value->Push(key.id, key.name, operation.values, choice.built_in,
                                 operation.step, reducer_.get()));
}

template <typename Value>
absl::Status LocalBackend::DoState(const KeyOperation& operation, Value* value) {
  const PartUpdater& updater = ChoiceOf(operation).built_in;
  const StateInfo kind = KindOf(updater.config().name, updater.LayoutFor(operation.spec.dtype));
  switch (operation.kind) {
    case OperationKind::kDescribeState:
      operation.states->info = kind;
      return absl::OkStatus();
    case OperationKind::kReadState:
      return Collect(operation, value->parts(), [&](PartIndex part, const StateCursor& from) {
        return value->ReadState(part, kind, from);
      });
    case OperationKind::kStageState:
      return Bring(operation, value->parts(), [&](PartIndex part, const StatePage& page) {
        return value->StageState(part, kind, page);
      });
    case OperationKind::kCommitState:
      return value->CommitState();
    default:
      value->DropStagedState();
      return absl::OkStatus();
  }
}

absl::Status LocalBackend::SetUpdater(KVStore::Updater updater) {
  MutexLock lock(mutex_);
  auto choice = std::make_shared<UpdaterChoice>();
  choice->for_int = std::move(updater);
  choice->for_string = choice_->for_string;
  choice_ = std::move(choice);
  return absl::OkStatus();
}

absl::Status LocalBackend::SetUpdater(KVStore::StrUpdater updater) {
  MutexLock lock(mutex_);
  auto choice = std::make_shared<UpdaterChoice>();
  choice->for_int = choice_->for_int;
  choice->for_string = std::move(updater);
  choice_ = std::move(choice);
  return absl::OkStatus();
}

absl::Status LocalBackend::SetCompression(const CompressionConfig& config) {
  absl::StatusOr<CodecPtr> codec = MakeCodec(config);
  if (!codec.ok()) return codec.status();
  MutexLock lock(mutex_);
  compression_ = config;
  codec_ = *std::move(codec);
  return absl::OkStatus();
}

CodecPtr LocalBackend::CodecOf(const ValueSpec& spec) const {
  MutexLock lock(mutex_);
  return Compresses(compression_, spec.dtype, spec.bytes) ? codec_ : nullptr;
}

absl::Status LocalBackend::SetOptimizer(const OptimizerConfig& config) {
  auto choice = std::make_shared<UpdaterChoice>();
  absl::Status set = choice->built_in.Set(config);
  if (!set.ok()) return set;
  MutexLock lock(mutex_);
  choice_ = std::move(choice);
  return absl::OkStatus();
}

// Pushes that are queued are of steps before the change, and have the choice that was in force.
absl::Status LocalBackend::ChangeNumbers(const std::string& optimizer,
                                         const NumbersChange& change) {
  MutexLock lock(mutex_);
  if (choice_->by_user()) {
    return absl::FailedPreconditionError(fmt::format(
        "SetOptimizerNumbers: optimizer '{}' expected, set_updater has replaced it", optimizer));
  }
  auto choice = std::make_shared<UpdaterChoice>(*choice_);
  absl::Status changed = choice->built_in.Change(change);
  if (!changed.ok()) return changed;
  choice_ = std::move(choice);
  return absl::OkStatus();
}

}  // namespace

std::shared_ptr<StoreBackend> MakeLocalBackend(const Environment& environment,
                                               std::unique_ptr<Reducer> reducer,
                                               bool encodes_on_devices) {
  return std::make_shared<LocalBackend>(environment, std::move(reducer), encodes_on_devices);
}

}  // namespace kvstore
