#include "client/reduce/placed_encoder.h"

#include <utility>

#include "common/base/status_macros.h"

namespace kvstore {

PlacedEncoder::PlacedEncoder(CodecPtr codec, KeyId key, uint32_t sender, DType dtype,
                             uint64_t bytes, DeviceSpares* spares)
    : on_host_(std::move(codec), key, sender, dtype, bytes),
      dtype_(dtype),
      bytes_(bytes),
      spares_(spares) {}

absl::StatusOr<std::optional<PlacedEncoder::Parts>> PlacedEncoder::EncodeOnDevices(
    absl::Span<const NDArray> values, BlockThreads& threads) {
  const std::optional<BitCode> code = on_host_.codec().bit_code();
  if (spares_ == nullptr || !code) return std::nullopt;
  if (!DeviceEncoder::Takes(values)) {
    if (on_gpus_ == nullptr || !on_gpus_->holds()) return std::nullopt;
    KVS_ASSIGN_OR_RETURN(MutableBufferPtr left_over, on_gpus_->ToHost());
    on_host_.set_left_over(std::move(left_over));
    on_gpus_->Forget();
    return std::nullopt;
  }
  if (on_gpus_ == nullptr) {
    on_gpus_ = std::make_unique<DeviceEncoder>(*code, dtype_, bytes_, spares_);
  }
  KVS_ASSIGN_OR_RETURN(Parts parts, on_gpus_->Encode(values, on_host_.left_over().get(), threads));
  return parts;
}

void PlacedEncoder::Accept() noexcept {
  on_gpus_->Accept();
  on_host_.set_left_over(nullptr);
}

}  // namespace kvstore
