#include "client/local/local_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "client/reduce/device_reducer.h"
#include "client/reduce/under_way.h"
#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

size_t ElementsIn(const ValueSpec& spec, size_t bytes) { return bytes / DTypeBytes(spec.dtype); }

MutableBufferPtr TakeBuffer(size_t bytes, MutableBufferPtr* spare) {
  if (*spare != nullptr && (*spare)->size() == bytes) return std::exchange(*spare, nullptr);
  return std::make_shared<Buffer>(bytes);
}

}  // namespace

LocalValue::LocalValue(const ValueSpec& spec, const NDArray& value, CodecPtr codec)
    : spec_(spec), codec_(std::move(codec)), whole_(std::make_shared<Buffer>(spec.bytes)) {
  std::memcpy(whole_->data(), value.data(), spec.bytes);
  states_.resize(PartCount(spec.bytes));
}

LocalValue::LocalValue(const ValueSpec& spec, const InitialValues& rule, CodecPtr codec)
    : spec_(spec), codec_(std::move(codec)), whole_(std::make_shared<Buffer>(spec.bytes)) {
  rule.Write(0, ElementsIn(spec, spec.bytes), whole_->data());
  states_.resize(PartCount(spec.bytes));
}

void LocalValue::ToParts() {
  if (!parts_.empty()) return;
  const PartIndex count = PartCount(spec_.bytes);
  if (count == 1) {
    parts_.push_back(whole_);
    return;
  }
  std::vector<MutableBufferPtr> parts;
  for (PartIndex part = 0; part < count; ++part) {
    parts.push_back(std::make_shared<Buffer>(PartBytes(spec_.bytes, part)));
    std::memcpy(parts[part]->data(), whole_->data() + PartOffset(part), parts[part]->size());
  }
  parts_ = std::move(parts);
  whole_ = nullptr;
}

void LocalValue::ToWhole() {
  if (whole_ == nullptr) {
    whole_ = std::make_shared<Buffer>(spec_.bytes);
    for (PartIndex part = 0; part < parts_.size(); ++part) {
      std::memcpy(whole_->data() + PartOffset(part), parts_[part]->data(), parts_[part]->size());
    }
  }
  parts_.clear();
}

absl::StatusOr<std::vector<LocalValue::Encoded>> LocalValue::Encode(KeyId key,
                                                                    absl::Span<const NDArray> given,
                                                                    const Means& means) {
  std::vector<Encoded> encoded;
  if (codec_ == nullptr) return encoded;
  encoded.resize(given.size());
  for (size_t i = encoders_.size(); i < given.size(); ++i) {
    encoders_.emplace_back(codec_, key, static_cast<uint32_t>(i), spec_.dtype, spec_.bytes,
                           means.spares);
  }
  // First what may fail.
  Arrays on_host(given.size());
  for (size_t i = 0; i < given.size(); ++i) {
    KVS_ASSIGN_OR_RETURN(
        std::optional<PlacedEncoder::Parts> on_device,
        encoders_[i].EncodeOnDevices(given.subspan(i, 1), means.reducer->threads()));
    if (on_device) {
      encoded[i] = {*std::move(on_device), true};
      continue;
    }
    KVS_ASSIGN_OR_RETURN(on_host[i], OnHost(given[i]));
    encoded[i].parts = encoders_[i].on_host().MakeRoom();
    encoders_[i].on_host().KeepForUndo();
  }
  for (size_t i = 0; i < given.size(); ++i) {
    if (encoded[i].on_device) continue;
    encoders_[i].on_host().Encode(on_host[i].data_as<uint8_t>(), encoded[i].parts);
  }
  return encoded;
}

void LocalValue::AcceptEncode(const std::vector<Encoded>& encoded) noexcept {
  for (size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i].on_device) encoders_[i].Accept();
  }
}

void LocalValue::UndoEncode(const std::vector<Encoded>& encoded) noexcept {
  for (size_t i = 0; i < encoded.size(); ++i) {
    if (!encoded[i].on_device) encoders_[i].on_host().Undo();
  }
}

ElementRange LocalValue::RangeOf(PartIndex part) const {
  return {PartOffset(part) / DTypeBytes(spec_.dtype),
          ElementsIn(spec_, PartBytes(spec_.bytes, part))};
}

absl::StatusOr<UnderWayPtr> LocalValue::BeginFoldPart(PartIndex part, const Round& round,
                                                      void* sum) const {
  const ElementRange range = RangeOf(part);
  if (codec_ == nullptr) {
    return round.reducer->BeginFold(spec_.dtype, round.values, range, FoldedAs::kAccumulated,
                                    round.stores, sum);
  }
  for (size_t i = 0; i < round.encoded.size(); ++i) {
    codec_->Decode(spec_.dtype, round.encoded[i].parts[part]->data(), range.elements, /*add=*/i > 0,
                   sum);
  }
  return nullptr;
}

