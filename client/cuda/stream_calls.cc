// Calls of the plugin (client/device/plugin_abi.h): copies, streams and events.
#include <cuda_runtime.h>

#include <algorithm>
#include <memory>
#include <new>

#include "client/cuda/plugin_calls.h"
#include "client/device/plugin_abi.h"

namespace kvstore::cuda {
namespace {

constexpr size_t kStagedBytes = size_t{1} << 20;  // of a copy over host memory at a time

int CopyBetween(int to_device, void* to, int from_device, const void* from, size_t bytes,
                const Text& text);

bool AreTwo(int to_device, int from_device) {
  return to_device != KVSTORE_DEVICE_HOST && from_device != KVSTORE_DEVICE_HOST &&
         to_device != from_device;
}

// Not between two devices.
cudaError_t PutCopy(int to_device, void* to, int from_device, const void* from, size_t bytes,
                    cudaStream_t stream) {
  const bool from_host = from_device == KVSTORE_DEVICE_HOST;
  const cudaMemcpyKind kind = to_device == KVSTORE_DEVICE_HOST
                                  ? (from_host ? cudaMemcpyHostToHost : cudaMemcpyDeviceToHost)
                                  : (from_host ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToDevice);
  return cudaMemcpyAsync(to, from, bytes, kind, stream);
}

int Copy(int to_device, void* to, int from_device, const void* from, size_t bytes, char* text,
         size_t text_bytes) {
  if (AreTwo(to_device, from_device)) {
    return CopyBetween(to_device, to, from_device, from, bytes, {text, text_bytes});
  }
  const int device = from_device == KVSTORE_DEVICE_HOST ? std::max(to_device, 0) : from_device;
  return Do(device, "a copy", {text, text_bytes}, [&](const Place& place) {
    return PutCopy(to_device, to, from_device, from, bytes, place.stream);
  });
}

// Directly, or over host memory where the two devices do not reach each other.
int CopyBetween(int to_device, void* to, int from_device, const void* from, size_t bytes,
                const Text& text) {
  Place place;
  cudaError_t error = Places::All().Use(from_device, &place);
  if (error == cudaSuccess) {
    error = cudaMemcpyPeerAsync(to, to_device, from, from_device, bytes, place.stream);
  }
  if (error == cudaSuccess) error = cudaStreamSynchronize(place.stream);
  if (error == cudaSuccess) return KVSTORE_DEVICE_OK;
  if (error != cudaErrorPeerAccessUnsupported) return text.Failed(error, from_device, "a copy");
  cudaGetLastError();
  const std::unique_ptr<char[]> staged(new (std::nothrow) char[std::min(bytes, kStagedBytes)]);
  if (staged == nullptr) {
    return text.Say(KVSTORE_DEVICE_NO_MEMORY,
                    "a copy from gpu(%d) to gpu(%d): host memory for it expected, there is none",
                    from_device, to_device);
  }
  for (size_t done = 0; done < bytes;) {
    const size_t some = std::min(bytes - done, kStagedBytes);
    int code = Copy(KVSTORE_DEVICE_HOST, staged.get(), from_device,
                    static_cast<const char*>(from) + done, some, text.text, text.bytes);
    if (code != KVSTORE_DEVICE_OK) return code;
    code = Copy(to_device, static_cast<char*>(to) + done, KVSTORE_DEVICE_HOST, staged.get(), some,
                text.text, text.bytes);
    if (code != KVSTORE_DEVICE_OK) return code;
    done += some;
  }
  return KVSTORE_DEVICE_OK;
}

int MakeStream(int device, void** stream, char* text, size_t text_bytes) {
  return Put(device, nullptr, "a stream", {text, text_bytes}, [&](const Place&) {
    cudaStream_t made = nullptr;
    const cudaError_t error = cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking);
    *stream = made;
    return error;
  });
}

void DropStream(int device, void* stream) {
  cudaSetDevice(device);
  cudaStreamDestroy(StreamAt(stream));
  cudaGetLastError();
}

int WaitForStream(int device, void* stream, char* text, size_t text_bytes) {
  return Put(device, stream, "a stream", {text, text_bytes},
             [](const Place& place) { return cudaStreamSynchronize(place.stream); });
}

int CopyOn(int device, void* stream, int to_device, void* to, int from_device, const void* from,
           size_t bytes, char* text, size_t text_bytes) {
  const Text said{text, text_bytes};
  if (!AreTwo(to_device, from_device)) {
    return Put(device, stream, "a copy", said, [&](const Place& place) {
      return PutCopy(to_device, to, from_device, from, bytes, place.stream);
    });
  }
  bool reached = true;
  const int put = Put(device, stream, "a copy", said, [&](const Place& place) {
    cudaError_t error = cudaMemcpyPeerAsync(to, to_device, from, from_device, bytes, place.stream);
    reached = error != cudaErrorPeerAccessUnsupported;
    if (!reached) {
      cudaGetLastError();
      error = cudaStreamSynchronize(place.stream);
    }
    return error;
  });
  if (reached || put != KVSTORE_DEVICE_OK) return put;
  return CopyBetween(to_device, to, from_device, from, bytes, said);
}

int MakeEvent(int device, void** event, char* text, size_t text_bytes) {
  return Put(device, nullptr, "an event", {text, text_bytes}, [&](const Place&) {
    cudaEvent_t made = nullptr;
    const cudaError_t error = cudaEventCreateWithFlags(&made, cudaEventDisableTiming);
    *event = made;
    return error;
  });
}

void DropEvent(int device, void* event) {
  cudaSetDevice(device);
  cudaEventDestroy(EventAt(event));
  cudaGetLastError();
}

int Record(int device, void* event, void* stream, char* text, size_t text_bytes) {
  return Put(device, stream, "an event", {text, text_bytes},
             [&](const Place& place) { return cudaEventRecord(EventAt(event), place.stream); });
}

int WaitForEvent(int device, void* event, char* text, size_t text_bytes) {
  return Put(device, nullptr, "an event", {text, text_bytes},
             [&](const Place&) { return cudaEventSynchronize(EventAt(event)); });
}

int HasCome(int device, void* event, int* come, char* text, size_t text_bytes) {
  return Put(device, nullptr, "an event", {text, text_bytes}, [&](const Place&) {
    const cudaError_t error = cudaEventQuery(EventAt(event));
    *come = error == cudaSuccess ? 1 : 0;
    return error == cudaErrorNotReady ? cudaSuccess : error;
  });
}

int AwaitEvent(int device, void* stream, void* event, char* text, size_t text_bytes) {
  return Put(device, stream, "an event", {text, text_bytes}, [&](const Place& place) {
    return cudaStreamWaitEvent(place.stream, EventAt(event), 0);
  });
}

}  // namespace

void AddStreamCalls(kvstore_device_plugin* plugin) {
  plugin->copy = &Copy;
  plugin->make_stream = &MakeStream;
  plugin->drop_stream = &DropStream;
  plugin->wait_for_stream = &WaitForStream;
  plugin->copy_on = &CopyOn;
  plugin->make_event = &MakeEvent;
  plugin->drop_event = &DropEvent;
  plugin->record = &Record;
  plugin->wait_for_event = &WaitForEvent;
  plugin->has_come = &HasCome;
  plugin->await_event = &AwaitEvent;
}

}  // namespace kvstore::cuda
