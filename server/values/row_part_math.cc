#include "server/values/row_part_math.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/rows/row_cut.h"
#include "common/rows/row_sum.h"
#include "common/rows/row_table.h"
#include "common/rows/row_updater.h"
#include "common/wire/byte_counts.h"

namespace kvstore {
namespace {

struct TableValue final : PartValue {
  TableValue(int64_t rows, size_t row_bytes) : table(rows, row_bytes) {}
  RowTable table;
};
struct TableSum final : PartSum {
  TableSum(DType dtype, size_t row_elements) : rows(dtype, row_elements) {}
  RowSum rows;
};
struct TableState final : PartState {
  RowStatePtr rows;
};

constexpr size_t kIdBytes = sizeof(int64_t);

RowShape CutOf(const KeySpec& key) { return RowShapeOf(key.shape, key.dtype); }

std::string Label(const KeySpec& key, PartId part) {
  return fmt::format("{} part {}", KeyLabel(key.key, key.name), part.part);
}

// The ids that `piece` begins with; as many bytes are there.
std::vector<int64_t> IdsOf(const Piece& piece) {
  std::vector<int64_t> ids(piece.rows);
  PayloadCursor(piece.data).Read(ids.data(), ids.size() * kIdBytes);
  return ids;
}

// As numbers within the stripe.
std::vector<int64_t> LocalRowsOf(const RowShape& cut, const Piece& piece) {
  std::vector<int64_t> rows = IdsOf(piece);
  for (int64_t& row : rows) row /= cut.stripes;
  return rows;
}

}  // namespace

uint64_t RowPartMath::BytesOf(const KeySpec& key, PartIndex part) const {
  const RowShape cut = CutOf(key);
  const StateLayout state = updater_.LayoutFor(key.dtype);
  const uint64_t row_bytes =
      cut.row_bytes + state.names.size() * cut.row_elements * DTypeBytes(state.dtype);
  return static_cast<uint64_t>(cut.RowsIn(part)) * row_bytes;
}

absl::Status RowPartMath::Check(const KeySpec& key, PartId part, Op op, const Piece& piece) const {
  const RowShape cut = CutOf(key);
  const uint64_t ids_bytes = uint64_t{piece.rows} * kIdBytes;
  const uint64_t rows_bytes = uint64_t{piece.rows} * cut.row_bytes;
  const uint64_t expected = ids_bytes + (op == Op::kPull ? 0 : rows_bytes);
  if (piece.data.size() != expected) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: {} bytes expected for {} rows of {} bytes{}, got {}", Label(key, part), expected,
        piece.rows, cut.row_bytes, op == Op::kPull ? " (ids alone)" : "", piece.data.size()));
  }
  if (op == Op::kPull && rows_bytes > kPartBytesMax) {
    return absl::InvalidArgumentError(
        fmt::format("{}: at most {} bytes of rows expected in a pull, got {} rows of {}",
                    Label(key, part), kPartBytesMax, piece.rows, cut.row_bytes));
  }
  for (const int64_t id : IdsOf(piece)) {
    if (id < 0 || id >= cut.rows) {
      return absl::OutOfRangeError(
          fmt::format("{}: rows 0 to {} expected, got {}", Label(key, part), cut.rows - 1, id));
    }
    if (cut.StripeOf(id) != part.part) {
      return absl::InvalidArgumentError(
          fmt::format("{}: rows of stripe {} of {} expected, got row "
                      "{} of stripe {}",
                      Label(key, part), part.part, cut.stripes, id, cut.StripeOf(id)));
    }
  }
  return absl::OkStatus();
}

void RowPartMath::Fill(const KeySpec& key, PartId part, const Piece& piece,
                       std::unique_ptr<PartValue>* value) {
  const RowShape cut = CutOf(key);
  if (*value == nullptr) {
    // A table has a row at least; nobody can name that of an empty stripe.
    const int64_t rows = std::max<int64_t>(cut.RowsIn(part.part), 1);
    *value = std::make_unique<TableValue>(rows, cut.row_bytes);
  }
  RowTable& table = static_cast<TableValue&>(**value).table;
  PayloadCursor rows(piece.data);
  rows.Skip(piece.rows * kIdBytes);
  for (const int64_t row : LocalRowsOf(cut, piece)) rows.Read(table.Touch(row), cut.row_bytes);
}

void RowPartMath::Fold(const KeySpec& key, PartId, const Piece& piece,
                       std::unique_ptr<PartSum>* sum) {
  const RowShape cut = CutOf(key);
  if (*sum == nullptr) *sum = std::make_unique<TableSum>(key.dtype, cut.row_elements);
  const std::vector<int64_t> rows = LocalRowsOf(cut, piece);
  const size_t ids_bytes = rows.size() * kIdBytes;
  static_cast<TableSum&>(**sum).rows.Fold(rows.data(), rows.size(),
                                          piece.data.Sub(ids_bytes, piece.data.size() - ids_bytes));
}

absl::Status RowPartMath::Update(const KeySpec& key, PartId part, std::unique_ptr<PartSum> sum,
                                 std::unique_ptr<PartValue>* value,
                                 std::unique_ptr<PartState>* state) {
  if (*state == nullptr) *state = std::make_unique<TableState>();
  const absl::Status updated =
      UpdateRows(updater_, key.key, key.dtype, static_cast<TableValue&>(**value).table,
                 static_cast<TableSum&>(*sum).rows, &static_cast<TableState&>(**state).rows);
  if (updated.ok()) return updated;
  return absl::Status(updated.code(),
                      fmt::format("{}: {}", Label(key, part), std::string(updated.message())));
}

Payload RowPartMath::Read(const KeySpec& key, PartId, const PartValue& value, const Piece& asked) {
  const RowShape cut = CutOf(key);
  const RowTable& table = static_cast<const TableValue&>(value).table;
  const auto rows = std::make_shared<Buffer>(asked.rows * cut.row_bytes);
  uint8_t* to = rows->data();
  for (const int64_t row : LocalRowsOf(cut, asked)) {
    const uint8_t* from = table.Find(row);
    if (from != nullptr) {
      std::memcpy(to, from, cut.row_bytes);
    } else {
      std::memset(to, 0, cut.row_bytes);
    }
    to += cut.row_bytes;
  }
  CountCopiedBytes(rows->size());
  return Payload(BufferPtr(rows));
}

absl::Status RowPartMath::SetOptimizer(const OptimizerConfig& spec) {
  return updater_.Set(spec.name, spec.parameters, spec.multipliers);
}

}  // namespace kvstore
