#include "common/codec/dithering_codec.h"

#include <algorithm>
#include <limits>

#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/codec/codec_parameters.h"
#include "common/codec/typed_codec.h"

namespace kvstore {
namespace {

// The numbers of [0, 1) of two neighbours from one hash: 24 bits each, which f32 has exactly.
template <typename T>
struct Chances {
  Chances(uint64_t seed, size_t pair) {
    const uint64_t hash = Mix64(seed + pair);
    of[0] = static_cast<T>(static_cast<int32_t>(hash >> 40)) * static_cast<T>(0x1p-24);
    of[1] = static_cast<T>(static_cast<int32_t>(hash >> 16 & 0xffffff)) * static_cast<T>(0x1p-24);
  }
  T of[2];
};

template <typename T>
T LargestMagnitude(const T* values, size_t elements) {
  T largest = 0;
  bool finite = true;
  for (size_t i = 0; i < elements; ++i) {
    const T magnitude = std::abs(values[i]);
    finite &= magnitude <= std::numeric_limits<T>::max();
    largest = magnitude > largest ? magnitude : largest;
  }
  return finite ? largest : std::numeric_limits<T>::quiet_NaN();
}

class DitheringCodec final : public TypedCodec<DitheringCodec> {
 public:
  DitheringCodec(unsigned bits, uint64_t seed)
      : TypedCodec(CodecId::kDithering), bits_(bits), steps_((1u << (bits - 1)) - 1), seed_(seed) {}

  template <typename T>
  size_t EncodedBytesOf(size_t elements) const {
    return sizeof(T) + (elements * bits_ + 7) / 8;
  }

  template <typename T>
  void EncodeOf(T* values, size_t elements, const BlockName& block, void*, uint8_t* encoded) const {
    // With the sender: so that what chance adds differs among them, and evens out in their sum.
    const uint64_t of_part = Mix64(Mix64(seed_ ^ block.key) + block.part);
    const uint64_t seed = Mix64(Mix64(of_part + block.sender) + block.number);
    const T largest = LargestMagnitude(values, elements);
    StoreAs(largest, encoded);
    uint8_t* const codes = encoded + sizeof(T);
    std::fill(codes, encoded + EncodedBytesOf<T>(elements), uint8_t{0});
    const int steps = static_cast<int>(steps_);
    const T step = largest / static_cast<T>(steps);
    // 0, so that all levels are 0, if all is 0 or not all is finite, or the quotient is not, as
    // where the magnitudes are denormals.
    T scale = largest > 0 ? static_cast<T>(steps) / largest : T{0};
    if (!std::isfinite(scale)) scale = 0;
    const bool finite = !std::isnan(largest);
    for (size_t i = 0; i < elements; i += 2) {
      const Chances<T> chances(seed, i / 2);
      for (size_t k = i; k < std::min(i + 2, elements); ++k) {
        const T x = values[k];
        // The part before the point of a number that is not below 0.
        const int level =
            finite ? std::min(static_cast<int>(std::abs(x) * scale + chances.of[k - i]), steps) : 0;
        const int signed_level = std::signbit(x) ? -level : level;
        const auto code = static_cast<unsigned>(signed_level + steps);
        codes[k * bits_ / 8] |= static_cast<uint8_t>(code << (8 - bits_ - k * bits_ % 8));
        values[k] = LeftOver(x - static_cast<T>(signed_level) * step);
      }
    }
  }

  template <typename T, typename Sink>
  void DecodeOf(const uint8_t* encoded, size_t elements, const Sink& sink) const {
    const T step = LoadAs<T>(encoded) / static_cast<T>(steps_);
    const uint8_t* const codes = encoded + sizeof(T);
    const unsigned mask = (1u << bits_) - 1;
    for (size_t i = 0; i < elements; ++i) {
      const unsigned code = codes[i * bits_ / 8] >> (8 - bits_ - i * bits_ % 8) & mask;
      sink(i, static_cast<T>(static_cast<int>(code) - static_cast<int>(steps_)) * step);
    }
  }

 private:
  const unsigned bits_;
  const unsigned steps_;
  const uint64_t seed_;
};

}  // namespace

absl::StatusOr<CodecPtr> MakeDithering(const CompressionConfig& config) {
  CodecParameters reader(config);
  const double bits = reader.WithDefault("bits", 4, NumberRange::kTwoFourEight);
  const double seed = reader.WithDefault("seed", 0, NumberRange::kWhole);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_shared<DitheringCodec>(static_cast<unsigned>(bits), static_cast<uint64_t>(seed));
}

}  // namespace kvstore
