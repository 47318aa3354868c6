// Piece: what a request brings about a part. It is one value on its whole way: the worker's
// operation makes it, the frames carry it, the server folds it or parks it, all under this name.
#pragma once

#include <cstdint>

#include "common/model/compression_config.h"
#include "common/wire/payload.h"

namespace kvstore {

// Of a dense key `data` is all of the part's bytes (INIT, PUSH) or nothing (PULL). Of a row-sparse
// key `rows` int64 ids begin it and their rows follow in that order; a PULL has the ids alone. Ids
// without a gap are not in it: `rows_from` says where they begin. E.g. of 61 stripes, stripe 3 of a
// push of all rows from 100 on: rows 125, 186, 247 and so on, rows_from 126.
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
  uint64_t rows_from = 0;           // 0: the ids are in `data`; else 1 + the first of them

  // The bytes of the ids that begin `data`, if that is as long as it should be.
  size_t ids_bytes() const { return rows_from != 0 ? 0 : rows * sizeof(int64_t); }

  // Whether both have the same fields, apart from `data`.
  bool SameFields(const Piece& other) const {
    return rows == other.rows && rows_from == other.rows_from && fragment == other.fragment &&
           fragments == other.fragments && create == other.create && codec == other.codec;
  }
};

}  // namespace kvstore
