#include "server/values/row_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/kernels/figures.h"
#include "common/kernels/kernels.h"
#include "common/rows/row_bytes.h"
#include "common/wire/byte_counts.h"
#include "server/values/finite_payload.h"
#include "server/values/piece_rows.h"
#include "server/values/program_update.h"
#include "server/values/push_codec.h"

namespace kvstore {
namespace {

constexpr size_t kIdBytes = sizeof(int64_t);

// The rows of `table` that are to be kept, as saved_value.h has them.
Payload SavedTable(const RowTable& table) {
  const std::vector<int64_t> rows = table.KeptRows();
  const auto buffer =
      std::make_shared<Buffer>(kIdBytes + rows.size() * (kIdBytes + table.row_bytes()));
  uint8_t* to = buffer->data();
  const uint64_t count = rows.size();
  std::memcpy(to, &count, kIdBytes);
  to += kIdBytes;
  if (!rows.empty()) std::memcpy(to, rows.data(), rows.size() * kIdBytes);
  to += rows.size() * kIdBytes;
  table.Gather(rows.data(), rows.size(), to);
  return Payload(BufferPtr(buffer));
}

// Reads into `table`, of which no row exists, what SavedTable() wrote. Makes room only for rows
// whose bytes are there.
absl::StatusOr<RowTable> LoadedTable(const std::string& label, RowTable table,
                                     PayloadCursor* cursor) {
  const int64_t height = table.rows();
  const size_t row_bytes = table.row_bytes();
  const auto loss = [&](const std::string& what) {
    return absl::DataLossError(fmt::format("{}: saved: {}", label, what));
  };
  uint64_t count = 0;
  if (!cursor->Read(&count, kIdBytes)) return loss("a count of rows expected, the bytes end");
  if (count > cursor->remaining() / (kIdBytes + row_bytes)) {
    return loss(fmt::format("{} rows of {} bytes expected, {} bytes are left", count, row_bytes,
                            cursor->remaining()));
  }
  std::vector<int64_t> rows(count);
  KVS_CHECK(cursor->Read(rows.data(), count * kIdBytes));
  int64_t above = -1;
  for (const int64_t row : rows) {
    if (row <= above || row >= height) {
      return loss(fmt::format("a row of {} to {} expected, got {}", above + 1, height - 1, row));
    }
    KVS_CHECK(cursor->Read(table.Touch(row), row_bytes));
    above = row;
  }
  return table;
}

}  // namespace

RowValue::RowValue(const KeySpec& key, PartId id, const ShardUpdater& updater, CodecPtr codec,
                   bool zeroes)
    : PartValue(key, id),
      updater_(updater),
      codec_(std::move(codec)),
      zeroes_(zeroes),
      cut_(RowShapeOf(key.shape, key.dtype)),
      table_(EmptyTable()) {}

// A table has a row at least; nobody can name that of an empty stripe.
RowTable RowValue::EmptyTable() const {
  std::optional<RowRule> rule;
  if (key().rule.by_rule()) {
    rule.emplace(RowRule{InitialValues(key().rule, key().key, key().dtype), cut_.row_elements,
                         cut_.stripes, id().part});
  }
  return RowTable(std::max<int64_t>(cut_.RowsIn(id().part), 1), cut_.row_bytes, rule);
}

// What is kept of a row beside its value lies in tables of its own, whose pages may hold more rows
// or fewer. A page of the value needs as many of them as cover its rows, at least one; together the
// pages need no more than a table that is full.
// Example: rows of 64 f32 lie 4 to a page of 1 KiB. A state of one f32 for each row lies 256 to a
// page. A value page is charged with 1 KiB for itself and with one page of the state, until all
// pages of the state are charged that there can be.
uint64_t RowValue::BytesWith(uint64_t more_pages) const {
  // A state that is being brought will have the value's pages made, and lies beside the one that it
  // is to replace.
  uint64_t staged = 0;
  if (staged_ != nullptr) {
    more_pages += table_.PagesMissing(staged_->rows().data(), staged_->rows().size());
    if (state_ != nullptr) staged = staged_->bytes();
  }
  const uint64_t pages = std::min(table_.pages() + more_pages, table_.pages_max());
  uint64_t bytes = pages * table_.page_bytes();
  const StateLayout state = updater_.LayoutFor(key().dtype);
  for (size_t i = 0; i < state.names.size(); ++i) {
    const size_t row_bytes = state.RowElements(i, cut_.row_elements) * DTypeBytes(state.dtype);
    const int64_t rows = RowTable::RowsPerPage(table_.rows(), row_bytes);
    const auto of_page = static_cast<uint64_t>(std::max<int64_t>(table_.rows_per_page() / rows, 1));
    const auto of_all = static_cast<uint64_t>((table_.rows() + rows - 1) / rows);
    bytes += std::min(pages * of_page, of_all) * static_cast<uint64_t>(rows) * row_bytes;
  }
  return bytes + staged;
}

uint64_t RowValue::PagesMissing(const Piece& piece, std::optional<WorkerRank>) const {
  if (table_.pages() == table_.pages_max()) return 0;
  const std::vector<int64_t> rows = LocalRowsOf(cut_, piece);
  return table_.PagesMissing(rows.data(), rows.size());
}

absl::Status RowValue::CheckPages(uint64_t more_pages) const {
  const uint64_t rows_max = key().rule.rows_max;
  if (rows_max == 0) return absl::OkStatus();
  if (staged_ != nullptr) {
    more_pages += table_.PagesMissing(staged_->rows().data(), staged_->rows().size());
  }
  const uint64_t share = (rows_max - 1) / cut_.stripes + 1;
  if (table_.pages() + more_pages <= share) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format(
      "{}: at most {} rows written expected (rows_max {}{}), {} are, or are under way, "
      "and this is more",
      Label(), share, rows_max,
      cut_.stripes == 1 ? "" : fmt::format(" in {} stripes", cut_.stripes), table_.pages()));
}

