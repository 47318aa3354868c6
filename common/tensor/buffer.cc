#include "common/tensor/buffer.h"

#include <new>

namespace kvstore {

Buffer::Buffer(size_t size)
    : data_(static_cast<uint8_t*>(::operator new (size, std::align_val_t{kAlignment}))),
      size_(size) {}

Buffer::~Buffer() { ::operator delete (data_, std::align_val_t{kAlignment}); }

}  // namespace kvstore
