// InPlace: memory for an object that is shared, within another one that is, too. With it
// std::allocate_shared takes none of its own: the object and what counts its references lie in a
// place that the other one has for it. An object for which the place is too small has memory of its
// own, as with std::make_shared.
//
//   struct Call { Place<160> place; ... };
//   const auto call = std::make_shared<Call>();
//   const auto answer = std::allocate_shared<Answer>(InPlace<Answer>(call, &call->place), ...);
//
// The answer keeps the call, and the call must be free to go before the answer: neither may be the
// only one to let go of the other.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace kvstore {

// Room for one object at a time.
template <size_t kBytes>
struct Place {  // not initialised
  alignas(std::max_align_t) unsigned char bytes[kBytes];
};

template <typename T>
class InPlace {
 public:
  using value_type = T;  // NOLINT(readability-identifier-naming): as of an allocator

  // `place` lies in `owner`, and is not in use.
  template <size_t kBytes>
  InPlace(std::shared_ptr<const void> owner, Place<kBytes>* place)
      : owner_(std::move(owner)), place_(place->bytes), bytes_(kBytes) {}
  template <typename U>
  InPlace(const InPlace<U>& other)  // NOLINT(google-explicit-constructor): as of an allocator
      : owner_(other.owner_), place_(other.place_), bytes_(other.bytes_) {}

  T* allocate(size_t count) {  // NOLINT(readability-identifier-naming)
    static_assert(alignof(T) <= alignof(std::max_align_t));
    const size_t bytes = count * sizeof(T);
    return static_cast<T*>(bytes <= bytes_ ? place_ : ::operator new(bytes));
  }
  void deallocate(T* at, size_t) noexcept {  // NOLINT(readability-identifier-naming)
    if (at != place_) ::operator delete(at);
  }

  template <typename U>
  bool operator==(const InPlace<U>& other) const {
    return place_ == other.place_;
  }
  template <typename U>
  bool operator!=(const InPlace<U>& other) const {
    return !(*this == other);
  }

 private:
  template <typename U>
  friend class InPlace;

  std::shared_ptr<const void> owner_;
  void* place_;
  size_t bytes_;
};

}  // namespace kvstore
