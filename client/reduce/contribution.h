// Contribution: what one worker brings to an Init or to a round of a key: one value, however many
// the call named (one per device, say). A Reducer makes it, a Cut cuts it into pieces.
#pragma once

#include <cstdint>
#include <memory>

#include "client/store/row_values.h"

namespace kvstore {

struct Contribution {
  // If the key is dense: the bytes of the whole value, in the key's dtype. Else null.
  const uint8_t* data = nullptr;
  // Keeps `data` alive. Where the bytes are the caller's own array it is the operation's token: so
  // the operation does not complete, and the array is not the caller's again, before everybody has
  // let go of the bytes.
  std::shared_ptr<const void> owner;
  bool lent = false;  // the bytes are the caller's array

  // If the key is row_sparse: its rows, in the key's dtype.
  Rows rows;
};

}  // namespace kvstore