absl::Status LocalValue::Push(KeyId key, std::string_view name, absl::Span<const NDArray> values,
                              const PartUpdater& updater, uint64_t step, const Means& means) {
  ToParts();
  const size_t measurings = updater.Measurings(name);
  const bool may_fail = codec_ == nullptr && parts_.size() > 1 && AnyOnDevice(values);
  const bool sums_first = measurings > 0 || may_fail;
  std::vector<MutableBufferPtr> sums(sums_first ? parts_.size() : 0);
  std::vector<Scratch::Seat>& of_parts = means.scratch->of_parts;
  if (of_parts.size() < sums.size()) of_parts.resize(sums.size());
  KVS_ASSIGN_OR_RETURN(std::vector<Encoded> encoded, Encode(key, values, means));
  Round round{key, values, std::move(encoded), &updater, step, means.reducer};
  bool undone = false;
  const absl::Cleanup accept = [&] {
    if (!undone) AcceptEncode(round.encoded);
  };
  // A sum that is the new value is not looked at again; one that an optimizer uses is.
  if (means.stores == Stores::kStreamed && updater.config().name == "assign") {
    round.stores = Stores::kStreamed;
  }
  // Mostly a part is updated while its sum is in the cache. Where the whole value is measured
  // first, or a sum may fail, all are made before the first update.
  std::atomic<PartIndex> updated{0};  // relaxed: read when all threads are done
  const auto sum = [&](size_t part, size_t) {
    return BeginSumOfPart(static_cast<PartIndex>(part), round, &of_parts[part], &sums[part]);
  };
  const auto update = [&](size_t block, size_t seat) -> absl::Status {
    const auto part = static_cast<PartIndex>(block);
    Scratch::Seat* const own = sums_first ? &of_parts[part] : &means.scratch->seats[seat];
    MutableBufferPtr of_part;
    if (sums_first) {
      of_part = std::move(sums[part]);
    } else {
      KVS_RETURN_IF_ERROR(FinishIfAny(BeginSumOfPart(part, round, own, &of_part)));
    }
    KVS_RETURN_IF_ERROR(UpdatePart(part, std::move(of_part), round, own));
    updated.fetch_add(1, std::memory_order_relaxed);
    return absl::OkStatus();
  };
  absl::Status pushed;
  bool without_memory = false;
  try {
    if (sums_first) {
      KVS_RETURN_IF_ERROR(RunAhead(&means.reducer->threads(), parts_.size(), sum));
    }
    if (measurings > 0) {
      KVS_ASSIGN_OR_RETURN(round.norms, Measure(round, measurings, sums));
    }
    pushed = means.reducer->threads().Run(parts_.size(), update);
  } catch (const std::bad_alloc&) {
    if (updated == 0) {
      UndoEncode(round.encoded);
      undone = true;
      throw;
    }
    without_memory = true;
  }
  if (parts_.size() == 1) whole_ = parts_[0];
  if (!without_memory && (pushed.ok() || updated == 0)) return pushed;
  return WordedStatus(absl::StatusCode::kUnknown, [&] {
    return fmt::format("{}: {} of {} parts of the value are updated, the others are not",
                       without_memory ? "memory for an update expected, there is too little"
                                      : std::string(pushed.message()),
                       updated.load(), parts_.size());
  });
}

absl::StatusOr<UnderWayPtr> LocalValue::BeginSumOfPart(PartIndex part, const Round& round,
                                                       Scratch::Seat* seat,
                                                       MutableBufferPtr* sum) const {
  const size_t bytes = RangeOf(part).elements * DTypeBytes(AccumulatorOf(spec_.dtype));
  *sum = TakeBuffer(bytes, bytes >= kPartBytesMax ? &seat->part : &seat->small);
  return BeginFoldPart(part, round, (*sum)->data());
}

absl::StatusOr<NormSums> LocalValue::Measure(const Round& round, size_t measurings,
                                             const std::vector<MutableBufferPtr>& sums) const {
  NormSums norms;
  for (size_t step = 0; step < measurings; ++step) {
    NormSums found;
    for (PartIndex part = 0; part < parts_.size(); ++part) {
      KVS_ASSIGN_OR_RETURN(
          const NormSums of_part,
          round.updater->Measure(step, round.key, spec_.dtype, *parts_[part], *sums[part],
                                 states_[part].get(), {1, 1, round.step}, norms));
      found += of_part;
    }
    norms += found;
  }
  return norms;
}

absl::Status LocalValue::UpdatePart(PartIndex part, MutableBufferPtr sum, const Round& round,
                                    Scratch::Seat* seat) {
  const auto updated =
      round.updater->Update(round.key, spec_.dtype, *parts_[part], sum, &states_[part],
                            RangeOf(part).first, {1, 1, round.step, 0}, round.norms);
  // Either every part can be updated in this dtype or none: the first part's error is that of all.
  if (!updated.ok()) return updated.status();
  // If the sum's buffer became the value, that of the old value is free, else its own.
  if (*updated == sum) sum = std::move(parts_[part]);
  parts_[part] = *updated;
  (sum->size() >= kPartBytesMax ? seat->part : seat->small) = std::move(sum);
  return absl::OkStatus();
}

