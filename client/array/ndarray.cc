// NDArray: handles, allocations, and the process's table of which pointer has which Var.
#include "kvstore/ndarray.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/base/error_border.h"
#include "client/base/fork_guard.h"
#include "client/base/no_memory.h"
#include "client/device/device_library.h"
#include "common/base/status_macros.h"
#include "common/tensor/buffer.h"
#include "common/tensor/shape.h"

namespace kvstore {
namespace {

static_assert(static_cast<int>(DataType::kBool) == static_cast<int>(DType::kBool),
              "the public numbers are the internal ones");

// Finds the Var of the allocation at a pointer, as long as any array or operation has it.
// Thread-safe.
class VarTable {
 public:
  static VarTable& Process() {
    static VarTable& table = *[] {
      auto* made = new VarTable;    // arrays may outlive every static object
      DependencyEngine::Process();  // whose mutex comes first
      HoldAcrossFork(&made->mutex_);
      return made;
    }();
    return table;
  }

  VarPtr VarOf(const void* data) KVS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    std::weak_ptr<Var>& entry = vars_[data];
    VarPtr var = entry.lock();
    if (var == nullptr) {
      var = DependencyEngine::NewVar();
      entry = var;
    }
    // Entries whose arrays are gone are dropped each time the table has doubled.
    if (vars_.size() >= sweep_at_) {
      for (auto it = vars_.begin(); it != vars_.end();) {
        it = it->second.expired() ? vars_.erase(it) : std::next(it);
      }
      sweep_at_ = 2 * vars_.size() + kSweepMin;
    }
    return var;
  }

 private:
  static constexpr size_t kSweepMin = 1024;

  Mutex mutex_;
  std::unordered_map<const void*, std::weak_ptr<Var>> vars_ KVS_GUARDED_BY(mutex_);
  size_t sweep_at_ KVS_GUARDED_BY(mutex_) = kSweepMin;
};

// The checks that all ways of making an array share; fills in everything but the memory.
std::shared_ptr<NDArray::Impl> MakeImpl(std::vector<int64_t> shape, DataType dtype, Context context,
                                        StorageType storage = StorageType::kDefault) {
  auto impl = std::make_shared<NDArray::Impl>();
  impl->storage = storage;
  const auto elements =
      storage == StorageType::kRowSparse ? RowSparseElementCount(shape) : ElementCount(shape);
  ThrowIfError(elements.status());
  impl->elements = *elements;
  if (DTypeBytes(ToDType(dtype)) == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a dtype was expected, got the number {}", static_cast<int>(dtype)));
  }
  impl->shape = std::move(shape);
  impl->dtype = dtype;
  impl->context = context;
  return impl;
}

std::shared_ptr<NDArray::Impl> MakeRowSparse(std::vector<int64_t> shape, DataType dtype,
                                             Context context) {
  if (shape.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "a row_sparse array: a shape with at least one dimension expected, got []");
  }
  auto impl = MakeImpl(std::move(shape), dtype, context, StorageType::kRowSparse);
  if (OnDevice(context)) ThrowIfError(DeviceLibrary::For(context).status());
  if (context.device == Context::Device::kCpuPinned) {
    throw Error(ErrorCode::kUnimplemented,
                fmt::format("row_sparse arrays on {} are not there yet: cpu or gpu was expected",
                            ContextName(context)));
  }
  if (std::find(impl->shape.begin() + 1, impl->shape.end(), 0) != impl->shape.end()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("a row_sparse array: rows of at least one element expected, got shape {}",
                    ShapeString(impl->shape)));
  }
  return impl;
}

// What the rows of `indices` must look like.
void CheckRows(const NDArray::Impl& array, const std::vector<int64_t>& indices,
               const NDArray& rows) {
  const std::string label = "a row_sparse array of shape " + ShapeString(array.shape);
  const auto expect = [&](bool fits, const std::string& expected, const std::string& got) {
    if (fits) return;
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: {} expected, got {}", label, expected, got));
  };
  expect(rows.storage_type() == StorageType::kDefault, "rows of storage default", "row_sparse");
  std::vector<int64_t> shape = array.shape;
  shape[0] = static_cast<int64_t>(indices.size());
  expect(indices.empty() == rows.empty() && (rows.empty() || rows.shape() == shape),
         fmt::format("rows of shape {} for {} indices", ShapeString(shape), indices.size()),
         rows.empty() ? "an empty array" : ShapeString(rows.shape()));
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= array.shape[0]) {
      throw Error(ErrorCode::kOutOfRange, fmt::format("{}: indices from 0 to {} expected, got {}",
                                                      label, array.shape[0] - 1, indices[i]));
    }
    if (i == 0 || indices[i - 1] < indices[i]) continue;
    expect(false, "ascending indices, each once",
           fmt::format("{} after {}", indices[i], indices[i - 1]));
  }
}