uint64_t RowValue::HeldBytes() const {
  return table_.bytes() + (state_ == nullptr ? 0 : BytesOf(*state_)) +
         (staged_ == nullptr ? 0 : staged_->bytes());
}

absl::Status RowValue::CheckBytes(Op op, const Piece& piece) const {
  const size_t ids_bytes = piece.ids_bytes();
  KVS_RETURN_IF_ERROR(CheckCodec([this] { return Label(); }, op, codec_.get(), piece));
  if (piece.codec != CodecId::kPlain && piece.rows > 0 && piece.data.size() >= ids_bytes) {
    return CheckEncoded(Label(), *codec_, key().dtype, piece.rows * cut_.row_elements,
                        BehindIds(piece));
  }
  const uint64_t rows_bytes = uint64_t{piece.rows} * cut_.row_bytes;
  const uint64_t expected = ids_bytes + (op == Op::kPull ? 0 : rows_bytes);
  if (piece.data.size() == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "{}: {} bytes expected for {} rows of {} bytes{}, got {}", Label(), expected, piece.rows,
      cut_.row_bytes, op == Op::kPull ? " (ids alone)" : "", piece.data.size()));
}

absl::Status RowValue::Check(Op op, const Piece& piece) const {
  KVS_RETURN_IF_ERROR(CheckBytes(op, piece));
  if (op == Op::kInit && key().rule.by_rule() && piece.rows > 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: no rows expected of a value by rule, got {}", Label(), piece.rows));
  }
  const uint64_t rows_bytes = uint64_t{piece.rows} * cut_.row_bytes;
  if (op == Op::kPull && rows_bytes > kPartBytesMax) {
    return absl::InvalidArgumentError(
        fmt::format("{}: at most {} bytes of rows expected in a pull, got {} rows of {}", Label(),
                    kPartBytesMax, piece.rows, cut_.row_bytes));
  }
  if (piece.rows_from != 0) {  // then there are rows (request_check.h)
    // The first and the last one tell for all between them. Neither sum is too large for an int64:
    // rows are below 2^40, an entry has at most 2^18 of them.
    const uint64_t first = piece.rows_from - 1;
    if (first >= static_cast<uint64_t>(cut_.rows)) {
      return absl::OutOfRangeError(fmt::format("{}: rows 0 to {} expected, got {} rows from {} on",
                                               Label(), cut_.rows - 1, piece.rows, first));
    }
    KVS_RETURN_IF_ERROR(CheckRow(static_cast<int64_t>(first)));
    return CheckRow(static_cast<int64_t>(first + (piece.rows - 1) * uint64_t{cut_.stripes}));
  }
  for (const int64_t row : IdsOf(cut_, piece)) KVS_RETURN_IF_ERROR(CheckRow(row));
  return absl::OkStatus();
}

