// UTF-8 as protobuf demands it of proto3 strings: no overlong forms, no surrogates, nothing over
// U+10FFFF; NUL is allowed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvstore {

// Length of the longest prefix of `text` that is valid UTF-8.
size_t ValidUtf8Prefix(std::string_view text);
inline bool IsValidUtf8(std::string_view text) { return ValidUtf8Prefix(text) == text.size(); }

// `text` with '?' for every byte that is part of no character, cut to at most `bytes_max` bytes
// between characters.
std::string ToValidUtf8(std::string_view text, size_t bytes_max);

}  // namespace kvstore
