// Names of the things in a frame, for messages and logs, and the search for a KeySpec. The encoder
// and the decoder are frame_encoder.cc and frame_decoder.cc.
#include "common/wire/frame.h"

#include <fmt/format.h>

#include <functional>

namespace kvstore {

std::string_view OpName(Op op) {
  switch (op) {
    case Op::kInit:
      return "INIT";
    case Op::kPush:
      return "PUSH";
    case Op::kPull:
      return "PULL";
    case Op::kProbe:
      return "PROBE";
    case Op::kLeave:
      return "LEAVE";
    case Op::kSetOptimizer:
      return "SET_OPTIMIZER";
    case Op::kCommand:
      return "COMMAND";
    case Op::kDrop:
      return "DROP";
    case Op::kCheckOptimizer:
      return "CHECK_OPTIMIZER";
    case Op::kUnspecified:
      break;
  }
  return "OP?";
}

std::string KeyLabel(KeyId key, std::string_view name) {
  if (name.empty()) return fmt::format("key {}", static_cast<int64_t>(key));
  constexpr size_t kNameBytesMax = 256;
  std::string label = "key '";
  for (const char c : name.substr(0, kNameBytesMax)) {
    if (c == '\'' || c == '\\') {
      label += '\\';
      label += c;
    } else if (c >= 0x20 && c < 0x7f) {
      label += c;
    } else {
      label += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  label += name.size() > kNameBytesMax ? fmt::format("'... ({} bytes)", name.size()) : "'";
  return label;
}

const KeySpec* FindKeySpec(const Frame& frame, const PartEntry& entry) {
  const size_t count = frame.keys.size();
  if (count == 0) return nullptr;
  size_t first = 0;
  const PartEntry* const begin = frame.parts.data();
  const PartEntry* const end = begin + frame.parts.size();
  const std::less<const PartEntry*> before;
  if (!before(&entry, begin) && before(&entry, end)) {
    first = static_cast<size_t>(&entry - begin) % count;
  }
  for (size_t i = 0; i < count; ++i) {
    const KeySpec& spec = frame.keys[(first + i) % count];
    if (spec.key == entry.key) return &spec;
  }
  return nullptr;
}

}  // namespace kvstore
