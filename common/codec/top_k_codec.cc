#include "common/codec/top_k_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "common/base/status_macros.h"
#include "common/codec/codec_parameters.h"
#include "common/codec/typed_codec.h"

namespace kvstore {
namespace {

template <typename T>
T Magnitude(T value) {
  return std::isnan(value) ? std::numeric_limits<T>::infinity() : std::abs(value);
}

class TopKCodec final : public TypedCodec<TopKCodec> {
 public:
  explicit TopKCodec(double ratio) : TypedCodec(CodecId::kTopK), ratio_(ratio) {}

  template <typename T>
  size_t EncodedBytesOf(size_t elements) const {
    return SentOf(elements, ratio_) * (sizeof(uint32_t) + sizeof(T));
  }

  size_t ScratchBytes(DType dtype, size_t elements) const override {
    return elements * DTypeBytes(AccumulatorOf(dtype));
  }

  template <typename T>
  void EncodeOf(T* values, size_t elements, const BlockName&, void* scratch,
                uint8_t* encoded) const {
    const size_t sent = SentOf(elements, ratio_);
    auto* const magnitudes = static_cast<T*>(scratch);
    std::transform(values, values + elements, magnitudes, Magnitude<T>);
    std::nth_element(magnitudes, magnitudes + (sent - 1), magnitudes + elements, std::greater<T>());
    const T least = magnitudes[sent - 1];  // of those that are sent
    // All that are above it go, and of those that equal it the first ones, up to `sent` in all.
    size_t equal = sent - static_cast<size_t>(std::count_if(magnitudes, magnitudes + sent,
                                                            [&](T m) { return m > least; }));
    uint8_t* place = encoded;
    uint8_t* value = encoded + sent * sizeof(uint32_t);
    for (size_t i = 0; i < elements; ++i) {
      const T magnitude = Magnitude(values[i]);
      if (magnitude < least || (magnitude == least && equal == 0)) continue;
      if (magnitude == least) --equal;
      StoreAs(static_cast<uint32_t>(i), place);
      StoreAs(values[i], value);
      place += sizeof(uint32_t);
      value += sizeof(T);
      values[i] = 0;
    }
  }

  template <typename T, typename Sink>
  void DecodeOf(const uint8_t* encoded, size_t elements, const Sink& sink) const {
    const size_t sent = SentOf(elements, ratio_);
    const uint8_t* const values = encoded + sent * sizeof(uint32_t);
    size_t next = 0;
    for (size_t k = 0; k < sent; ++k) {
      const auto place = LoadAs<uint32_t>(encoded + k * sizeof(uint32_t));
      for (; next < place; ++next) sink(next, T{0});
      sink(next++, LoadAs<T>(values + k * sizeof(T)));
    }
    for (; next < elements; ++next) sink(next, T{0});
  }

  absl::Status Check(DType dtype, size_t elements, const Payload& encoded) const override {
    KVS_RETURN_IF_ERROR(Codec::Check(dtype, elements, encoded));
    PayloadCursor cursor(encoded);
    int64_t above = -1;
    for (size_t k = 0; k < SentOf(elements, ratio_); ++k) {
      uint32_t place = 0;
      cursor.Read(&place, sizeof(place));
      if (place <= above || place >= elements) {
        return absl::InvalidArgumentError(
            fmt::format("topk: place {} to {} expected as number {}, got {}", above + 1,
                        elements - 1, k, place));
      }
      above = place;
    }
    return absl::OkStatus();
  }

 private:
  const double ratio_;
};

}  // namespace

absl::StatusOr<CodecPtr> MakeTopK(const CompressionConfig& config) {
  CodecParameters reader(config);
  const double ratio = reader.WithDefault("ratio", 0.01, NumberRange::kQuarter);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_shared<TopKCodec>(ratio);
}

}  // namespace kvstore
