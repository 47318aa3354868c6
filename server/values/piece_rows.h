// The rows that a request about a row-sparse part brings or asks for.
#pragma once

#include <cstdint>
#include <vector>

#include "common/rows/row_cut.h"
#include "common/wire/piece.h"

namespace kvstore {

// The ids of a piece that has as many bytes as it should.
std::vector<int64_t> IdsOf(const RowShape& cut, const Piece& piece);

// The rows as numbers within the stripe. All ids are of the stripe.
std::vector<int64_t> LocalRowsOf(const RowShape& cut, const Piece& piece);

// What follows the ids.
Payload BehindIds(const Piece& piece);

}  // namespace kvstore
