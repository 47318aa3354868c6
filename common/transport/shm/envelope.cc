#include "common/transport/shm/envelope.h"

#include <array>
#include <cstring>

namespace kvstore {
namespace {

constexpr size_t kOfferBytes = 1 + 4 + 4 + SharedMemoryName::kTokenBytes + 4;
constexpr size_t kInLaneBytes = 1 + 4 + 4;
constexpr size_t kWhyNotBytesMax = 1000;

void Put32(uint8_t* out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<uint8_t>(value >> (8 * i));
}

uint32_t Get32(const uint8_t* in) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= uint32_t{in[i]} << (8 * i);
  return value;
}

template <size_t kBytes>
Payload Copied(const std::array<uint8_t, kBytes>& bytes) {
  return Payload::CopyOf({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

uint8_t Byte(Envelope kind) { return static_cast<uint8_t>(kind); }

}  // namespace

Payload EncodeOffer(const LaneOffer& offer) {
  std::array<uint8_t, kOfferBytes> bytes{Byte(Envelope::kOffer)};
  Put32(&bytes[1], offer.name.pid);
  Put32(&bytes[5], offer.name.descriptor);
  std::memcpy(&bytes[9], offer.name.token.data(), SharedMemoryName::kTokenBytes);
  Put32(&bytes[9 + SharedMemoryName::kTokenBytes], offer.blocks);
  return Copied(bytes);
}

Payload EncodeAnswer(const LaneAnswer& answer) {
  std::string bytes{static_cast<char>(Byte(Envelope::kAnswer)), answer.accepted ? '\1' : '\0'};
  bytes += answer.why_not.substr(0, kWhyNotBytesMax);
  return Payload::CopyOf(bytes);
}

Payload EncodeInline(const Payload& message) {
  Payload whole;
  whole.Reserve(1 + message.slices().size());
  whole.Append(Copied(std::array<uint8_t, 1>{Byte(Envelope::kInline)}));
  whole.Append(message);
  return whole;
}

Payload EncodeInLane(const Extent& extent) {
  std::array<uint8_t, kInLaneBytes> bytes{Byte(Envelope::kInLane)};
  Put32(&bytes[1], extent.block);
  Put32(&bytes[5], extent.bytes);
  return Copied(bytes);
}

Payload EncodeRoom() { return Copied(std::array<uint8_t, 1>{Byte(Envelope::kRoom)}); }

std::optional<Envelope> KindOf(const Payload& message) {
  if (message.empty()) return std::nullopt;
  const uint8_t kind = message.slices().front().data[0];
  if (kind < Byte(Envelope::kOffer) || kind > Byte(Envelope::kRoom)) return std::nullopt;
  return static_cast<Envelope>(kind);
}

std::optional<LaneOffer> DecodeOffer(const Payload& message) {
  if (message.size() != kOfferBytes) return std::nullopt;
  std::array<uint8_t, kOfferBytes> bytes{};
  message.CopyTo(bytes.data());
  LaneOffer offer;
  offer.name.pid = Get32(&bytes[1]);
  offer.name.descriptor = Get32(&bytes[5]);
  std::memcpy(offer.name.token.data(), &bytes[9], SharedMemoryName::kTokenBytes);
  offer.blocks = Get32(&bytes[9 + SharedMemoryName::kTokenBytes]);
  if (offer.blocks == 0 || offer.blocks > kLaneBlocksMax) return std::nullopt;
  return offer;
}

std::optional<LaneAnswer> DecodeAnswer(const Payload& message) {
  if (message.size() < 2 || message.size() > 2 + kWhyNotBytesMax) return std::nullopt;
  const std::string bytes = message.ToString();
  if (bytes[1] != '\0' && bytes[1] != '\1') return std::nullopt;
  return LaneAnswer{bytes[1] == '\1', bytes.substr(2)};
}

std::optional<Extent> DecodeInLane(const Payload& message) {
  if (message.size() != kInLaneBytes) return std::nullopt;
  std::array<uint8_t, kInLaneBytes> bytes{};
  message.CopyTo(bytes.data());
  return Extent{Get32(&bytes[1]), Get32(&bytes[5])};
}

Payload TakeInline(const Payload& message) { return message.Sub(1, message.size() - 1); }

}  // namespace kvstore
