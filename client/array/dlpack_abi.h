// The structs of DLPack, by which frameworks hand tensors to each other in one process: the one of
// all versions, and the one with a version of its own (from 1.0 on). Laid out as the standard says,
// field by field. Source: dmlc.github.io/dlpack/latest/c_api.html.
#pragma once

#include <cstdint>

namespace kvstore::dlpack {

inline constexpr uint32_t kMajorVersion = 1;
inline constexpr uint32_t kMinorVersion = 0;

enum DeviceType : int32_t { kCpu = 1, kCuda = 2, kCudaHost = 3 };
struct Device {
  int32_t type;  // DeviceType
  int32_t index;
};

enum TypeCode : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBFloat = 4, kBool = 6 };
struct ElementType {
  uint8_t code;  // TypeCode
  uint8_t bits;
  uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  int32_t dimensions;
  ElementType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null: row-major, without gaps
  uint64_t byte_offset;
};

struct Managed {
  Tensor tensor;
  void* context;  // the maker's
  void (*deleter)(Managed* self);
};

struct Version {
  uint32_t major;
  uint32_t minor;
};

inline constexpr uint64_t kReadOnly = 1;  // a bit of ManagedVersioned::flags

struct ManagedVersioned {
  Version version;
  void* context;  // the maker's
  void (*deleter)(ManagedVersioned* self);
  uint64_t flags;
  Tensor tensor;
};

}  // namespace kvstore::dlpack
