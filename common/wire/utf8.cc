#include "common/wire/utf8.h"

#include <cstdint>

namespace kvstore {
namespace {

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xc0u) == 0x80u; }

// Length of the character that `text` (not empty) starts with; 0 if it starts with none.
// Source: the table of well-formed byte sequences, Unicode 15, chapter 3, table 3-7.
size_t CharacterBytes(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return 1;
  size_t length = 0;
  uint8_t low = 0x80;  // bounds of the second byte
  uint8_t high = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  const auto second = static_cast<uint8_t>(text[1]);
  if (second < low || second > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  return length;
}

}  // namespace

size_t ValidUtf8Prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = CharacterBytes(text.substr(at));
    if (length == 0) break;
    at += length;
  }
  return at;
}

std::string ToValidUtf8(std::string_view text, size_t bytes_max) {
  std::string valid;
  while (!text.empty() && valid.size() < bytes_max) {
    const size_t length = CharacterBytes(text);
    if (length > bytes_max - valid.size()) break;
    if (length == 0) {
      valid += '?';
      text.remove_prefix(1);
    } else {
      valid += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return valid;
}

}  // namespace kvstore