absl::Status LocalValue::Merge(KeyId key, absl::Span<const NDArray> values, const Means& means,
                               uint8_t* merged) {
  const PartIndex parts = PartCount(spec_.bytes);
  if (codec_ == nullptr) {
    return RunAhead(&means.reducer->threads(), parts, [&](size_t block, size_t) {
      const auto part = static_cast<PartIndex>(block);
      return means.reducer->BeginFold(spec_.dtype, values, RangeOf(part), FoldedAs::kRounded,
                                      StoresFor(spec_.bytes), merged + PartOffset(part));
    });
  }
  Buffer sum(kPartBytesMax / DTypeBytes(spec_.dtype) * DTypeBytes(AccumulatorOf(spec_.dtype)));
  KVS_ASSIGN_OR_RETURN(std::vector<Encoded> encoded, Encode(key, values, means));
  AcceptEncode(encoded);
  const Round round{key, values, std::move(encoded)};  // nothing can fail after it
  for (PartIndex part = 0; part < parts; ++part) {
    KVS_RETURN_IF_ERROR(FinishIfAny(BeginFoldPart(part, round, sum.data())));
    Narrow(spec_.dtype, merged + PartOffset(part), sum.data(), RangeOf(part).elements);
  }
  return absl::OkStatus();
}

absl::Status LocalValue::Push(KeyId key, absl::Span<const NDArray> values,
                              const WholeUpdate& update, const Means& means) {
  ToWhole();
  const DataType dtype = ToDataType(spec_.dtype);
  NDArray stored = MakeDetachedArray(whole_->data(), spec_.shape, dtype);
  if (values.size() == 1 && codec_ == nullptr && !AnyOnDevice(values)) {  // used where it is
    return update(MakeDetachedArray(values[0].data(), spec_.shape, dtype), &stored);
  }
  MutableBufferPtr& whole = means.scratch->whole;
  if (whole == nullptr || whole->size() < spec_.bytes) {
    whole = nullptr;  // before the new one comes
    whole = std::make_shared<Buffer>(spec_.bytes);
  }
  const NDArray merged = MakeDetachedArray(whole->data(), spec_.shape, dtype);
  KVS_RETURN_IF_ERROR(Merge(key, values, means, whole->data()));
  return update(merged, &stored);
}

absl::StatusOr<StatePage> LocalValue::ReadState(PartIndex part, const StateInfo& kind,
                                                const StateCursor& from) const {
  return kvstore::ReadState(kind, states_[part].get(),
                            ElementsIn(spec_, PartBytes(spec_.bytes, part)), from);
}

absl::Status LocalValue::StageState(PartIndex part, const StateInfo& kind, const StatePage& page) {
  if (staged_.empty()) staged_.resize(states_.size());
  return staged_[part].Add(fmt::format("part {}", part), kind,
                           ElementsIn(spec_, PartBytes(spec_.bytes, part)), page);
}

absl::Status LocalValue::CommitState() noexcept {
  const auto whole = [](const StagedDenseState& staged) { return staged.whole(); };
  if (staged_.empty() || !std::all_of(staged_.begin(), staged_.end(), whole)) {
    return WordedStatus(absl::StatusCode::kFailedPrecondition,
                        [] { return "all pages of a state expected, they have not come"; });
  }
  for (PartIndex part = 0; part < states_.size(); ++part) states_[part] = staged_[part].Take();
  staged_.clear();
  return absl::OkStatus();
}

void LocalValue::Reset() noexcept {
  encoders_.clear();
  staged_.clear();
  for (std::unique_ptr<UpdaterState>& state : states_) state.reset();
}

absl::Status LocalValue::CopyTo(absl::Span<const NDArray> outputs, const Means& means) const {
  const bool encodes = codec_ != nullptr && codec_->encodes_pulls();
  const Reducer& reducer = *means.reducer;
  return RunAhead(&means.reducer->threads(), PartCount(spec_.bytes), [&](size_t block, size_t) {
    const auto part = static_cast<PartIndex>(block);
    const ElementRange range = RangeOf(part);
    const uint8_t* const from =
        whole_ != nullptr ? whole_->data() + PartOffset(part) : parts_[part]->data();
    if (!encodes) {
      return reducer.BeginBroadcast(spec_.dtype, from, range, means.stores, outputs);
    }
    // What a server would answer, and a worker make of it.
    Buffer answer(range.elements * DTypeBytes(spec_.dtype));
    DecodeValues(*codec_, spec_.dtype, EncodeValues(*codec_, spec_.dtype, from, range.elements),
                 range.elements)
        .CopyTo(answer.data());
    return reducer.BeginBroadcast(spec_.dtype, answer.data(), range, means.stores, outputs);
  });
}

}  // namespace kvstore
