// Arrays in the memory of a simulated GPU, for tests of kernels.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace kvstore::testing {

inline constexpr size_t kGuard = 16;  // elements on either side

// Elements in a device's memory, the first `offset` elements behind 256 bytes' boundary. Exactly
// as long as they are, or with guards.
template <typename T>
class OnDevice {
 public:
  OnDevice(const std::vector<T>& values, size_t offset, size_t guard = 0)
      : size_(values.size()), before_(offset + guard), all_(before_ + size_ + guard) {
    void* memory = nullptr;
    REQUIRE(cudaMalloc(&memory, all_ * sizeof(T)) == cudaSuccess);
    memory_ = static_cast<T*>(memory);
    REQUIRE(cudaMemsetAsync(memory_, 0x5a, all_ * sizeof(T), nullptr) == cudaSuccess);
    REQUIRE(cudaMemcpyAsync(data(), values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice,
                            nullptr) == cudaSuccess);
  }
  ~OnDevice() { cudaFree(memory_); }
  OnDevice(OnDevice&& other) noexcept
      : size_(other.size_),
        before_(other.before_),
        all_(other.all_),
        memory_(std::exchange(other.memory_, nullptr)) {}

  T* data() const { return memory_ + before_; }
  std::vector<T> Read() const {
    const std::vector<T> all = ReadAll();
    return {all.begin() + static_cast<std::ptrdiff_t>(before_),
            all.begin() + static_cast<std::ptrdiff_t>(before_ + size_)};
  }
  bool GuardsIntact() const {
    const std::vector<T> all = ReadAll();
    for (size_t i = 0; i < all_; ++i) {
      if (i >= before_ && i < before_ + size_) continue;
      const auto* const bytes = reinterpret_cast<const uint8_t*>(&all[i]);
      if (std::any_of(bytes, bytes + sizeof(T), [](uint8_t byte) { return byte != 0x5a; })) {
        return false;
      }
    }
    return true;
  }

 private:
  std::vector<T> ReadAll() const {
    std::vector<T> all(all_);
    REQUIRE(cudaMemcpyAsync(all.data(), memory_, all_ * sizeof(T), cudaMemcpyDeviceToHost,
                            nullptr) == cudaSuccess);
    return all;
  }

  const size_t size_, before_, all_;
  T* memory_ = nullptr;
};

}  // namespace kvstore::testing
