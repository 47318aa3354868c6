#include "common/codec/one_bit_codec.h"

#include "common/base/status_macros.h"
#include "common/codec/bit_codes.h"
#include "common/codec/codec_parameters.h"
#include "common/codec/typed_codec.h"

namespace kvstore {
namespace {

class OneBitCodec final : public TypedCodec<OneBitCodec> {
 public:
  explicit OneBitCodec(double threshold) : TypedCodec(CodecId::kOneBit), threshold_(threshold) {}

  size_t piece_elements() const override { return kPieceElements; }
  std::optional<BitCode> bit_code() const override { return BitCode{1, threshold_}; }

  template <typename T>
  size_t EncodedBytesOf(size_t elements) const {
    return OneBitBytes(elements);
  }
  template <typename T>
  void EncodeOf(T* values, size_t elements, const BlockName&, void*, uint8_t* encoded) const {
    EncodeOneBit(static_cast<T>(threshold_), T{1}, values, elements, encoded);
  }
  template <typename T, typename Sink>
  void DecodeOf(const uint8_t* encoded, size_t elements, const Sink& sink) const {
    DecodeOneBit(T{1}, encoded, elements, sink);
  }

 private:
  const double threshold_;
};

}  // namespace

absl::StatusOr<CodecPtr> MakeOneBit(const CompressionConfig& config) {
  CodecParameters reader(config);
  const double threshold = reader.WithDefault("threshold", 0.5, NumberRange::kFinite);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_shared<OneBitCodec>(threshold);
}

}  // namespace kvstore
