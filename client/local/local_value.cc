#include "client/local/local_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "client/store/output_dtype.h"
#include "common/base/status_macros.h"
#include "common/kernels/convert.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

size_t ElementsIn(const ValueSpec& spec, size_t bytes) { return bytes / DTypeBytes(spec.dtype); }

using Sources = absl::InlinedVector<const void*, 8>;

// Pointers to the values' bytes from `offset` on.
Sources SourcesAt(absl::Span<const NDArray> values, uint64_t offset) {
  Sources sources;
  sources.reserve(values.size());
  for (const NDArray& value : values) sources.push_back(value.data_as<uint8_t>() + offset);
  return sources;
}

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

std::vector<LocalValue::Encoded> LocalValue::Encode(KeyId key, absl::Span<const NDArray> values) {
  std::vector<Encoded> encoded;
  if (codec_ == nullptr) return encoded;
  encoded.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (i == encoders_.size()) {
      encoders_.emplace_back(codec_, key, static_cast<uint32_t>(i), spec_.dtype, spec_.bytes);
    }
    encoded.push_back(encoders_[i].MakeRoom());
    encoders_[i].KeepForUndo();
  }
  for (size_t i = 0; i < values.size(); ++i) {
    encoders_[i].Encode(values[i].data_as<uint8_t>(), encoded[i]);
  }
  return encoded;
}

void LocalValue::UndoEncode(const std::vector<Encoded>& encoded) noexcept {
  for (size_t i = 0; i < encoded.size(); ++i) encoders_[i].Undo();
}

void LocalValue::FoldPart(PartIndex part, absl::Span<const NDArray> values,
                          const std::vector<Encoded>& encoded, void* sum) const {
  const size_t elements = ElementsIn(spec_, PartBytes(spec_.bytes, part));
  if (codec_ == nullptr) {
    const Sources sources = SourcesAt(values, PartOffset(part));
    return LeftFold(spec_.dtype, sum, sources.data(), sources.size(), elements);
  }
  for (size_t i = 0; i < encoded.size(); ++i) {
    codec_->Decode(spec_.dtype, encoded[i][part]->data(), elements, /*add=*/i > 0, sum);
  }
}

absl::Status LocalValue::Push(KeyId key, std::string_view name, absl::Span<const NDArray> values,
                              const PartUpdater& updater, uint64_t step, Scratch* scratch) {
  ToParts();
  const std::vector<Encoded> encoded = Encode(key, values);
  // Mostly a part is updated while its sum is in the cache. Where the whole value is measured
  // first, all sums are made before the first update.
  const size_t measurings = updater.Measurings(name);
  std::vector<MutableBufferPtr> sums;
  NormSums norms;
  PartIndex updated = 0;
  try {
    if (measurings > 0) {
      for (PartIndex part = 0; part < parts_.size(); ++part) {
        sums.push_back(SumOfPart(part, values, encoded, scratch));
      }
      KVS_ASSIGN_OR_RETURN(norms, Measure(key, measurings, sums, updater, step));
    }
    for (; updated < parts_.size(); ++updated) {
      MutableBufferPtr sum =
          measurings > 0 ? std::move(sums[updated]) : SumOfPart(updated, values, encoded, scratch);
      KVS_RETURN_IF_ERROR(UpdatePart(key, updated, std::move(sum), norms, updater, step, scratch));
    }
  } catch (const std::bad_alloc&) {
    if (updated == 0) {
      UndoEncode(encoded);
      throw;
    }
    return WordedStatus(absl::StatusCode::kUnknown, [&] {
      return fmt::format(
          "memory for an update expected, there is too little: {} of {} parts of the value are "
          "updated, the others are not",
          updated, parts_.size());
    });
  }
  if (parts_.size() == 1) whole_ = parts_[0];
  return absl::OkStatus();
}

MutableBufferPtr LocalValue::SumOfPart(PartIndex part, absl::Span<const NDArray> values,
                                       const std::vector<Encoded>& encoded,
                                       Scratch* scratch) const {
  const size_t elements = ElementsIn(spec_, PartBytes(spec_.bytes, part));
  const size_t bytes = elements * DTypeBytes(AccumulatorOf(spec_.dtype));
  MutableBufferPtr sum =
      TakeBuffer(bytes, bytes >= kPartBytesMax ? &scratch->part : &scratch->small);
  FoldPart(part, values, encoded, sum->data());
  return sum;
}

