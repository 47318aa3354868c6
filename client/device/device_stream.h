// DeviceStream, DeviceEvent: what is put on a stream of a GPU is done in that order, later; an
// event comes when all is done that was on the stream when it was recorded there.
//
// Nobody gives memory back, or reads what is written, before an event or the stream says that this
// is done; a stream that is destroyed does not wait.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/device/device_library.h"
#include "common/tensor/dtype.h"

namespace kvstore {

// Given back by the plugin.
using PluginHandle = std::unique_ptr<void, std::function<void(void*)>>;

// Thread-compatible.
class DeviceEvent {
 public:
  // The library lives as long as the process. Errors: DeviceLibrary's.
  static absl::StatusOr<DeviceEvent> Create(const DeviceLibrary& library, int gpu);

  // Returns when it has come, at once if it was never recorded. Errors: what the event is about, or
  // something else on the GPU, has failed; it will not come then.
  absl::Status Wait() const;
  // Whether it has come. Errors: the same.
  absl::StatusOr<bool> HasCome() const;

 private:
  friend class DeviceStream;
  DeviceEvent(const DeviceLibrary& library, int gpu, void* event);

  const DeviceLibrary* library_;
  int gpu_;
  PluginHandle event_;
};

// Thread-compatible. Errors: DeviceLibrary's; what fails later is an error of a later call of any
// stream or event of the GPU.
class DeviceStream {
 public:
  static absl::StatusOr<DeviceStream> Create(const DeviceLibrary& library, int gpu);

  int gpu() const { return gpu_; }
  const DeviceLibrary& library() const { return *library_; }

  // DeviceLibrary's of the same names, on the stream. A copy is from or to the stream's GPU; of
  // host memory that is not pinned the bytes are taken at the call, and one to such memory is done
  // when it returns.
  absl::Status Copy(const MemoryAt& to, const ConstMemoryAt& from, size_t bytes) const;
  absl::Status Fold(DType dtype, absl::Span<const void* const> sources, size_t elements,
                    bool rounded, void* to) const;
  absl::Status Narrow(DType dtype, const void* from, size_t elements, void* to) const;

  // The event, of the same GPU, comes when what is on the stream now is done.
  absl::Status Record(const DeviceEvent& event) const;
  // What is put on the stream after this waits for the event, of any GPU.
  absl::Status Await(const DeviceEvent& event) const;
  // Returns when nothing of what was put on the stream is under way any more: done, or failed.
  absl::Status Wait() const;

 private:
  DeviceStream(const DeviceLibrary& library, int gpu, void* stream);

  const DeviceLibrary* library_;
  int gpu_;
  PluginHandle stream_;
};

}  // namespace kvstore
