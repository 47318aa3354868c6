// NDArray as a tensor of DLPack, and the reverse.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

#include "client/array/dlpack_abi.h"
#include "client/array/ndarray_impl.h"
#include "client/base/error_border.h"
#include "client/base/no_memory.h"
#include "client/device/device_library.h"
#include "common/tensor/shape.h"

namespace kvstore {
namespace {

struct NamedType {
  DataType dtype;
  dlpack::TypeCode code;
  uint8_t bits;
};
constexpr NamedType kTypes[] = {
    {DataType::kFloat32, dlpack::kFloat, 32}, {DataType::kFloat64, dlpack::kFloat, 64},
    {DataType::kFloat16, dlpack::kFloat, 16}, {DataType::kBFloat16, dlpack::kBFloat, 16},
    {DataType::kUInt8, dlpack::kUInt, 8},     {DataType::kInt8, dlpack::kInt, 8},
    {DataType::kInt32, dlpack::kInt, 32},     {DataType::kInt64, dlpack::kInt, 64},
    {DataType::kBool, dlpack::kBool, 8},
};

[[noreturn]] void Refuse(const std::string& expected, const std::string& got) {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("FromDLPack: {} expected, got {}", expected, got));
}

DataType DTypeOf(dlpack::ElementType type) {
  for (const NamedType& each : kTypes) {
    if (each.code == type.code && each.bits == type.bits && type.lanes == 1) return each.dtype;
  }
  Refuse("elements of f32, f64, f16, bf16, u8, i8, i32, i64 or bool",
         fmt::format("type code {} of {} bits and {} lanes", type.code, type.bits, type.lanes));
}

Context ContextOf(dlpack::Device device) {
  switch (device.type) {
    case dlpack::kCpu:
      return Context::Cpu(device.index);
    case dlpack::kCuda:
      return Context::Gpu(device.index);
    case dlpack::kCudaHost:
      return Context::CpuPinned(device.index);
    default:
      Refuse("a tensor on the CPU (device type 1 or 3) or a CUDA device (2)",
             fmt::format("device type {}", device.type));
  }
}

dlpack::Device DeviceOf(Context context) {
  switch (context.device) {
    case Context::Device::kGpu:
      return {dlpack::kCuda, context.index};
    case Context::Device::kCpuPinned:
      return {dlpack::kCudaHost, 0};
    case Context::Device::kCpu:
      break;
  }
  return {dlpack::kCpu, 0};
}

// A dimension of 1 is never stepped along: its stride says nothing.
void CheckRowMajor(const dlpack::Tensor& tensor, const Shape& shape) {
  if (tensor.strides == nullptr) return;
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return;
    if (shape[i] != 1 && tensor.strides[i] != expected) {
      const std::vector<int64_t> strides(tensor.strides, tensor.strides + shape.size());
      Refuse("elements in row-major order without gaps",
             fmt::format("shape {} with strides {}", ShapeString(shape), ShapeString(strides)));
    }
    expected *= shape[i];
  }
}

// On which stream the bytes of a tensor are made, as DLPack numbers it; none: on any.
using MakersStream = std::optional<int64_t>;

constexpr int64_t kNoStream = -1;  // nothing is to be waited for

// That the bytes are on that GPU, and what their maker has put there is done.
void Adopt(Context context, const void* data, MakersStream stream) {
  if (stream.has_value() && (*stream == 0 || *stream < kNoStream)) {
    Refuse("a stream as DLPack numbers it (-1, 1, 2 or a cudaStream_t)",
           fmt::format("{}", *stream));
  }
  const auto library = DeviceLibrary::For(context);
  ThrowIfError(library.status());
  if (data == nullptr) return;
  const auto waits_for = !stream.has_value()    ? KVSTORE_DEVICE_WAITS_FOR_ALL
                         : *stream == kNoStream ? KVSTORE_DEVICE_WAITS_FOR_NOTHING
                                                : KVSTORE_DEVICE_WAITS_FOR_STREAM;
  // CUDA's own handles of its default streams are 1 and 2, too.
  void* const handle = reinterpret_cast<void*>(stream.value_or(0));  // NOLINT: it is one
  const absl::Status adopted = (*library)->Adopt(context.index, data, waits_for, handle);
  if (adopted.ok()) return;
  ThrowIfError(absl::Status(adopted.code(), "FromDLPack: " + std::string(adopted.message())));
}

