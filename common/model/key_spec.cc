#include "common/model/key_spec.h"

#include <fmt/format.h>

namespace kvstore {
namespace {

constexpr bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '/' || c == ':' || c == '-';
}

}  // namespace

absl::Status CheckKeyName(std::string_view name) {
  if (name.empty() || name.size() > kKeyNameBytesMax) {
    return absl::InvalidArgumentError(
        fmt::format("a name of 1 to {} bytes expected, got {}", kKeyNameBytesMax, name.size()));
  }
  for (size_t i = 0; i < name.size(); ++i) {
    if (IsNameCharacter(name[i])) continue;
    return absl::InvalidArgumentError(
        fmt::format("a name of [A-Za-z0-9_./:-] expected, got byte 0x{:02x} at {}",
                    static_cast<unsigned char>(name[i]), i));
  }
  return absl::OkStatus();
}

std::string KeyLabel(KeyId key, std::string_view name) {
  if (name.empty()) return fmt::format("key {}", static_cast<int64_t>(key));
  std::string label = "key '";
  for (const char c : name.substr(0, kKeyNameBytesMax)) {
    if (c == '\'' || c == '\\') {
      label += '\\';
      label += c;
    } else if (c >= 0x20 && c < 0x7f) {
      label += c;
    } else {
      label += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  label += name.size() > kKeyNameBytesMax ? fmt::format("'... ({} bytes)", name.size()) : "'";
  return label;
}

}  // namespace kvstore
