// CRC-32C (Castagnoli): guards what we keep on disk against torn writes and flipped bits.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvstore {

// The CRC of `bytes`, following bytes whose CRC is `before` (0: there are none before).
// Source: RFC 3720 appendix B.4, whose vectors the test checks.
uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);

}  // namespace kvstore
