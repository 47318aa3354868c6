// The search for a KeySpec. The codecs are request_codec.cc and reply_codec.cc.
#include "common/wire/frame.h"

#include <functional>

namespace kvstore {
namespace {

template <typename Frame, typename Entry>
const KeySpec* Find(const Frame& frame, const Entry& entry) {
  const size_t count = frame.keys.size();
  if (count == 0) return nullptr;
  size_t first = 0;
  const Entry* const begin = frame.entries.data();
  const Entry* const end = begin + frame.entries.size();
  const std::less<const Entry*> before;
  if (!before(&entry, begin) && before(&entry, end)) {
    first = static_cast<size_t>(&entry - begin) % count;
  }
  for (size_t i = 0; i < count; ++i) {
    const KeySpec& spec = frame.keys[(first + i) % count];
    if (spec.key == entry.key) return &spec;
  }
  return nullptr;
}

}  // namespace

const KeySpec* FindKeySpec(const RequestFrame& frame, const RequestEntry& entry) {
  return Find(frame, entry);
}
const KeySpec* FindKeySpec(const ReplyFrame& frame, const ReplyEntry& entry) {
  return Find(frame, entry);
}

}  // namespace kvstore
