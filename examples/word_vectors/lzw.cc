#include "examples/word_vectors/lzw.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace word_vectors {
namespace {

constexpr uint32_t kClear = 256;  // forget all strings
constexpr uint32_t kFirst = 257;  // the first code of a string
constexpr unsigned kBitsMin = 9;
constexpr unsigned kBitsMax = 16;

// Codes of a growing number of bits, low bits first. Codes of one size come in groups of eight:
// when the size changes, the rest of a group is filling.
class Codes {
 public:
  explicit Codes(std::string_view bytes) : bytes_(bytes) {}

  bool Next(uint32_t* code) {
    if (at_ + bits_ > 8 * bytes_.size()) return false;
    uint32_t word = 0;
    for (size_t i = at_ / 8, shift = 0; i < bytes_.size() && shift < 24; ++i, shift += 8) {
      word |= uint32_t{static_cast<uint8_t>(bytes_[i])} << shift;
    }
    *code = (word >> (at_ % 8)) & ((1u << bits_) - 1);
    at_ += bits_;
    return true;
  }
  unsigned bits() const { return bits_; }
  void SetBits(unsigned bits) {
    const size_t group = size_t{8} * bits_;
    start_ += (at_ - start_ + group - 1) / group * group;
    at_ = start_;
    bits_ = bits;
  }

 private:
  std::string_view bytes_;
  size_t at_ = 0;     // bits
  size_t start_ = 0;  // of the codes of this size
  unsigned bits_ = kBitsMin;
};

}  // namespace

std::string DecodeLzw(std::string_view bytes) {
  // Flags 0x90: strings may be forgotten, codes have up to 16 bits. compress(1) writes no other.
  if (bytes.substr(0, 3) != "\x1f\x9d\x90") throw std::runtime_error("no header of compress(1)");
  Codes codes(bytes.substr(3));
  // A string is the one before it and one more byte, and so it stands in the text already.
  struct String {
    size_t begin;
    size_t size;
  };
  std::vector<String> strings;
  std::string text;
  String before{};  // size 0: none
  uint32_t code = 0;
  for (;;) {
    const size_t next = kFirst + strings.size();
    if (next >= size_t{1} << codes.bits() && codes.bits() < kBitsMax) {
      codes.SetBits(codes.bits() + 1);
    }
    if (!codes.Next(&code)) return text;
    if (code == kClear) {
      codes.SetBits(kBitsMin);
      strings.clear();
      before.size = 0;
      continue;
    }
    if (before.size > 0 && next < size_t{1} << kBitsMax) {
      strings.push_back({before.begin, before.size + 1});  // its last byte is the next one written
    }
    String now{text.size(), 1};
    if (code < kClear) {
      text.push_back(static_cast<char>(code));
    } else if (code - kFirst < strings.size()) {
      const String from = strings[code - kFirst];
      now.size = from.size;
      for (size_t i = 0; i < from.size; ++i) text.push_back(text[from.begin + i]);
    } else {
      throw std::runtime_error("a code without a string at byte " + std::to_string(text.size()));
    }
    before = now;
  }
}

}  // namespace word_vectors
