#include "common/codec/random_k_codec.h"

#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/codec/codec_parameters.h"
#include "common/codec/typed_codec.h"

namespace kvstore {
namespace {

// The element of stretch `k` of `sent` that is chosen. Example: of 10 elements 3 are sent; stretch
// 1 is the elements 3 to 5, since 10 * 1 / 3 = 3 and 10 * 2 / 3 = 6.
size_t Chosen(uint64_t seed, size_t k, size_t sent, size_t elements) {
  const size_t begin = elements * k / sent;
  const size_t end = elements * (k + 1) / sent;
  return begin + static_cast<size_t>(Mix64(seed + k) % (end - begin));
}

class RandomKCodec final : public TypedCodec<RandomKCodec> {
 public:
  RandomKCodec(double ratio, uint64_t seed)
      : TypedCodec(CodecId::kRandomK), ratio_(ratio), seed_(seed) {}

  template <typename T>
  size_t EncodedBytesOf(size_t elements) const {
    return sizeof(uint64_t) + SentOf(elements, ratio_) * sizeof(T);
  }

  template <typename T>
  void EncodeOf(T* values, size_t elements, const BlockName& block, void*, uint8_t* encoded) const {
    const size_t sent = SentOf(elements, ratio_);
    // Without the sender: all choose the same elements, so that their sum has no more of them.
    const uint64_t seed = Mix64(Mix64(Mix64(seed_ ^ block.key) + block.part) + block.number);
    StoreAs(seed, encoded);
    for (size_t k = 0; k < sent; ++k) {
      T& value = values[Chosen(seed, k, sent, elements)];
      StoreAs(value, encoded + sizeof(seed) + k * sizeof(T));
      value = 0;
    }
  }

  template <typename T, typename Sink>
  void DecodeOf(const uint8_t* encoded, size_t elements, const Sink& sink) const {
    const size_t sent = SentOf(elements, ratio_);
    const auto seed = LoadAs<uint64_t>(encoded);
    size_t next = 0;
    for (size_t k = 0; k < sent; ++k) {
      const size_t place = Chosen(seed, k, sent, elements);
      for (; next < place; ++next) sink(next, T{0});
      sink(next++, LoadAs<T>(encoded + sizeof(seed) + k * sizeof(T)));
    }
    for (; next < elements; ++next) sink(next, T{0});
  }

 private:
  const double ratio_;
  const uint64_t seed_;
};

}  // namespace

absl::StatusOr<CodecPtr> MakeRandomK(const CompressionConfig& config) {
  CodecParameters reader(config);
  const double ratio = reader.WithDefault("ratio", 0.01, NumberRange::kQuarter);
  const double seed = reader.WithDefault("seed", 0, NumberRange::kWhole);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_shared<RandomKCodec>(ratio, static_cast<uint64_t>(seed));
}

}  // namespace kvstore
