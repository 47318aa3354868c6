// Piece: what a request brings about a part. It is one value on its whole way: the worker's
// operation makes it, the frames carry it, the server folds it or parks it, all under this name.
#pragma once

#include <cstdint>

#include "common/model/compression_config.h"
#include "common/wire/payload.h"

namespace kvstore {

// Of a dense key `data` is all of the part's bytes (INIT, PUSH) or nothing (PULL). Of a row-sparse
// key `rows` int64 ids begin it and their rows follow in that order; a PULL has the ids alone.
//
// A PUSH of a key that is compressed brings its values encoded.
//
// What is larger than one entry may be is cut into `fragments` pieces, numbered from 0.
struct Piece {
  uint32_t rows = 0;
  Payload data;
  uint32_t fragment = 0;
  uint32_t fragments = 1;
  bool create = false;              // INIT: this worker brings the value, even if `data` is empty
  CodecId codec = CodecId::kPlain;  // of the values in `data`

  // Whether both have the same fields, apart from `data`.
  bool SameFields(const Piece& other) const {
    return rows == other.rows && fragment == other.fragment && fragments == other.fragments &&
           create == other.create && codec == other.codec;
  }
};

}  // namespace kvstore
