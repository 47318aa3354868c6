// Contribution: what one worker brings to an Init or to a round of a key: one value, however many
// the call named (one per device, say). A Reducer makes it, a Cut cuts it into pieces.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "client/store/row_values.h"
#include "common/model/compression_config.h"
#include "common/tensor/buffer.h"

namespace kvstore {

// What became of a dense contribution that was encoded where its values are, on GPUs, and came to
// the host as codes.
struct EncodedContribution {
  CodecId codec = CodecId::kPlain;
  std::vector<MutableBufferPtr> parts;
  // Called once, if all of it is going to be sent: what is left over moves on. Throws nothing.
  std::function<void()> accept;
};

struct Contribution {
  // If the key is dense: the bytes of the whole value, in the key's dtype. Else null.
  const uint8_t* data = nullptr;
  // Keeps `data` alive. Where the bytes are the caller's own array it is the operation's token: so
  // the operation does not complete, and the array is not the caller's again, before everybody has
  // let go of the bytes.
  std::shared_ptr<const void> owner;
  bool lent = false;  // the bytes are the caller's array

  // Instead of `data`, where it is encoded already. Else null.
  std::shared_ptr<const EncodedContribution> encoded;

  // If the key is row_sparse: its rows, in the key's dtype.
  Rows rows;
};

}  // namespace kvstore