absl::Status RowValue::CheckRow(int64_t row) const {
  if (row < 0 || row >= cut_.rows) {
    return absl::OutOfRangeError(
        fmt::format("{}: rows 0 to {} expected, got {}", Label(), cut_.rows - 1, row));
  }
  if (cut_.StripeOf(row) != id().part) {
    return absl::InvalidArgumentError(
        fmt::format("{}: rows of stripe {} of {} expected, got row {} of stripe {}", Label(),
                    id().part, cut_.stripes, row, cut_.StripeOf(row)));
  }
  return absl::OkStatus();
}

void RowValue::Fill(const Piece& piece) {
  const std::vector<int64_t> rows = LocalRowsOf(cut_, piece);
  const int64_t* row = rows.data();
  ForEachStretch(BehindIds(piece), cut_.row_bytes, [&](const uint8_t* bytes, size_t stretch) {
    table_.Scatter(row, stretch, bytes);
    row += stretch;
  });
}

PartFigures RowValue::Measure() const {
  PartFigures figures;
  for (const int64_t row : table_.KeptRows()) {
    figures.value.Add(FiguresOf(key().dtype, table_.Find(row), cut_.row_elements));
  }
  figures.value.elements = static_cast<uint64_t>(cut_.RowsIn(id().part)) * cut_.row_elements;
  figures.has_sum = last_sum_.has_value();
  figures.sum = last_sum_.value_or(Figures());
  return figures;
}

std::string RowValue::NotFinite(const Piece& push) const {
  if (push.codec != CodecId::kPlain) return "";
  const std::optional<NotFiniteAt> found = FindNotFinite(key().dtype, BehindIds(push));
  if (!found) return "";
  return fmt::format("row {} element {} is {}",
                     IdsOf(cut_, push)[found->element / cut_.row_elements],
                     found->element % cut_.row_elements, found->number);
}

Payload RowValue::Decoded(const Piece& piece) const {
  Payload data = BehindIds(piece);
  if (codec_ == nullptr) return zeroes_ ? Finite(key().dtype, data) : data;
  if (piece.rows == 0) return data;
  const size_t elements = piece.rows * cut_.row_elements;
  const Payload encoded = InOneSlice(std::move(data));
  const auto values = std::make_shared<Buffer>(elements * DTypeBytes(AccumulatorOf(key().dtype)));
  codec_->Decode(key().dtype, encoded.slices()[0].data, elements, /*add=*/false, values->data());
  return Payload(BufferPtr(values));
}

void RowValue::Fold(SumIndex sum, const Piece& piece) {
  const std::vector<int64_t> rows = LocalRowsOf(cut_, piece);
  const Payload data = Decoded(piece);
  const DType dtype = codec_ == nullptr ? key().dtype : AccumulatorOf(key().dtype);
  const auto [found, begins] = sums_.try_emplace(sum, dtype, cut_.row_elements);
  try {
    found->second.Fold(rows.data(), rows.size(), data);
  } catch (const std::bad_alloc&) {
    if (begins) sums_.erase(found);
    throw;
  }
}

