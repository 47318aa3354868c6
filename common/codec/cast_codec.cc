#include "common/codec/cast_codec.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "common/codec/codec_parameters.h"
#include "common/codec/typed_codec.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

// So many elements at a time, on the stack.
constexpr size_t kBlock = 1024;

class CastCodec final : public TypedCodec<CastCodec> {
 public:
  // `largest`: the largest finite number of `dtype`, as an f32.
  CastCodec(CodecId id, DType dtype, float largest, bool pulls)
      : TypedCodec(id), dtype_(dtype), largest_(largest), pulls_(pulls) {}

  bool encodes_pulls() const override { return pulls_; }
  size_t piece_elements() const override { return kPieceElements; }

  template <typename T>
  size_t EncodedBytesOf(size_t elements) const {
    return elements * DTypeBytes(dtype_);
  }

  template <typename T>
  void EncodeOf(T* values, size_t elements, const BlockName&, void*, uint8_t* encoded) const {
    float block[kBlock];
    for (size_t done = 0; done < elements; done += kBlock) {
      const size_t count = std::min(kBlock, elements - done);
      T* const at = values + done;
      uint8_t* const to = encoded + done * DTypeBytes(dtype_);
      for (size_t i = 0; i < count; ++i) block[i] = Clamped(at[i]);
      Narrow(dtype_, to, block, count);
      Widen(dtype_, block, to, count);
      for (size_t i = 0; i < count; ++i) at[i] = LeftOver(at[i] - static_cast<T>(block[i]));
    }
  }

  template <typename T, typename Sink>
  void DecodeOf(const uint8_t* encoded, size_t elements, const Sink& sink) const {
    float block[kBlock];
    for (size_t done = 0; done < elements; done += kBlock) {
      const size_t count = std::min(kBlock, elements - done);
      Widen(dtype_, block, encoded + done * DTypeBytes(dtype_), count);
      for (size_t i = 0; i < count; ++i) sink(done + i, static_cast<T>(block[i]));
    }
  }

 private:
  // An infinity and a NaN stay what they are.
  template <typename T>
  float Clamped(T value) const {
    const T largest = largest_;
    // Without branches, so that the compiler makes vectors of it.
    const bool above = value > largest;
    const bool below = value < -largest;
    const bool infinite = std::abs(value) > std::numeric_limits<T>::max();
    T clamped = above ? largest : value;
    clamped = below ? -largest : clamped;
    return static_cast<float>(infinite ? value : clamped);
  }

  const DType dtype_;
  const float largest_;
  const bool pulls_;
};

absl::StatusOr<CodecPtr> MakeCast(const CompressionConfig& config, CodecId id, DType dtype,
                                  float largest) {
  CodecParameters reader(config);
  const bool pulls = reader.Flag("pull", false);
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_shared<CastCodec>(id, dtype, largest, pulls);
}

}  // namespace

absl::StatusOr<CodecPtr> MakeFp16(const CompressionConfig& config) {
  return MakeCast(config, CodecId::kFp16, DType::kFloat16, 65504.0F);
}

absl::StatusOr<CodecPtr> MakeBf16(const CompressionConfig& config) {
  return MakeCast(config, CodecId::kBf16, DType::kBFloat16, 0x1.FEp127F);
}

}  // namespace kvstore
