// UninitializedBytes: a vector of bytes that are about to be written, and so are not set to zero
// when it grows: of a large one that would be a second way through the memory.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace kvstore {

// std::allocator, but that an item which is made without a value is left as it is. The names are
// the standard library's.
template <typename T>
struct UninitializedAllocator : std::allocator<T> {
  template <typename U>
  struct rebind {                             // NOLINT(readability-identifier-naming)
    using other = UninitializedAllocator<U>;  // NOLINT(readability-identifier-naming)
  };

  template <typename U>
  void construct(U* item) noexcept {
    ::new (static_cast<void*>(item)) U;
  }
  template <typename U, typename... Args>
  void construct(U* item, Args&&... args) {
    ::new (static_cast<void*>(item)) U(std::forward<Args>(args)...);
  }
};

using UninitializedBytes = std::vector<uint8_t, UninitializedAllocator<uint8_t>>;

}  // namespace kvstore