absl::StatusOr<NormSums> LocalValue::Measure(KeyId key, size_t measurings,
                                             const std::vector<MutableBufferPtr>& sums,
                                             const PartUpdater& updater,
                                             uint64_t training_step) const {
  NormSums norms;
  for (size_t step = 0; step < measurings; ++step) {
    NormSums found;
    for (PartIndex part = 0; part < parts_.size(); ++part) {
      KVS_ASSIGN_OR_RETURN(const NormSums of_part,
                           updater.Measure(step, key, spec_.dtype, *parts_[part], *sums[part],
                                           states_[part].get(), {1, 1, training_step}, norms));
      found += of_part;
    }
    norms += found;
  }
  return norms;
}

absl::Status LocalValue::UpdatePart(KeyId key, PartIndex part, MutableBufferPtr sum,
                                    const NormSums& norms, const PartUpdater& updater,
                                    uint64_t step, Scratch* scratch) {
  const auto updated =
      updater.Update(key, spec_.dtype, *parts_[part], sum, &states_[part],
                     PartOffset(part) / DTypeBytes(spec_.dtype), {1, 1, step, 0}, norms);
  // Either every part can be updated in this dtype or none: the first part's error is that of all.
  if (!updated.ok()) return updated.status();
  // If the sum's buffer became the value, that of the old value is free, else its own.
  if (*updated == sum) sum = std::move(parts_[part]);
  parts_[part] = *updated;
  (sum->size() >= kPartBytesMax ? scratch->part : scratch->small) = std::move(sum);
  return absl::OkStatus();
}

void LocalValue::Merge(KeyId key, absl::Span<const NDArray> values, uint8_t* merged) {
  if (codec_ == nullptr) {
    const Sources sources = SourcesAt(values, 0);
    return RoundedFold(spec_.dtype, merged, sources.data(), sources.size(),
                       ElementsIn(spec_, spec_.bytes));
  }
  Buffer sum(kPartBytesMax / DTypeBytes(spec_.dtype) * DTypeBytes(AccumulatorOf(spec_.dtype)));
  const std::vector<Encoded> encoded = Encode(key, values);  // nothing can fail after it
  for (PartIndex part = 0; part < PartCount(spec_.bytes); ++part) {
    FoldPart(part, values, encoded, sum.data());
    Narrow(spec_.dtype, merged + PartOffset(part), sum.data(),
           ElementsIn(spec_, PartBytes(spec_.bytes, part)));
  }
}

absl::Status LocalValue::Push(KeyId key, absl::Span<const NDArray> values,
                              const WholeUpdate& update, Scratch* scratch) {
  ToWhole();
  const DataType dtype = ToDataType(spec_.dtype);
  NDArray stored = MakeDetachedArray(whole_->data(), spec_.shape, dtype);
  if (values.size() == 1 && codec_ == nullptr) {  // it is used where it is
    return update(MakeDetachedArray(values[0].data(), spec_.shape, dtype), &stored);
  }
  MutableBufferPtr& whole = scratch->whole;
  if (whole == nullptr || whole->size() < spec_.bytes) {
    whole = nullptr;  // before the new one comes
    whole = std::make_shared<Buffer>(spec_.bytes);
  }
  const NDArray merged = MakeDetachedArray(whole->data(), spec_.shape, dtype);
  Merge(key, values, whole->data());
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

void LocalValue::CopyTo(const NDArray& output) const {
  auto* const bytes = output.data_as<uint8_t>();
  const DType to = ToDType(output.dtype());
  const bool encodes = codec_ != nullptr && codec_->encodes_pulls();
  if (whole_ != nullptr && !encodes) {
    return Convert(spec_.dtype, whole_->data(), to, bytes, ElementsIn(spec_, spec_.bytes));
  }
  for (PartIndex part = 0; part < PartCount(spec_.bytes); ++part) {
    const uint8_t* const from =
        whole_ != nullptr ? whole_->data() + PartOffset(part) : parts_[part]->data();
    const size_t elements = ElementsIn(spec_, PartBytes(spec_.bytes, part));
    uint8_t* const out = bytes + ElementsIn(spec_, PartOffset(part)) * DTypeBytes(to);
    if (encodes) {
      // What a server would answer, and a worker make of it.
      Payload answer = EncodeValues(*codec_, spec_.dtype, from, elements);
      Converted(DecodeValues(*codec_, spec_.dtype, std::move(answer), elements), spec_.dtype, to)
          .CopyTo(out);
    } else {
      Convert(spec_.dtype, from, to, out, elements);
    }
  }
}

}  // namespace kvstore
