// Contribution: what one worker brings to an Init or to a round of a key: one value, however many
// the call named (one per device, say). A Reducer makes it, a Cut cuts it into pieces.
#pragma once

#include <cstdint>
#include <memory>

#include "client/store/row_values.h"

namespace kvstore {

struct Contribution {
  // Of a dense key: the bytes of the whole value, in the key's dtype.
  const uint8_t* data = nullptr;
  // Keeps `data`. Where the bytes are the caller's array it is the operation's token: the operation
  // is not complete, and the array not the caller's again, before everybody has let go of it.
  std::shared_ptr<const void> owner;
  bool lent = false;  // the bytes are the caller's array

  // Of a row_sparse key: its rows, in the key's dtype.
  Rows rows;
};

}  // namespace kvstore
