// The file format safetensors (huggingface.co/docs/safetensors), as bytes: tensors by name, and
// texts by name beside them. Whoever writes and reads files does that elsewhere.
//
//   u64 little-endian   length of the header, at most 100 MB
//   the header          JSON: {"__metadata__": {"name": "text", …},
//                              "tensor": {"dtype": "F32", "shape": [2,3], "data_offsets": [0,24]},
//                              …}
//                       and spaces up to a multiple of 8
//   the tensors         little-endian, row-major, back to back: every byte belongs to one of them
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"
#include "common/wire/payload.h"

namespace kvstore {

inline constexpr uint64_t kSafetensorsHeaderMax = 100'000'000;

struct SafeTensor {
  DType dtype = DType::kUnspecified;
  Shape shape;
  Payload data;
};

struct SafeTensors {
  std::map<std::string, std::string> metadata;
  std::map<std::string, SafeTensor> tensors;
};

// The header, then the tensors' own bytes: those of wider elements first, so that each begins at a
// multiple of its element, and of one width by name. Errors: RESOURCE_EXHAUSTED: a header over the
// limit; INVALID_ARGUMENT: a tensor whose bytes are not those of its shape, called __metadata__, or
// with a name or text that is not UTF-8.
absl::StatusOr<Payload> EncodeSafetensors(const SafeTensors& file);

// Reads a whole file, strictly; the tensors share its memory. Errors: DATA_LOSS says what is wrong
// and where: bytes that end early, JSON that is none, a name that comes twice, an unknown dtype, a
// shape that is none or does not fit its bytes, bytes that belong to two tensors or to none.
absl::StatusOr<SafeTensors> DecodeSafetensors(const Payload& bytes);

// "F32"; empty for a number that is no dtype.
std::string_view SafetensorsDType(DType dtype);

}  // namespace kvstore
