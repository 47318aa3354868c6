#include "common/codec/scaled_one_bit_codec.h"

#include <limits>

#include "common/base/status_macros.h"
#include "common/codec/bit_codes.h"
#include "common/codec/codec_parameters.h"
#include "common/codec/typed_codec.h"

namespace kvstore {
namespace {

template <typename T>
T MeanMagnitude(const T* values, size_t elements) {
  constexpr size_t kSums = 8;  // so that additions do not wait for each other
  double sums[kSums] = {};
  size_t i = 0;
  for (; i + kSums <= elements; i += kSums) {
    for (size_t s = 0; s < kSums; ++s) sums[s] += std::abs(static_cast<double>(values[i + s]));
  }
  for (size_t s = 0; i < elements; ++i, ++s) sums[s] += std::abs(static_cast<double>(values[i]));
  double sum = 0;
  for (const double each : sums) sum += each;
  return static_cast<T>(sum / static_cast<double>(elements));
}

class ScaledOneBitCodec final : public TypedCodec<ScaledOneBitCodec> {
 public:
  ScaledOneBitCodec() : TypedCodec(CodecId::kScaledOneBit) {}

  template <typename T>
  size_t EncodedBytesOf(size_t elements) const {
    return sizeof(T) + OneBitBytes(elements);
  }
  template <typename T>
  void EncodeOf(T* values, size_t elements, const BlockName&, void*, uint8_t* encoded) const {
    const T mean = MeanMagnitude(values, elements);
    StoreAs(mean, encoded);
    // Whatever is below 0 is at most minus the least number there is.
    EncodeOneBit(-std::numeric_limits<T>::denorm_min(), mean, values, elements,
                 encoded + sizeof(T));
  }
  template <typename T, typename Sink>
  void DecodeOf(const uint8_t* encoded, size_t elements, const Sink& sink) const {
    DecodeOneBit(LoadAs<T>(encoded), encoded + sizeof(T), elements, sink);
  }
};

}  // namespace

absl::StatusOr<CodecPtr> MakeScaledOneBit(const CompressionConfig& config) {
  CodecParameters reader(config);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_shared<ScaledOneBitCodec>();
}

}  // namespace kvstore