void WaitFor(const VarPtr& var, DependencyEngine::WaitFor what) {
  DependencyEngine& engine = DependencyEngine::Process();
  const absl::Status waited = engine.Wait({var}, what);
  // A failure says more than that something else is still under way.
  const bool readers = what == DependencyEngine::WaitFor::kAll;
  ThrowIfError(engine.TakeFailure(var, readers));
  ThrowIfError(waited);
}

}  // namespace

size_t DataTypeBytes(DataType dtype) { return DTypeBytes(ToDType(dtype)); }

const char* DataTypeName(DataType dtype) { return DTypeName(ToDType(dtype)).data(); }

NDArray::NDArray() = default;

NDArray::NDArray(FromImpl, std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

namespace {

// In the memory of a GPU, or pinned memory of the host.
void MakeZerosByPlugin(NDArray::Impl* impl) {
  const auto library = DeviceLibrary::For(impl->context);
  ThrowIfError(library.status());
  const size_t bytes = static_cast<size_t>(impl->elements) * DataTypeBytes(impl->dtype);
  if (bytes == 0) {
    impl->var = DependencyEngine::NewVar();
    return;
  }
  const int gpu = impl->context.index;
  const bool pinned = !OnDevice(impl->context);
  auto memory = pinned ? (*library)->AllocatePinned(gpu, bytes) : (*library)->Allocate(gpu, bytes);
  ThrowIfError(memory.status());
  if (pinned) {
    std::memset(memory->get(), 0, bytes);
  } else {
    ThrowIfError((*library)->FillWithZeros(gpu, memory->get(), bytes));
  }
  impl->data = static_cast<uint8_t*>(memory->get());
  impl->memory = *std::move(memory);
  impl->var = VarTable::Process().VarOf(impl->data);
}

std::shared_ptr<NDArray::Impl> MakeZeros(std::vector<int64_t> shape, DataType dtype,
                                         Context context) {
  auto impl = MakeImpl(std::move(shape), dtype, context);
  if (context.device != Context::Device::kCpu) {
    MakeZerosByPlugin(impl.get());
    return impl;
  }
  const auto buffer =
      std::make_shared<Buffer>(static_cast<size_t>(impl->elements) * DataTypeBytes(dtype));
  std::memset(buffer->data(), 0, buffer->size());
  impl->data = buffer->data();
  impl->memory = std::shared_ptr<void>(buffer, buffer->data());
  impl->var =
      buffer->size() == 0 ? DependencyEngine::NewVar() : VarTable::Process().VarOf(impl->data);
  return impl;
}

// The user's bytes: deleted only once the array is made. (A shared_ptr that finds no memory for its
// count would delete them.)
struct Blob {
  std::function<void(void*)> deleter;
  void* data = nullptr;

  ~Blob() {
    if (deleter != nullptr) deleter(data);
  }
};

std::shared_ptr<NDArray::Impl> MakeBlob(void* data, std::vector<int64_t> shape, DataType dtype,
                                        Context context, std::function<void(void*)> deleter) {
  auto impl = MakeImpl(std::move(shape), dtype, context);
  if (OnDevice(context)) ThrowIfError(DeviceLibrary::For(context).status());
  if (data == nullptr && impl->elements > 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("FromBlob: bytes of an array of shape {} were expected, got null",
                            ShapeString(impl->shape)));
  }
  impl->data = static_cast<uint8_t*>(data);
  impl->var = data == nullptr ? DependencyEngine::NewVar() : VarTable::Process().VarOf(data);
  if (deleter != nullptr) {
    const auto blob = std::make_shared<Blob>();
    blob->deleter = std::move(deleter);
    blob->data = data;
    impl->memory = std::shared_ptr<void>(blob, data);
  }
  return impl;
}

std::shared_ptr<NDArray::Impl> MakeNoRows(std::vector<int64_t> shape, DataType dtype,
                                          Context context) {
  auto impl = MakeRowSparse(std::move(shape), dtype, context);
  impl->var = DependencyEngine::NewVar();
  return impl;
}

std::shared_ptr<NDArray::Impl> MakeRowsOf(std::vector<int64_t> shape, std::vector<int64_t> indices,
                                          const NDArray& rows) {
  auto impl = MakeRowSparse(std::move(shape), rows.dtype(), rows.context());
  CheckRows(*impl, indices, rows);
  if (rows.empty()) {
    impl->var = DependencyEngine::NewVar();
  } else {
    impl->memory = rows.impl()->memory;
    impl->data = rows.impl()->data;
    impl->var = rows.impl()->var;
    impl->indices = std::move(indices);
  }
  return impl;
}

}  // namespace

