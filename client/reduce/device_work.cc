#include "client/reduce/device_work.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "client/array/ndarray_impl.h"
#include "client/reduce/taken_blocks.h"
#include "common/base/status_macros.h"
#include "common/cluster/partitioner.h"
#include "common/kernels/convert.h"

namespace kvstore {
namespace {

using LanePtr = DeviceLanes::LanePtr;

constexpr size_t kListed = 8;  // arrays for which no memory is taken

const uint8_t* At(const NDArray& value, const ElementRange& range, DType dtype) {
  return value.data_as<uint8_t>() + range.first * DTypeBytes(dtype);
}

// GPUs take turns, part by part; all of those that have a value.
Context DeviceFor(absl::Span<const NDArray> values, uint64_t first_byte) {
  const std::vector<int> gpus = GpusOf(values);
  return Context::Gpu(gpus[first_byte / kPartBytesMax % gpus.size()]);
}

// Something that a GPU makes of arrays, on its way to host memory.
class ToHost final : public UnderWay {
 public:
  // A lane of that GPU.
  ToHost(DeviceBlocks* blocks, LanePtr lane, void* to)
      : lane_(std::move(lane)), blocks_(blocks, lane_->stream().library()), to_(to) {}
  ~ToHost() override {
    if (!finished_) lane_->stream().Wait().IgnoreError();
  }

  DeviceLane& lane() { return *lane_; }
  absl::StatusOr<void*> Take(size_t bytes) { return blocks_.Take(lane_->stream().gpu(), bytes); }

  // The last thing: what is at `from` then.
  absl::Status Cross(const void* from, size_t bytes) {
    const Context gpu = Context::Gpu(lane_->stream().gpu());
    if (bytes > lane_->slot_bytes()) {  // more than a part, of which nobody has several
      return lane_->stream().Copy({Context(), to_}, {gpu, from}, bytes);
    }
    KVS_ASSIGN_OR_RETURN(slot_, lane_->NextSlot());
    bytes_ = bytes;
    KVS_RETURN_IF_ERROR(lane_->stream().Copy({Context::CpuPinned(), slot_}, {gpu, from}, bytes));
    return lane_->Using(slot_);
  }

  absl::Status Finish() override {
    KVS_RETURN_IF_ERROR(slot_ == nullptr ? lane_->stream().Wait() : lane_->WaitForSlot(slot_));
    finished_ = true;
    if (slot_ != nullptr) std::memcpy(to_, slot_, bytes_);
    return absl::OkStatus();
  }

 private:
  LanePtr lane_;
  Taken blocks_;
  void* const to_;
  void* slot_ = nullptr;
  size_t bytes_ = 0;
  bool finished_ = false;
};

absl::StatusOr<std::unique_ptr<ToHost>> OnLaneOf(Context gpu, const DeviceMeans& means, void* to) {
  KVS_ASSIGN_OR_RETURN(const DeviceLibrary* const library, DeviceLibrary::For(gpu));
  KVS_ASSIGN_OR_RETURN(LanePtr lane, means.lanes->Take(*library, gpu.index));
  return std::make_unique<ToHost>(means.blocks, std::move(lane), to);
}

// A range of a value on its way to GPUs.
class ToDevices final : public UnderWay {
 public:
  explicit ToDevices(DeviceLanes* lanes) : lanes_(lanes) {}
  ~ToDevices() override {
    for (size_t i = finished_; i < targets_.size(); ++i) {
      targets_[i].lane->stream().Wait().IgnoreError();
    }
  }

  absl::Status Copy(DType dtype, const void* data, const ElementRange& range,
                    const NDArray& output) {
    KVS_ASSIGN_OR_RETURN(Target* const target, TargetOf(output.context()));
    DeviceLane& lane = *target->lane;
    const DType as = ToDType(output.dtype());
    const size_t width = DTypeBytes(as);
    const size_t at_once = lane.slot_bytes() / width;
    for (size_t done = 0; done < range.elements; done += at_once) {
      const size_t some = std::min(at_once, range.elements - done);
      // Outputs of one GPU and dtype share what is in the slot.
      if (target->filled != as || some < range.elements) {
        target->filled = DType::kUnspecified;
        KVS_ASSIGN_OR_RETURN(target->slot, lane.NextSlot());
        const auto* const from = static_cast<const uint8_t*>(data) + done * DTypeBytes(dtype);
        if (as == dtype) {
          std::memcpy(target->slot, from, some * width);
        } else {
          Convert(dtype, from, as, target->slot, some);
        }
        if (some == range.elements) target->filled = as;
      }
      uint8_t* const to = output.data_as<uint8_t>() + (range.first + done) * width;
      KVS_RETURN_IF_ERROR(lane.stream().Copy({output.context(), to},
                                             {Context::CpuPinned(), target->slot}, some * width));
      KVS_RETURN_IF_ERROR(lane.Using(target->slot));
    }
    return absl::OkStatus();
  }

