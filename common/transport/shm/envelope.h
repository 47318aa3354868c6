// What stands before each message of a stream that has lanes: one byte that says what the message
// is, and what belongs to that. Numbers are little-endian.
//
//   kOffer     dialling end, first: pid u32, descriptor u32, token 16 bytes, blocks u32
//   kAnswer    accepting end, once: 1 if it has opened the memory, else 0 and why not, in words
//   kInline    the user's message follows
//   kInLane    the user's message lies in the lane: block u32, bytes u32
//   kRoom      the receiver of a lane has read some of it
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/transport/shm/lane.h"
#include "common/transport/shm/shared_memory.h"
#include "common/wire/payload.h"

namespace kvstore {

enum class Envelope : uint8_t { kOffer = 1, kAnswer, kInline, kInLane, kRoom };

// The longest that may stand before a user's message.
inline constexpr size_t kEnvelopeBytesMax = 1;

struct LaneOffer {
  SharedMemoryName name;
  uint32_t blocks = 0;
};

struct LaneAnswer {
  bool accepted = false;
  std::string why_not;
};

Payload EncodeOffer(const LaneOffer& offer);
Payload EncodeAnswer(const LaneAnswer& answer);
Payload EncodeInline(const Payload& message);
Payload EncodeInLane(const Extent& extent);
Payload EncodeRoom();

// Nullopt for an empty message and for a kind that there is not.
std::optional<Envelope> KindOf(const Payload& message);
// Nullopt where the message is not exactly one of its kind.
std::optional<LaneOffer> DecodeOffer(const Payload& message);
std::optional<LaneAnswer> DecodeAnswer(const Payload& message);
std::optional<Extent> DecodeInLane(const Payload& message);
Payload TakeInline(const Payload& message);

}  // namespace kvstore
