#include "client/device/device_lane.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace kvstore {

absl::StatusOr<DeviceLane> DeviceLane::Create(const DeviceLibrary& library, int gpu,
                                              const LaneOptions& options) {
  KVS_ASSIGN_OR_RETURN(DeviceStream stream, DeviceStream::Create(library, gpu));
  return DeviceLane(std::move(stream), options);
}

absl::StatusOr<void*> DeviceLane::NextSlot() {
  if (slots_.size() < options_.slots) {
    slots_.reserve(options_.slots);
    const DeviceLibrary& library = stream_.library();
    KVS_ASSIGN_OR_RETURN(auto memory, library.AllocatePinned(stream_.gpu(), options_.slot_bytes));
    KVS_ASSIGN_OR_RETURN(DeviceEvent unused, DeviceEvent::Create(library, stream_.gpu()));
    slots_.push_back({std::move(memory), std::move(unused)});
    return slots_.back().memory.get();
  }
  const Slot& slot = slots_[next_];
  next_ = (next_ + 1) % slots_.size();
  KVS_RETURN_IF_ERROR(slot.unused.Wait());
  return slot.memory.get();
}

const DeviceLane::Slot& DeviceLane::SlotAt(const void* memory) const {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const Slot& slot) { return slot.memory.get() == memory; });
  KVS_CHECK(found != slots_.end());
  return *found;
}

absl::Status DeviceLane::Using(const void* slot) { return stream_.Record(SlotAt(slot).unused); }

absl::Status DeviceLane::WaitForSlot(const void* slot) const { return SlotAt(slot).unused.Wait(); }

absl::Status DeviceLane::Upload(void* to, const void* from, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const size_t some = std::min(bytes - done, options_.slot_bytes);
    KVS_ASSIGN_OR_RETURN(void* const slot, NextSlot());
    std::memcpy(slot, static_cast<const uint8_t*>(from) + done, some);
    const Context gpu = Context::Gpu(stream_.gpu());
    KVS_RETURN_IF_ERROR(
        stream_.Copy({gpu, static_cast<uint8_t*>(to) + done}, {Context::CpuPinned(), slot}, some));
    KVS_RETURN_IF_ERROR(Using(slot));
    done += some;
  }
  return absl::OkStatus();
}

absl::StatusOr<DeviceLanes::LanePtr> DeviceLanes::Take(const DeviceLibrary& library, int gpu) {
  {
    MutexLock lock(mutex_);
    OfGpu& of_gpu = gpus_[gpu];
    if (!of_gpu.idle.empty()) {
      LanePtr lane(of_gpu.idle.back().release(), GiveBack{this});
      of_gpu.idle.pop_back();
      ++of_gpu.in_use;
      return lane;
    }
    of_gpu.idle.reserve(of_gpu.idle.capacity() + 1);  // so that giving one back takes no memory
  }
  KVS_ASSIGN_OR_RETURN(DeviceLane made, DeviceLane::Create(library, gpu, options_));
  LanePtr lane(new DeviceLane(std::move(made)), GiveBack{this});
  MutexLock lock(mutex_);
  ++gpus_[gpu].in_use;
  return lane;
}

bool DeviceLanes::Crowded(int gpu) const {
  MutexLock lock(mutex_);
  const auto found = gpus_.find(gpu);
  return found != gpus_.end() && found->second.in_use > options_.lanes;
}

void DeviceLanes::GiveBack::operator()(DeviceLane* lane) const {
  MutexLock lock(lanes->mutex_);
  OfGpu& of_gpu = lanes->gpus_[lane->stream().gpu()];
  of_gpu.idle.emplace_back(lane);
  --of_gpu.in_use;
}

}  // namespace kvstore
