#include "common/codec/two_bit_codec.h"

#include "common/base/status_macros.h"
#include "common/codec/bit_codes.h"
#include "common/codec/codec_parameters.h"
#include "common/codec/typed_codec.h"

namespace kvstore {
namespace {

class TwoBitCodec final : public TypedCodec<TwoBitCodec> {
 public:
  explicit TwoBitCodec(double threshold) : TypedCodec(CodecId::kTwoBit), threshold_(threshold) {}

  size_t piece_elements() const override { return kPieceElements; }
  std::optional<BitCode> bit_code() const override { return BitCode{2, threshold_}; }

  template <typename T>
  size_t EncodedBytesOf(size_t elements) const {
    return TwoBitBytes(elements);
  }
  template <typename T>
  void EncodeOf(T* values, size_t elements, const BlockName&, void*, uint8_t* encoded) const {
    EncodeTwoBit(static_cast<T>(threshold_), values, elements, encoded);
  }
  template <typename T, typename Sink>
  void DecodeOf(const uint8_t* encoded, size_t elements, const Sink& sink) const {
    DecodeTwoBit(static_cast<T>(threshold_), encoded, elements, sink);
  }

 private:
  const double threshold_;
};

}  // namespace

absl::StatusOr<CodecPtr> MakeTwoBit(const CompressionConfig& config) {
  CodecParameters reader(config);
  const double threshold = reader.WithDefault("threshold", 0.5, NumberRange::kPositive);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_shared<TwoBitCodec>(threshold);
}

}  // namespace kvstore
