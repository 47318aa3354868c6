#include "server/values/push_codec.h"

#include <fmt/format.h>

namespace kvstore {

absl::Status CheckCodec(absl::FunctionRef<std::string()> label, Op op, const Codec* codec,
                        const Piece& piece) {
  const bool encoded = op == Op::kPush && codec != nullptr;
  const CodecId expected = encoded ? codec->id() : CodecId::kPlain;
  if (piece.codec == expected) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{}: {} encoded as {} expected, by the key's compression, got {}", label(),
                  OpName(op), CodecName(expected), CodecName(piece.codec)));
}

absl::Status CheckEncoded(const std::string& label, const Codec& codec, DType dtype,
                          size_t elements, const Payload& encoded) {
  const absl::Status fits = codec.Check(dtype, elements, encoded);
  if (fits.ok()) return fits;
  return absl::Status(fits.code(), fmt::format("{}: {}", label, std::string(fits.message())));
}

}  // namespace kvstore