// Borrows the bytes; `deleter` is called as FromBlob's is. Errors: nothing was taken.
NDArray Borrow(const dlpack::Tensor& tensor, MakersStream stream,
               std::function<void(void*)> deleter) {
  if (tensor.dimensions < 0 || (tensor.dimensions > 0 && tensor.shape == nullptr)) {
    Refuse("a shape", fmt::format("{} dimensions", tensor.dimensions));
  }
  const Shape shape(tensor.shape, tensor.shape + tensor.dimensions);
  ThrowIfError(ElementCount(shape).status());
  CheckRowMajor(tensor, shape);
  const Context context = ContextOf(tensor.device);
  const DataType dtype = DTypeOf(tensor.dtype);
  auto* data = static_cast<uint8_t*>(tensor.data);
  if (data != nullptr) data += tensor.byte_offset;
  if (OnDevice(context)) Adopt(context, data, stream);
  return NDArray::FromBlob(data, shape, dtype, context, std::move(deleter));
}

// What keeps an array that was handed out: the struct that the other side has, and what it points
// to.
template <typename Struct>
struct HandedOut {
  NDArray array;
  std::vector<int64_t> strides;
  Struct managed{};

  static void Delete(Struct* managed) { delete static_cast<HandedOut*>(managed->context); }
};

template <typename Struct>
std::unique_ptr<HandedOut<Struct>> HandOut(const NDArray& array) {
  const auto refuse = [](const char* got) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("ToDLPack: an array of storage default expected, got {}", got));
  };
  if (array.empty()) refuse("an empty one");
  if (array.storage_type() == StorageType::kRowSparse) refuse("row_sparse");
  auto handed = std::make_unique<HandedOut<Struct>>();
  handed->array = array;
  const std::vector<int64_t>& shape = array.impl()->shape;
  handed->strides.resize(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i]) handed->strides[i] = stride;
  dlpack::Tensor& tensor = handed->managed.tensor;
  tensor.data = array.data();
  tensor.device = DeviceOf(array.context());
  tensor.dimensions = static_cast<int32_t>(shape.size());
  for (const NamedType& each : kTypes) {
    if (each.dtype == array.dtype()) tensor.dtype = {each.code, each.bits, 1};
  }
  // The array's own numbers: whoever has the tensor only reads them.
  tensor.shape = handed->array.impl()->shape.data();
  tensor.strides = handed->strides.data();
  handed->managed.context = handed.get();
  handed->managed.deleter = &HandedOut<Struct>::Delete;
  return handed;
}

template <typename Struct>
void CallDeleter(Struct* managed) {
  if (managed->deleter != nullptr) managed->deleter(managed);
}

// The program's own header defines the structs that the public header only names.
template <typename To, typename From>
To* As(From* tensor) {
  return static_cast<To*>(static_cast<void*>(tensor));
}

NDArray Take(DLManagedTensor* tensor, MakersStream stream) {
  return WithinMemory([&] {
    if (tensor == nullptr) Refuse("a tensor", "null");
    auto* const managed = As<dlpack::Managed>(tensor);
    return Borrow(managed->tensor, stream, [managed](void*) { CallDeleter(managed); });
  });
}

NDArray Take(DLManagedTensorVersioned* tensor, MakersStream stream) {
  return WithinMemory([&] {
    if (tensor == nullptr) Refuse("a tensor", "null");
    auto* const managed = As<dlpack::ManagedVersioned>(tensor);
    if (managed->version.major != dlpack::kMajorVersion) {
      Refuse(fmt::format("DLPack version {}", dlpack::kMajorVersion),
             fmt::format("version {}.{}", managed->version.major, managed->version.minor));
    }
    NDArray array = Borrow(managed->tensor, stream, [managed](void*) { CallDeleter(managed); });
    array.impl()->read_only = (managed->flags & dlpack::kReadOnly) != 0;
    return array;
  });
}

}  // namespace

NDArray NDArray::FromDLPack(DLManagedTensor* tensor) { return Take(tensor, std::nullopt); }

NDArray NDArray::FromDLPack(DLManagedTensorVersioned* tensor) { return Take(tensor, std::nullopt); }

NDArray NDArray::FromDLPack(DLManagedTensor* tensor, int64_t stream) {
  return Take(tensor, stream);
}

NDArray NDArray::FromDLPack(DLManagedTensorVersioned* tensor, int64_t stream) {
  return Take(tensor, stream);
}

DLManagedTensor* NDArray::ToDLPack() const {
  return WithinMemory([&] {
    if (impl_ != nullptr && impl_->read_only) {
      throw Error(ErrorCode::kInvalidArgument,
                  "ToDLPack: an array that may be written expected, got one that is read only: use "
                  "ToDLPackVersioned, which can say so");
    }
    return As<DLManagedTensor>(&HandOut<dlpack::Managed>(*this).release()->managed);
  });
}

DLManagedTensorVersioned* NDArray::ToDLPackVersioned() const {
  return WithinMemory([&] {
    auto handed = HandOut<dlpack::ManagedVersioned>(*this);
    handed->managed.version = {dlpack::kMajorVersion, dlpack::kMinorVersion};
    handed->managed.flags = impl_->read_only ? dlpack::kReadOnly : 0;
    return As<DLManagedTensorVersioned>(&handed.release()->managed);
  });
}

}  // namespace kvstore
