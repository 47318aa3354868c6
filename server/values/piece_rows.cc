#include "server/values/piece_rows.h"

#include <numeric>
#include <utility>

namespace kvstore {

std::vector<int64_t> IdsOf(const RowShape& cut, const Piece& piece) {
  std::vector<int64_t> ids(piece.rows);
  if (piece.rows_from == 0) {
    PayloadCursor(piece.data).Read(ids.data(), ids.size() * sizeof(int64_t));
    return ids;
  }
  auto next = static_cast<int64_t>(piece.rows_from - 1);
  for (int64_t& id : ids) id = std::exchange(next, next + static_cast<int64_t>(cut.stripes));
  return ids;
}

std::vector<int64_t> LocalRowsOf(const RowShape& cut, const Piece& piece) {
  if (piece.rows_from != 0) {
    std::vector<int64_t> rows(piece.rows);
    std::iota(rows.begin(), rows.end(), cut.RowInStripe(static_cast<int64_t>(piece.rows_from - 1)));
    return rows;
  }
  std::vector<int64_t> rows = IdsOf(cut, piece);
  for (int64_t& row : rows) row = cut.RowInStripe(row);
  return rows;
}

Payload BehindIds(const Piece& piece) {
  return piece.data.Sub(piece.ids_bytes(), piece.data.size() - piece.ids_bytes());
}

}  // namespace kvstore
