// KeySpec: what a key is: its name, and the dtype, shape and storage of its value. Here, too, is
// the one rule for the names of keys, which the SDK and the servers check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/cluster/identity.h"
#include "common/model/compression_config.h"
#include "common/model/init_rule_config.h"
#include "common/model/nan_policy.h"
#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"

namespace kvstore {

// Numbers as in types.proto.
enum class Storage : uint32_t { kUnspecified = 0, kDense = 1, kRowSparse = 2 };

struct KeySpec {
  KeyId key = 0;
  std::string name;  // empty for an int key
  DType dtype = DType::kUnspecified;
  Shape shape;
  Storage storage = Storage::kUnspecified;
  bool shape_unknown = false;
  CompressionConfig compression{};           // of its pushes
  NanPolicy nan_policy = NanPolicy::kAllow;  // of the store that says it
  InitRuleConfig rule{};                     // of what nobody brings
};

// A key's place in lists of keys: int keys by number, then string keys by name.
struct KeyPlace {
  KeyId key = 0;
  std::string name;  // empty for an int key
};
inline bool operator<(const KeyPlace& a, const KeyPlace& b) {
  if (const int names = a.name.compare(b.name); names != 0) return names < 0;
  return static_cast<int64_t>(a.key) < static_cast<int64_t>(b.key);
}

// Bytes of the whole value (row_sparse: of all rows).
inline uint64_t ValueBytes(const KeySpec& key) {
  uint64_t bytes = DTypeBytes(key.dtype);
  for (const int64_t dimension : key.shape) bytes *= static_cast<uint64_t>(dimension);
  return bytes;
}

inline constexpr size_t kKeyNameBytesMax = 256;

// Whether a string key may have this name: 1 to kKeyNameBytesMax bytes of [A-Za-z0-9_./:-].
// Errors: INVALID_ARGUMENT: "a name of … expected, got …", without the key, which callers put in
// front.
absl::Status CheckKeyName(std::string_view name);

// "key 17" or "key 'conv1.weight'": how messages name a key. Anything but printable ASCII is
// escaped, a name over 256 bytes is cut.
std::string KeyLabel(KeyId key, std::string_view name);

}  // namespace kvstore