NDArray::NDArray(std::vector<int64_t> shape, DataType dtype, Context context)
    : impl_(WithinMemory([&] { return MakeZeros(std::move(shape), dtype, context); })) {}

NDArray NDArray::FromBlob(void* data, std::vector<int64_t> shape, DataType dtype, Context context,
                          std::function<void(void*)> deleter) {
  return NDArray(FromImpl(), WithinMemory([&] {
                   return MakeBlob(data, std::move(shape), dtype, context, std::move(deleter));
                 }));
}

NDArray MakeArray(std::vector<int64_t> shape, DataType dtype) {
  return NDArray::Impl::Handle(MakeZeros(std::move(shape), dtype, Context()));
}

NDArray MakeRowSparseArray(std::vector<int64_t> shape, DataType dtype) {
  return NDArray::Impl::Handle(MakeNoRows(std::move(shape), dtype, Context()));
}

NDArray MakeDetachedArray(void* data, std::vector<int64_t> shape, DataType dtype) {
  // Made like any array over these bytes; then it gets a Var that no other array there shares.
  auto impl = MakeBlob(data, std::move(shape), dtype, Context(), nullptr);
  impl->var = DependencyEngine::NewVar();
  return NDArray::Impl::Handle(std::move(impl));
}

NDArray NDArray::RowSparse(std::vector<int64_t> shape, DataType dtype, Context context) {
  return NDArray(FromImpl(),
                 WithinMemory([&] { return MakeNoRows(std::move(shape), dtype, context); }));
}

NDArray NDArray::RowSparse(std::vector<int64_t> shape, std::vector<int64_t> indices,
                           const NDArray& rows) {
  return NDArray(FromImpl(), WithinMemory([&] {
                   return MakeRowsOf(std::move(shape), std::move(indices), rows);
                 }));
}

NDArray MakeDetachedRows(void* rows, std::vector<int64_t> indices, std::vector<int64_t> shape,
                         DataType dtype) {
  NDArray array = MakeRowSparseArray(std::move(shape), dtype);
  array.impl()->data = static_cast<uint8_t*>(rows);
  array.impl()->indices = std::move(indices);
  return array;
}

size_t NDArray::Impl::row_bytes() const {
  return shape[0] == 0 ? 0 : static_cast<size_t>(elements / shape[0]) * DataTypeBytes(dtype);
}

uint8_t* NDArray::Impl::SetRows(std::vector<int64_t> row_indices) {
  const size_t bytes = row_indices.size() * row_bytes();
  if (bytes > capacity) {
    const auto buffer = std::make_shared<Buffer>(bytes);
    memory = std::shared_ptr<void>(buffer, buffer->data());
    data = buffer->data();
    capacity = bytes;
  }
  indices = std::move(row_indices);
  return data;
}

namespace {

const std::vector<int64_t>& NoNumbers() {
  static const std::vector<int64_t>& none = *new std::vector<int64_t>;
  return none;
}

}  // namespace

const std::vector<int64_t>& NDArray::shape() const {
  return impl_ == nullptr ? NoNumbers() : impl_->shape;
}

const std::vector<int64_t>& NDArray::indices() const {
  return impl_ == nullptr ? NoNumbers() : impl_->indices;
}

int64_t NDArray::size() const { return impl_ == nullptr ? 0 : impl_->elements; }

size_t NDArray::bytes() const {
  if (storage_type() == StorageType::kRowSparse) return impl_->indices.size() * impl_->row_bytes();
  return static_cast<size_t>(size()) * DataTypeBytes(dtype());
}

DataType NDArray::dtype() const { return impl_ == nullptr ? DataType::kFloat32 : impl_->dtype; }

Context NDArray::context() const { return impl_ == nullptr ? Context() : impl_->context; }

