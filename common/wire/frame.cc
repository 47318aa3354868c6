// The search for a KeySpec. The encoder and the decoder are frame_encoder.cc and frame_decoder.cc.
#include "common/wire/frame.h"

#include <functional>

namespace kvstore {

const KeySpec* FindKeySpec(const Frame& frame, const PartEntry& entry) {
  const size_t count = frame.keys.size();
  if (count == 0) return nullptr;
  size_t first = 0;
  const PartEntry* const begin = frame.parts.data();
  const PartEntry* const end = begin + frame.parts.size();
  const std::less<const PartEntry*> before;
  if (!before(&entry, begin) && before(&entry, end)) {
    first = static_cast<size_t>(&entry - begin) % count;
  }
  for (size_t i = 0; i < count; ++i) {
    const KeySpec& spec = frame.keys[(first + i) % count];
    if (spec.key == entry.key) return &spec;
  }
  return nullptr;
}

}  // namespace kvstore
