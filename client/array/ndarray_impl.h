// What an NDArray handle refers to, and how the SDK itself makes arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/order/dependency_engine.h"
#include "common/tensor/dtype.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Immutable after construction, but for the bytes themselves and what SetRows changes.
class NDArray::Impl {
 public:
  // Makes a row_sparse array in host memory hold the rows `indices` (ascending, unique, in range),
  // whose bytes the caller then writes to the place that is returned; or one on a GPU none. Only an
  // operation that has the array's Var as kWrite may call it.
  // May throw std::bad_alloc; then the array is as it was.
  uint8_t* SetRows(std::vector<int64_t> row_indices);

  size_t row_bytes() const;  // of a row_sparse array

  static NDArray Handle(std::shared_ptr<Impl> impl) { return NDArray(FromImpl(), std::move(impl)); }

  // Keeps the bytes; calls the user's deleter when the last reference goes.
  std::shared_ptr<void> memory;
  uint8_t* data = nullptr;
  // The Var of the allocation: one for all arrays over the same pointer. A row_sparse array keeps
  // its Var whatever rows it has.
  VarPtr var;
  std::vector<int64_t> shape;
  int64_t elements = 0;
  DataType dtype = DataType::kFloat32;
  Context context;
  StorageType storage = StorageType::kDefault;
  bool read_only = false;  // no operation may fill it

  // row_sparse.
  std::vector<int64_t> indices;
  size_t capacity = 0;  // bytes at `data` that are our own, to be used again
};

// The numbers are the same.
inline DType ToDType(DataType dtype) { return static_cast<DType>(dtype); }
inline DataType ToDataType(DType dtype) { return static_cast<DataType>(dtype); }

// What the SDK makes for itself, below its borders: these throw std::bad_alloc, not Error
// (client/base/no_memory.h).
//
// Zeros, on the host; a row_sparse array without rows.
NDArray MakeArray(std::vector<int64_t> shape, DataType dtype);
NDArray MakeRowSparseArray(std::vector<int64_t> shape, DataType dtype);
// The array, or, if a GPU has it, a copy in host memory. Like all of these, on what may be read.
// Errors: those of DeviceLibrary.
absl::StatusOr<NDArray> OnHost(const NDArray& array);
// Makes `to`, row_sparse, hold the rows of `from`, which has its shape and dtype, wherever the two
// are. If that fails it holds none. Errors: those of DeviceLibrary. May throw std::bad_alloc.
absl::Status CopyRows(const NDArray& from, const NDArray& to);
// An array over the SDK's own bytes that has a Var of its own, whatever else lies at `data`: what
// an updater gets to see. (With the Var of the caller's array, an updater that calls WaitToRead
// would wait for the very operation that runs it.) `data` outlives every use.
NDArray MakeDetachedArray(void* data, std::vector<int64_t> shape, DataType dtype);
// The same for a row_sparse array, over its rows.
NDArray MakeDetachedRows(void* rows, std::vector<int64_t> indices, std::vector<int64_t> shape,
                         DataType dtype);

}  // namespace kvstore
