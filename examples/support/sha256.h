// SHA-256 (FIPS 180-4), to compare the weights of two runs by eye.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace examples {

class Sha256 {
 public:
  void Update(const void* data, size_t bytes);
  // 64 hexadecimal digits. Call once, at the end.
  std::string Hex();

 private:
  void Block(const uint8_t* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending_{};
  uint64_t bytes_ = 0;
};

}  // namespace examples
