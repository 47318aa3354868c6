// What dlpack_test.py calls by ctypes: tensors from here to NumPy, and from NumPy to here.
#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include "kvstore/kvstore.h"

namespace {

using kvstore::DataType;
using kvstore::NDArray;

thread_local std::string error;

// The result of `make`, or null, and last_error() says why.
template <typename Make>
auto Try(const Make& make) -> decltype(make()) {
  try {
    error.clear();
    return make();
  } catch (const std::exception& thrown) {
    error = thrown.what();
    return nullptr;
  }
}

}  // namespace

extern "C" {

KVSTORE_EXPORT const char* last_error() { return error.c_str(); }

// A tensor of `dtype` and shape [2,3] with these bytes; null: see last_error().
KVSTORE_EXPORT DLManagedTensor* make_tensor(int dtype, const void* bytes) {
  return Try([&] {
    const NDArray array({2, 3}, static_cast<DataType>(dtype));
    std::memcpy(array.data(), bytes, array.bytes());
    return array.ToDLPack();
  });
}

// Takes the tensor over, has a store keep its value, and pulls it into a new array.
KVSTORE_EXPORT NDArray* pull_back(DLManagedTensor* tensor) {
  return Try([&] {
    const NDArray taken = NDArray::FromDLPack(tensor);
    const auto store = kvstore::KVStore::CreateUnique("local");
    store->Init(std::vector<int>{1}, {taken});
    auto out = std::make_unique<NDArray>(taken.shape(), taken.dtype());
    store->Pull(std::vector<int>{1}, {out.get()});
    out->WaitToRead();
    return out.release();
  });
}

KVSTORE_EXPORT const void* data_of(const NDArray* array) { return array->data(); }
KVSTORE_EXPORT int64_t bytes_of(const NDArray* array) {
  return static_cast<int64_t>(array->bytes());
}
KVSTORE_EXPORT int dtype_of(const NDArray* array) { return static_cast<int>(array->dtype()); }
KVSTORE_EXPORT int dimensions_of(const NDArray* array) {
  return static_cast<int>(array->shape().size());
}
KVSTORE_EXPORT int64_t dimension_of(const NDArray* array, int i) {
  return array->shape()[static_cast<size_t>(i)];
}
KVSTORE_EXPORT void free_array(const NDArray* array) { delete array; }

}  // extern "C"
