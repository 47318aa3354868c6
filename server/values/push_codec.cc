#include "server/values/push_codec.h"

#include <fmt/format.h>

namespace kvstore {

absl::Status CheckCodec(const std::string& label, const Codec* codec, const Piece& piece) {
  const CodecId expected = codec == nullptr ? CodecId::kPlain : codec->id();
  if (piece.codec == expected) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{}: a push encoded as {} expected, by the key's compression, got {}", label,
                  CodecName(expected), CodecName(piece.codec)));
}

absl::Status CheckEncoded(const std::string& label, const Codec& codec, DType dtype,
                          size_t elements, const Payload& encoded) {
  const absl::Status fits = codec.Check(dtype, elements, encoded);
  if (fits.ok()) return fits;
  return absl::Status(fits.code(), fmt::format("{}: {}", label, std::string(fits.message())));
}

}  // namespace kvstore