absl::Status RowValue::UpdateBy(SumIndex sum, const RoundCounts& counts, const NormSums& norms) {
  const auto found = sums_.find(sum);
  KVS_CHECK(found != sums_.end());
  const RowSum& rows = found->second;
  const Figures figures = updater_.measures_sums
                              ? FiguresOf(AccumulatorOf(key().dtype), rows.sums(),
                                          rows.rows().size() * cut_.row_elements)
                              : Figures();
  // The sum goes when nothing can fail for want of memory any more.
  absl::Status outcome = UpdateTable(found->second, counts, norms);
  sums_.erase(found);
  if (updater_.measures_sums) last_sum_ = figures;
  return outcome;
}

absl::Status RowValue::Named(const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(), fmt::format("{}: {}", Label(), std::string(status.message())));
}

uint32_t RowValue::Measurings() const {
  if (updater_.by_program() || parts() == 1) return 0;
  return static_cast<uint32_t>(updater_.built_in.Measurings(key().name));
}

MeasuredTable RowValue::Measured(const RowSum& sum, const RoundCounts& counts) const {
  return {key().key, key().dtype, &table_, &sum, state_.get(), /*stripes=*/1, counts};
}

absl::StatusOr<NormSums> RowValue::Measure(uint32_t step, SumIndex sum, const RoundCounts& counts,
                                           const NormSums& norms) const {
  absl::StatusOr<NormSums> measured =
      MeasureRows(updater_.built_in, step, Measured(sums_.at(sum), counts), norms);
  if (!measured.ok()) return Named(measured.status());
  return measured;
}

absl::Status RowValue::UpdateTable(RowSum& sum, const RoundCounts& counts, const NormSums& norms) {
  if (!updater_.by_program()) return Named(UpdateByBuiltIn(sum, counts, norms));
  return UpdateRowsByProgram(*updater_.program, {key(), id(), version() + 1, counts}, cut_, table_,
                             sum, &state_);
}

absl::Status RowValue::UpdateByBuiltIn(RowSum& sum, const RoundCounts& counts, NormSums norms) {
  const PartUpdater& updater = updater_.built_in;
  // A value of one stripe is measured at once; one of several was, with what the others found.
  if (parts() == 1) {
    KVS_ASSIGN_OR_RETURN(norms, MeasureWholeRows(updater, key().name, Measured(sum, counts)));
  }
  return UpdateRows(updater, key().key, key().dtype, table_, sum, &state_,
                    {static_cast<uint64_t>(cut_.stripes), static_cast<uint64_t>(id().part)}, counts,
                    norms);
}

Payload RowValue::Read(const Piece& asked) const {
  const auto rows = std::make_shared<Buffer>(asked.rows * cut_.row_bytes);
  table_.Gather(LocalRowsOf(cut_, asked).data(), asked.rows, rows->data());
  CountCopiedBytes(rows->size());
  if (codec_ == nullptr || !codec_->encodes_pulls() || asked.rows == 0) {
    return Payload(BufferPtr(rows));
  }
  return EncodeValues(*codec_, key().dtype, rows->data(), asked.rows * cut_.row_elements);
}

ValueRows RowValue::ReadRows(int64_t begin, int64_t end, size_t bytes_max) const {
  // Row r of the value is row r div P of the stripe r mod P: of those from `begin` on the first is
  // the next one up that leaves the remainder of this stripe.
  const auto stripes = static_cast<int64_t>(cut_.stripes);
  const auto stripe = static_cast<int64_t>(id().part);
  const auto first = [&](int64_t row) { return (row - stripe + stripes - 1) / stripes; };
  const int64_t from = begin <= stripe ? 0 : first(begin);
  const int64_t to = end <= stripe ? 0 : std::min(first(end), cut_.RowsIn(id().part));
  const size_t most = std::max<size_t>(bytes_max / (cut_.row_bytes + kIdBytes), 1);
  ValueRows read;
  read.rows = table_.KeptRows(from, to, most + 1);
  if (read.rows.size() > most) {
    read.more = true;
    read.next = read.rows.back() * stripes + stripe;
    read.rows.pop_back();
  }
  const auto data = std::make_shared<Buffer>(read.rows.size() * cut_.row_bytes);
  table_.Gather(read.rows.data(), read.rows.size(), data->data());
  read.data = Payload(BufferPtr(data));
  for (int64_t& row : read.rows) row = row * stripes + stripe;
  return read;
}

