#include "client/device/device_stream.h"

#include <cstdint>

#include "client/device/plugin_call.h"
#include "common/base/status_macros.h"

namespace kvstore {

DeviceEvent::DeviceEvent(const DeviceLibrary& library, int gpu, void* event)
    : library_(&library),
      gpu_(gpu),
      event_(event, [drop = library.plugin().drop_event, gpu](void* at) { drop(gpu, at); }) {}

absl::StatusOr<DeviceEvent> DeviceEvent::Create(const DeviceLibrary& library, int gpu) {
  void* event = nullptr;
  KVS_RETURN_IF_ERROR(CallPlugin(library.plugin().make_event, gpu, &event));
  return DeviceEvent(library, gpu, event);
}

absl::Status DeviceEvent::Wait() const {
  return CallPlugin(library_->plugin().wait_for_event, gpu_, event_.get());
}

absl::StatusOr<bool> DeviceEvent::HasCome() const {
  int come = 0;
  KVS_RETURN_IF_ERROR(CallPlugin(library_->plugin().has_come, gpu_, event_.get(), &come));
  return come != 0;
}

DeviceStream::DeviceStream(const DeviceLibrary& library, int gpu, void* stream)
    : library_(&library),
      gpu_(gpu),
      stream_(stream, [drop = library.plugin().drop_stream, gpu](void* at) { drop(gpu, at); }) {}

absl::StatusOr<DeviceStream> DeviceStream::Create(const DeviceLibrary& library, int gpu) {
  void* stream = nullptr;
  KVS_RETURN_IF_ERROR(CallPlugin(library.plugin().make_stream, gpu, &stream));
  return DeviceStream(library, gpu, stream);
}

absl::Status DeviceStream::Copy(const MemoryAt& to, const ConstMemoryAt& from, size_t bytes) const {
  if (bytes == 0) return absl::OkStatus();
  return CallPlugin(library_->plugin().copy_on, gpu_, stream_.get(), to.device(), to.at,
                    from.device(), from.at, bytes);
}

absl::Status DeviceStream::Fold(DType dtype, absl::Span<const void* const> sources, size_t elements,
                                bool rounded, void* to) const {
  return CallPlugin(library_->plugin().fold_on, gpu_, stream_.get(), static_cast<uint32_t>(dtype),
                    sources.data(), sources.size(), elements, rounded ? 1 : 0, to);
}

absl::Status DeviceStream::Narrow(DType dtype, const void* from, size_t elements, void* to) const {
  return CallPlugin(library_->plugin().narrow_on, gpu_, stream_.get(), static_cast<uint32_t>(dtype),
                    from, elements, to);
}

absl::Status DeviceStream::Record(const DeviceEvent& event) const {
  return CallPlugin(library_->plugin().record, gpu_, event.event_.get(), stream_.get());
}

absl::Status DeviceStream::Await(const DeviceEvent& event) const {
  return CallPlugin(library_->plugin().await_event, gpu_, stream_.get(), event.event_.get());
}

absl::Status DeviceStream::Wait() const {
  return CallPlugin(library_->plugin().wait_for_stream, gpu_, stream_.get());
}

}  // namespace kvstore
