// What an NDArray handle refers to, and how the SDK itself makes arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "client/src/dependency_engine.h"
#include "common/tensor/dtype.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Immutable after construction, but for the bytes themselves.
class NDArray::Impl {
 public:
  // Keeps the bytes; calls the user's deleter when the last reference goes.
  std::shared_ptr<void> memory;
  uint8_t* data = nullptr;
  // Of the allocation: one for all arrays over the same pointer.
  VarPtr var;
  std::vector<int64_t> shape;
  int64_t elements = 0;
  DataType dtype = DataType::kFloat32;
  Context context;
};

// The numbers are the same.
inline DType ToDType(DataType dtype) { return static_cast<DType>(dtype); }
inline DataType ToDataType(DType dtype) { return static_cast<DataType>(dtype); }

// An array over the SDK's own bytes that has a Var of its own, whatever else lies at `data`: what
// an updater gets to see. (With the Var of the caller's array, an updater that calls WaitToRead
// would wait for the very operation that runs it.) `data` outlives every use.
NDArray MakeDetachedArray(void* data, std::vector<int64_t> shape, DataType dtype);

}  // namespace kvstore
