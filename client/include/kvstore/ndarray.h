// NDArray: a handle to an array in memory, shared with operations that run in the background.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kvstore/export.h"

// DLPack's structs, by which frameworks hand each other tensors; a program that uses them has their
// header.
struct DLManagedTensor;
struct DLManagedTensorVersioned;

namespace kvstore {

// Of the elements of an array. Numbers as on the wire.
enum class DataType : uint8_t {
  kFloat32 = 1,
  kFloat64 = 2,
  kFloat16 = 3,
  kBFloat16 = 4,
  kUInt8 = 5,
  kInt8 = 6,
  kInt32 = 7,
  kInt64 = 8,
  kBool = 9,
};

// Bytes of one element.
KVSTORE_EXPORT size_t DataTypeBytes(DataType dtype);
// "f32".
KVSTORE_EXPORT const char* DataTypeName(DataType dtype);

// How an array is stored: all of its elements, or some of its rows.
enum class StorageType : uint8_t { kDefault = 1, kRowSparse = 2 };

// Where an array lives.
struct Context {
  // Host memory, memory of a GPU, host memory that a GPU can copy from directly.
  enum class Device : uint8_t { kCpu = 1, kGpu = 2, kCpuPinned = 3 };
  Device device = Device::kCpu;  // which kind
  int index = 0;                 // which of them

  // cpu(index): on the host the index is only a name.
  static Context Cpu(int index = 0) { return {Device::kCpu, index}; }
  // gpu(index).
  static Context Gpu(int index = 0) { return {Device::kGpu, index}; }
  // cpu_pinned(index).
  static Context CpuPinned(int index = 0) { return {Device::kCpuPinned, index}; }
};

// A handle: copies share the array. A default-constructed NDArray is empty (no array at all).
//
// An array of storage kRowSparse has a shape as any other, but holds some of its rows only:
// indices() says which, data() has them; all others are zero. Operations that fill such an array
// replace its rows.
//
// Operations of a KVStore that read or write an array are ordered by the array's allocation, in
// the order of the calls: an array that is pulled into and then pushed is pushed after the pull.
// Two FromBlob of the same pointer are the same allocation. The program itself must ask before it
// touches the bytes: WaitToRead() before reading, WaitToWrite() before writing.
//
// Threading: different handles may be used from different threads; one handle is
// thread-compatible.
class KVSTORE_EXPORT NDArray {
 public:
  NDArray();
  // An array of zeros, in host memory, pinned or not, or a GPU's. Errors: Error kInvalidArgument
  // for a shape with more than 8 dimensions, a dimension below 0, or more than 2^40 elements; for a
  // GPU, and pinned memory, kFailedPrecondition, which says what of driver, plugin
  // (KVSTORE_CUDA_PLUGIN) and GPU is missing, and kResourceExhausted.
  explicit NDArray(std::vector<int64_t> shape, DataType dtype = DataType::kFloat32,
                   Context context = Context::Cpu());
  // Borrows `data` (shape, row-major, dtype) without copying; `deleter` is called when the last
  // handle and the last operation let go of it, on whichever thread that is; it must not call into
  // a store. `data` must stay valid until then. On a GPU it is in that GPU's memory, at a multiple
  // of an element's size.
  static NDArray FromBlob(void* data, std::vector<int64_t> shape,
                          DataType dtype = DataType::kFloat32, Context context = Context::Cpu(),
                          std::function<void(void*)> deleter = nullptr);

  // A row_sparse array of `shape`, which has at least one dimension, without rows: all zero. Rows
  // of one on a GPU are in its memory, their indices in the host's. Errors: as for an array of
  // zeros; kInvalidArgument for rows without elements; kUnimplemented for pinned memory.
  static NDArray RowSparse(std::vector<int64_t> shape, DataType dtype = DataType::kFloat32,
                           Context context = Context::Cpu());
  // A row_sparse array of `shape` with the rows `indices`, ascending and each once. `rows` has them
  // in that order: an array of default storage whose first dimension is the number of indices and
  // whose others are those of `shape`; empty if there are none. Its bytes are not copied, and the
  // two are one allocation.
  // Errors: Error kInvalidArgument for a shape, an order or a storage other than that; kOutOfRange
  // for an index below 0 or not below shape[0].
  static NDArray RowSparse(std::vector<int64_t> shape, std::vector<int64_t> indices,
                           const NDArray& rows);