StorageType NDArray::storage_type() const {
  return impl_ == nullptr ? StorageType::kDefault : impl_->storage;
}

void* NDArray::data() const { return impl_ == nullptr ? nullptr : impl_->data; }

namespace {

// That such a copy may be made of the array: all of its elements, and as many.
void CheckWhole(const NDArray& array, size_t elements, const char* call) {
  if (array.storage_type() == StorageType::kDefault &&
      static_cast<size_t>(array.size()) == elements) {
    return;
  }
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("{}: an array of storage default of {} elements expected, got {} of {}", call,
                  elements,
                  array.storage_type() == StorageType::kDefault ? "one" : "a row_sparse one",
                  array.size()));
}

}  // namespace

void NDArray::SyncCopyFromCPU(const void* from, size_t elements) const {
  WithinMemory([&] {
    CheckWhole(*this, elements, "SyncCopyFromCPU");
    if (impl_ == nullptr) return;
    if (impl_->read_only) {
      throw Error(ErrorCode::kInvalidArgument,
                  "SyncCopyFromCPU: an array that may be written expected, got a read-only one");
    }
    WaitFor(impl_->var, DependencyEngine::WaitFor::kAll);
    ThrowIfError(CopyBytes({context(), data()}, {Context(), from}, bytes()));
  });
}

void NDArray::SyncCopyToCPU(void* to, size_t elements) const {
  WithinMemory([&] {
    CheckWhole(*this, elements, "SyncCopyToCPU");
    if (impl_ == nullptr) return;
    WaitFor(impl_->var, DependencyEngine::WaitFor::kWriters);
    ThrowIfError(CopyBytes({Context(), to}, {context(), data()}, bytes()));
  });
}

NDArray NDArray::Copy(Context context) const {
  return WithinMemory([&] {
    if (impl_ == nullptr) return NDArray();
    WaitFor(impl_->var, DependencyEngine::WaitFor::kWriters);
    if (storage_type() == StorageType::kRowSparse) {
      NDArray rows = NDArray::Impl::Handle(MakeNoRows(shape(), dtype(), context));
      ThrowIfError(CopyRows(*this, rows));
      return rows;
    }
    NDArray copy = NDArray::Impl::Handle(MakeZeros(shape(), dtype(), context));
    ThrowIfError(CopyBytes({context, copy.data()}, {this->context(), data()}, bytes()));
    return copy;
  });
}

absl::Status CopyRows(const NDArray& from, const NDArray& to) {
  NDArray::Impl& impl = *to.impl();
  std::vector<int64_t> indices = from.indices();
  impl.indices.clear();  // if the copy fails there are none
  const size_t bytes = indices.size() * impl.row_bytes();
  if (!OnDevice(to.context())) {
    impl.SetRows(indices);
    impl.indices.clear();
  } else if (bytes > impl.capacity) {
    KVS_ASSIGN_OR_RETURN(const DeviceLibrary* const library, DeviceLibrary::For(to.context()));
    KVS_ASSIGN_OR_RETURN(impl.memory, library->Allocate(to.context().index, bytes));
    impl.data = static_cast<uint8_t*>(impl.memory.get());
    impl.capacity = bytes;
  }
  KVS_RETURN_IF_ERROR(CopyBytes({to.context(), impl.data}, {from.context(), from.data()}, bytes));
  impl.indices = std::move(indices);
  return absl::OkStatus();
}

absl::StatusOr<NDArray> OnHost(const NDArray& array) {
  if (!OnDevice(array.context())) return array;
  if (array.storage_type() == StorageType::kRowSparse) {
    NDArray rows = MakeRowSparseArray(array.shape(), array.dtype());
    KVS_RETURN_IF_ERROR(CopyRows(array, rows));
    return rows;
  }
  NDArray copy = MakeArray(array.shape(), array.dtype());
  KVS_RETURN_IF_ERROR(
      CopyBytes({Context(), copy.data()}, {array.context(), array.data()}, array.bytes()));
  return copy;
}

void NDArray::WaitToRead() const {
  if (impl_ == nullptr) return;
  WithinMemory([&] { WaitFor(impl_->var, DependencyEngine::WaitFor::kWriters); });
}

void NDArray::WaitToWrite() const {
  if (impl_ == nullptr) return;
  WithinMemory([&] { WaitFor(impl_->var, DependencyEngine::WaitFor::kAll); });
}

}  // namespace kvstore
