#include "common/wire/norm_note.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <string_view>

namespace kvstore {
namespace {

constexpr size_t kDoubles = 16;  // where they begin
constexpr size_t kBytes = kDoubles + 2 * NormSums::kCount * sizeof(double);
constexpr uint32_t kMeasured = 1;
constexpr uint32_t kAbandoned = 2;

using Bytes = std::array<uint8_t, kBytes>;

void Put(uint64_t number, size_t size, uint8_t* to) {
  for (size_t byte = 0; byte < size; ++byte) to[byte] = static_cast<uint8_t>(number >> (8 * byte));
}
uint64_t Get(const uint8_t* from, size_t size) {
  uint64_t number = 0;
  for (size_t byte = size; byte > 0; --byte) number = number << 8 | from[byte - 1];
  return number;
}

void PutSums(const NormSums& sums, uint8_t* to) {
  for (const double square : sums.squares) {
    uint64_t bits = 0;
    std::memcpy(&bits, &square, sizeof bits);
    Put(bits, sizeof bits, to);
    to += sizeof bits;
  }
}
NormSums GetSums(const uint8_t* from) {
  NormSums sums;
  for (double& square : sums.squares) {
    const uint64_t bits = Get(from, sizeof bits);
    std::memcpy(&square, &bits, sizeof bits);
    from += sizeof bits;
  }
  return sums;
}

}  // namespace

Payload EncodeNormNote(const NormNote& note) {
  Bytes bytes{};
  Put(note.parts, 4, &bytes[0]);
  Put(note.known, 4, &bytes[4]);
  Put((note.measured ? kMeasured : 0) | (note.abandoned ? kAbandoned : 0), 4, &bytes[8]);
  PutSums(note.norms, &bytes[kDoubles]);
  PutSums(note.own, &bytes[kDoubles + NormSums::kCount * sizeof(double)]);
  return Payload::CopyOf({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

absl::StatusOr<NormNote> DecodeNormNote(const Payload& payload) {
  if (payload.size() != kBytes) {
    return absl::InvalidArgumentError(
        fmt::format("norms: {} bytes expected, got {}", kBytes, payload.size()));
  }
  Bytes bytes;
  payload.CopyTo(bytes.data());
  NormNote note;
  note.parts = static_cast<uint32_t>(Get(&bytes[0], 4));
  note.known = static_cast<uint32_t>(Get(&bytes[4], 4));
  const uint64_t flags = Get(&bytes[8], 8);
  if (note.parts == 0 || flags > (kMeasured | kAbandoned)) {
    return absl::InvalidArgumentError(
        fmt::format("norms: of 1 part or more, with flags up to {}, expected, got of {} with {}",
                    kMeasured | kAbandoned, note.parts, flags));
  }
  note.measured = (flags & kMeasured) != 0;
  note.abandoned = (flags & kAbandoned) != 0;
  note.norms = GetSums(&bytes[kDoubles]);
  note.own = GetSums(&bytes[kDoubles + NormSums::kCount * sizeof(double)]);
  return note;
}

}  // namespace kvstore
