#include "client/local/local_value.h"

#include <fmt/format.h>

#include <cstring>
#include <new>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

size_t ElementsIn(const ValueSpec& spec, size_t bytes) { return bytes / DTypeBytes(spec.dtype); }

// Pointers to the values' bytes from `offset` on.
std::vector<const void*> SourcesAt(const std::vector<NDArray>& values, uint64_t offset) {
  std::vector<const void*> sources;
  sources.reserve(values.size());
  for (const NDArray& value : values) sources.push_back(value.data_as<uint8_t>() + offset);
  return sources;
}

MutableBufferPtr TakeBuffer(size_t bytes, MutableBufferPtr* spare) {
  if (*spare != nullptr && (*spare)->size() == bytes) return std::exchange(*spare, nullptr);
  return std::make_shared<Buffer>(bytes);
}

}  // namespace

LocalValue::LocalValue(const ValueSpec& spec, const NDArray& value)
    : spec_(spec), whole_(std::make_shared<Buffer>(spec.bytes)) {
  std::memcpy(whole_->data(), value.data(), spec.bytes);
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

absl::Status LocalValue::Push(KeyId key, const std::vector<NDArray>& values,
                              const PartUpdater& updater, Scratch* scratch) {
  ToParts();
  for (PartIndex part = 0; part < parts_.size(); ++part) {
    try {
      KVS_RETURN_IF_ERROR(PushPart(key, part, values, updater, scratch));
    } catch (const std::bad_alloc&) {
      if (part == 0) throw;
      return WordedStatus(absl::StatusCode::kUnknown, [&] {
        return fmt::format(
            "memory for an update expected, there is too little: {} of {} parts of the value are "
            "updated, the others are not",
            part, parts_.size());
      });
    }
  }
  if (parts_.size() == 1) whole_ = parts_[0];
  return absl::OkStatus();
}

absl::Status LocalValue::PushPart(KeyId key, PartIndex part, const std::vector<NDArray>& values,
                                  const PartUpdater& updater, Scratch* scratch) {
  const size_t elements = ElementsIn(spec_, PartBytes(spec_.bytes, part));
  MutableBufferPtr sum =
      TakeBuffer(elements * DTypeBytes(AccumulatorOf(spec_.dtype)), &scratch->part);
  const std::vector<const void*> sources = SourcesAt(values, PartOffset(part));
  LeftFold(spec_.dtype, sum->data(), sources.data(), sources.size(), elements);
  const auto updated = updater.Update(key, spec_.dtype, *parts_[part], sum, &states_[part]);
  // Either every part can be updated in this dtype or none: the first part's error is that of all.
  if (!updated.ok()) return updated.status();
  // If the sum's buffer became the value, that of the old value is free, else its own.
  if (*updated == sum) sum = std::move(parts_[part]);
  parts_[part] = *updated;
  if (sum->size() >= kPartBytesMax) scratch->part = std::move(sum);
  return absl::OkStatus();
}

absl::Status LocalValue::Push(const std::vector<NDArray>& values, const WholeUpdate& update,
                              Scratch* scratch) {
  ToWhole();
  void* merged = values[0].data();  // a single value is used where it is
  if (values.size() > 1) {
    MutableBufferPtr& whole = scratch->whole;
    if (whole == nullptr || whole->size() < spec_.bytes) {
      whole = nullptr;  // before the new one comes
      whole = std::make_shared<Buffer>(spec_.bytes);
    }
    const std::vector<const void*> sources = SourcesAt(values, 0);
    RoundedFold(spec_.dtype, whole->data(), sources.data(), sources.size(),
                ElementsIn(spec_, spec_.bytes));
    merged = whole->data();
  }
  const DataType dtype = ToDataType(spec_.dtype);
  NDArray stored = MakeDetachedArray(whole_->data(), spec_.shape, dtype);
  return update(MakeDetachedArray(merged, spec_.shape, dtype), &stored);
}

void LocalValue::CopyTo(const NDArray& output) const {
  auto* bytes = output.data_as<uint8_t>();
  if (whole_ != nullptr) {
    std::memcpy(bytes, whole_->data(), spec_.bytes);
    return;
  }
  for (PartIndex part = 0; part < parts_.size(); ++part) {
    std::memcpy(bytes + PartOffset(part), parts_[part]->data(), parts_[part]->size());
  }
}

}  // namespace kvstore