  bool Crowded() const {
    return std::any_of(targets_.begin(), targets_.end(), [&](const Target& target) {
      return lanes_->Crowded(target.lane->stream().gpu());
    });
  }

  absl::Status Finish() override {
    for (; finished_ < targets_.size(); ++finished_) {
      KVS_RETURN_IF_ERROR(targets_[finished_].lane->stream().Wait());
    }
    return absl::OkStatus();
  }

 private:
  struct Target {
    LanePtr lane;
    void* slot = nullptr;
    DType filled = DType::kUnspecified;  // with the whole range, in that dtype
  };

  absl::StatusOr<Target*> TargetOf(Context gpu) {
    for (Target& target : targets_) {
      if (target.lane->stream().gpu() == gpu.index) return &target;
    }
    KVS_ASSIGN_OR_RETURN(const DeviceLibrary* const library, DeviceLibrary::For(gpu));
    KVS_ASSIGN_OR_RETURN(LanePtr lane, lanes_->Take(*library, gpu.index));
    targets_.push_back({std::move(lane)});
    return &targets_.back();
  }

  DeviceLanes* const lanes_;
  std::vector<Target> targets_;
  size_t finished_ = 0;  // of the targets, from the first one on
};

}  // namespace

absl::StatusOr<UnderWayPtr> BeginFoldOnDevice(const DeviceMeans& means, DType dtype,
                                              absl::Span<const NDArray> values,
                                              const ElementRange& range, FoldedAs as, void* sum) {
  const size_t bytes = range.elements * DTypeBytes(dtype);
  const size_t sum_bytes = range.elements * DTypeBytes(AccumulatorOf(dtype));
  const Context device = DeviceFor(values, range.first * DTypeBytes(dtype));
  KVS_ASSIGN_OR_RETURN(std::unique_ptr<ToHost> work, OnLaneOf(device, means, sum));
  const DeviceStream& stream = work->lane().stream();
  absl::InlinedVector<const void*, kListed> sources;
  sources.reserve(values.size());
  for (const NDArray& value : values) {
    const void* source = At(value, range, dtype);
    const Context context = value.context();
    if (!OnDevice(context) || context.index != device.index) {
      KVS_ASSIGN_OR_RETURN(void* const copy, work->Take(bytes));
      KVS_RETURN_IF_ERROR(context.device == Context::Device::kCpu
                              ? work->lane().Upload(copy, source, bytes)
                              : stream.Copy({device, copy}, {context, source}, bytes));
      source = copy;
    }
    sources.push_back(source);
  }
  const bool rounds = as == FoldedAs::kRounded && AccumulatorOf(dtype) != dtype;
  const bool at_once = rounds && sources.size() <= stream.library().rounded_max();
  KVS_ASSIGN_OR_RETURN(void* folded, work->Take(at_once ? bytes : sum_bytes));
  KVS_RETURN_IF_ERROR(stream.Fold(dtype, sources, range.elements, at_once, folded));
  if (rounds && !at_once) {
    KVS_ASSIGN_OR_RETURN(void* const rounded, work->Take(bytes));
    KVS_RETURN_IF_ERROR(stream.Narrow(dtype, folded, range.elements, rounded));
    folded = rounded;
  }
  KVS_RETURN_IF_ERROR(work->Cross(folded, rounds ? bytes : sum_bytes));
  return work;
}

absl::StatusOr<UnderWayPtr> BeginCopyToHost(const DeviceMeans& means, DType dtype,
                                            const NDArray& value, const ElementRange& range,
                                            void* to) {
  KVS_ASSIGN_OR_RETURN(std::unique_ptr<ToHost> work, OnLaneOf(value.context(), means, to));
  KVS_RETURN_IF_ERROR(work->Cross(At(value, range, dtype), range.elements * DTypeBytes(dtype)));
  return work;
}

absl::StatusOr<UnderWayPtr> BeginCopyToDevices(DeviceLanes* lanes, DType dtype, const void* data,
                                               const ElementRange& range,
                                               absl::Span<const NDArray> outputs) {
  auto work = std::make_unique<ToDevices>(lanes);
  for (const NDArray& output : outputs) {
    if (OnDevice(output.context())) {
      KVS_RETURN_IF_ERROR(work->Copy(dtype, data, range, output));
    }
  }
  if (!work->Crowded()) return work;
  KVS_RETURN_IF_ERROR(work->Finish());
  return nullptr;
}

}  // namespace kvstore
