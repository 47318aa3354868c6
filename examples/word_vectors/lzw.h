// What compress(1) writes, files that end in .Z: 3 bytes of header, then LZW codes.
#pragma once

#include <string>
#include <string_view>

namespace word_vectors {

// Throws std::runtime_error for bytes that compress(1) does not write.
std::string DecodeLzw(std::string_view bytes);

}  // namespace word_vectors