void RowValue::ForgetAllButValue() noexcept {
  state_.reset();
  staged_.reset();
  sums_.clear();
  last_sum_.reset();
}

SavedHeader RowValue::Header() const {
  SavedHeader header;
  header.storage = Storage::kRowSparse;
  header.dtype = key().dtype;
  header.rows = static_cast<uint64_t>(table_.rows());
  header.row_elements = cut_.row_elements;
  header.version = version();
  if (state_ != nullptr) {
    header.state = state_->layout;
    header.updates = state_->updates;
  }
  return header;
}

Payload RowValue::Save() const {
  Payload saved = EncodeSavedHeader(Header());
  saved.Append(SavedTable(table_));
  if (state_ == nullptr) return saved;
  for (const RowTable& tensor : state_->tensors) saved.Append(SavedTable(tensor));
  return saved;
}

absl::Status RowValue::Load(const Payload& saved) {
  PayloadCursor cursor(saved);
  KVS_ASSIGN_OR_RETURN(SavedHeader header, DecodeSavedHeader(Label(), Header(), &cursor));
  KVS_ASSIGN_OR_RETURN(RowTable table, LoadedTable(Label(), EmptyTable(), &cursor));
  RowStatePtr state;
  if (header.state.keeps_state()) {
    state = std::make_unique<RowState>();
    state->layout = header.state;
    state->updates = header.updates;
    for (size_t i = 0; i < header.state.names.size(); ++i) {
      const size_t row_bytes =
          header.state.RowElements(i, cut_.row_elements) * DTypeBytes(header.state.dtype);
      KVS_ASSIGN_OR_RETURN(RowTable tensor,
                           LoadedTable(Label(), RowTable(table_.rows(), row_bytes), &cursor));
      state->tensors.push_back(std::move(tensor));
    }
  }
  if (cursor.remaining() != 0) {
    return absl::DataLossError(
        fmt::format("{}: saved: the end expected, {} bytes are left", Label(), cursor.remaining()));
  }
  table_ = std::move(table);
  state_ = std::move(state);
  sums_.clear();
  staged_.reset();
  set_version(header.version);
  return absl::OkStatus();
}

absl::StatusOr<StateInfo> RowValue::Kind() const {
  absl::StatusOr<StateInfo> kind = updater_.KindFor(key().dtype);
  if (!kind.ok()) return Named(kind.status());
  return kind;
}

absl::StatusOr<StatePage> RowValue::ReadState(const StateCursor& from) const {
  KVS_ASSIGN_OR_RETURN(const StateInfo kind, Kind());
  absl::StatusOr<StatePage> page = kvstore::ReadState(kind, state_.get(), Extent(), from);
  if (!page.ok()) return Named(page.status());
  return page;
}

absl::Status RowValue::StageState(const StatePage& page) {
  KVS_ASSIGN_OR_RETURN(const StateInfo kind, Kind());
  if (staged_ == nullptr) staged_ = std::make_unique<StagedRowState>();
  return staged_->Add(Label(), kind, Extent(), page);
}

absl::Status RowValue::CommitState() {
  if (staged_ == nullptr || !staged_->whole()) {
    return absl::FailedPreconditionError(
        fmt::format("{}: all pages of a state expected, they have not come", Label()));
  }
  // An update that is not lazy visits the rows of the value that exist, and no others.
  for (const int64_t row : staged_->rows()) table_.Touch(row);
  // From here on nothing is allocated.
  state_ = staged_->Take();
  staged_.reset();
  return absl::OkStatus();
}

}  // namespace kvstore