  // An array over another framework's tensor, without copying: of host memory or on a CUDA device,
  // in row-major order without gaps, of one of our dtypes. Takes the tensor over: its deleter is
  // called as FromBlob's is. What is flagged as read-only may be pushed, but not be pulled into.
  // On a GPU it waits until all is done that the process has put on any of the GPU's streams. What
  // writes to the tensor later, on a stream, is to be waited for before a call of a store names the
  // array.
  // Errors: kInvalidArgument for any other tensor, for one that is not in the memory of its GPU,
  // and for a version of DLPack other than 1; for a GPU those of an array of zeros. Then the tensor
  // is the caller's as before.
  static NDArray FromDLPack(DLManagedTensor* tensor);
  static NDArray FromDLPack(DLManagedTensorVersioned* tensor);
  // The same, but on a GPU it waits only for what is on `stream` now, on which the tensor was made,
  // numbered as by DLPack's `__dlpack__(stream)`: 1 is CUDA's legacy default stream, 2 the one of
  // the thread, any other a cudaStream_t of that GPU; -1: for nothing, the program has seen to it.
  // Errors: also kInvalidArgument for another number, and a stream that is not the GPU's.
  static NDArray FromDLPack(DLManagedTensor* tensor, int64_t stream);
  static NDArray FromDLPack(DLManagedTensorVersioned* tensor, int64_t stream);
  // This array as a tensor for another framework, without copying; it holds the array until its
  // deleter is called, by whoever takes it over. Like data(), its bytes may be in use: WaitToRead()
  // or WaitToWrite() before they are touched. On a GPU what was waited for is done on every stream;
  // what the other side then puts on one of its own is to be waited for before a call of a store
  // names the array.
  // Errors: kInvalidArgument for an empty handle, a row_sparse array, and a read-only array without
  // a version (it could not say so).
  DLManagedTensor* ToDLPack() const;
  DLManagedTensorVersioned* ToDLPackVersioned() const;

  // Whether there is no array behind the handle.
  bool empty() const { return impl_ == nullptr; }
  // Of an empty handle: shape [], size 0, bytes 0, data null.
  const std::vector<int64_t>& shape() const;
  int64_t size() const;              // elements of the shape
  size_t bytes() const;              // at data()
  DataType dtype() const;            // of its elements
  Context context() const;           // where its bytes are
  StorageType storage_type() const;  // how they are stored

  // The bytes, in the memory of context(): a GPU's are not to be touched by the host. They may be
  // in use by an operation: see WaitToRead, WaitToWrite. Of a row_sparse array: of the rows in
  // indices(), one after the other; where they are may change with each operation that fills the
  // array.
  void* data() const;
  template <typename T>
  T* data_as() const {
    return static_cast<T*>(data());
  }

  // The rows that a row_sparse array holds, ascending, each once; may be in use like data(). None
  // for default storage.
  const std::vector<int64_t>& indices() const;

  // Copies all elements from the program's memory into the array, wherever that is, or back. Each
  // waits as WaitToWrite and WaitToRead do, and returns when the bytes are there. Names and
  // arguments as MXNet's. Errors: kInvalidArgument for another number of elements, a row_sparse
  // array, and a read-only one that is written; those of what is waited for.
  void SyncCopyFromCPU(const void* from, size_t elements) const;
  void SyncCopyToCPU(void* to, size_t elements) const;
  // A copy in the memory of `context`, of the same storage, once the array may be read; empty of an
  // empty handle. Errors: those of an array of zeros, or a row_sparse one, there.
  NDArray Copy(Context context) const;

  // Blocks until every operation that writes this array is done; throws the Error of the first one
  // that failed (once).
  void WaitToRead() const;
  // Blocks until every operation that reads or writes this array is done; throws likewise.
  void WaitToWrite() const;

  // What is behind the handle.
  class Impl;
  // For this library.
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  struct FromImpl {};
  NDArray(FromImpl, std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace kvstore
