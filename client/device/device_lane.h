// DeviceLane: what one piece of work uses of a GPU while it is under way: a stream, and a ring of
// slots in pinned host memory, by way of which bytes cross. DeviceLanes has those that are idle.
//
// Why a ring for each piece of work, and none for all: nobody who has a slot ever waits for another
// one that somebody else has.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/device/device_library.h"
#include "client/device/device_stream.h"
#include "common/base/mutex.h"

namespace kvstore {

struct LaneOptions {
  // The sum of a part, 1 MiB, whose accumulator is twice as wide as its dtype. That is 20 to 80 us
  // of PCIe, long beside the 5 us that a copy takes to begin.
  size_t slot_bytes = size_t{2} << 20;
  // The CPU fills or reads one while another crosses.
  size_t slots = 2;
  // Of a GPU, in use at once, before it is crowded: two for each of eight threads.
  size_t lanes = 16;
};

// Thread-compatible. Errors: DeviceLibrary's; RESOURCE_EXHAUSTED also pinned memory.
class DeviceLane {
 public:
  // Memory for slots is taken when they are first needed, and stays.
  static absl::StatusOr<DeviceLane> Create(const DeviceLibrary& library, int gpu,
                                           const LaneOptions& options);

  const DeviceStream& stream() const { return stream_; }
  size_t slot_bytes() const { return options_.slot_bytes; }

  // The next slot of the ring, once nobody reads or writes it any more. After the last thing that
  // is put on the stream with it comes Using(slot).
  absl::StatusOr<void*> NextSlot();
  absl::Status Using(const void* slot);
  // Returns when the slot is not in use: what was to be copied to it is there.
  absl::Status WaitForSlot(const void* slot) const;

  // Puts on the stream a copy of host memory to the GPU's. The bytes are taken at the call.
  absl::Status Upload(void* to, const void* from, size_t bytes);

 private:
  struct Slot {
    std::shared_ptr<void> memory;
    DeviceEvent unused;  // comes when it is in use no more
  };

  DeviceLane(DeviceStream stream, const LaneOptions& options)
      : options_(options), stream_(std::move(stream)) {}
  const Slot& SlotAt(const void* memory) const;

  const LaneOptions options_;
  DeviceStream stream_;
  std::vector<Slot> slots_;
  size_t next_ = 0;
};

// Thread-safe.
class DeviceLanes {
 public:
  explicit DeviceLanes(const LaneOptions& options) : options_(options) {}

  // Goes back when the pointer goes; nothing is on its stream then that is not done.
  struct GiveBack {
    DeviceLanes* lanes = nullptr;
    void operator()(DeviceLane* lane) const;
  };
  using LanePtr = std::unique_ptr<DeviceLane, GiveBack>;

  // One that is idle, else a new one. Errors: DeviceLane::Create's.
  absl::StatusOr<LanePtr> Take(const DeviceLibrary& library, int gpu) KVS_EXCLUDES(mutex_);
  // Whether more lanes of the GPU are in use than there should be: whoever can, gives one back.
  bool Crowded(int gpu) const KVS_EXCLUDES(mutex_);

 private:
  struct OfGpu {
    std::vector<std::unique_ptr<DeviceLane>> idle;
    size_t in_use = 0;
  };

  const LaneOptions options_;
  mutable Mutex mutex_;
  std::map<int, OfGpu> gpus_ KVS_GUARDED_BY(mutex_);
};

}  // namespace kvstore
