#include "server/values/dense_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/base/headroom.h"
#include "common/base/status_macros.h"
#include "common/cluster/partitioner.h"
#include "common/initial/initial_values.h"
#include "common/kernels/figures.h"
#include "common/kernels/kernels.h"
#include "common/model/worker_tensors.h"
#include "common/tensor/page_pool.h"
#include "server/values/finite_payload.h"
#include "server/values/program_update.h"
#include "server/values/push_codec.h"

namespace kvstore {
namespace {

// The bytes that a sum of contributions of `bytes` bytes takes.
size_t SumBytes(DType dtype, size_t bytes) {
  return bytes / DTypeBytes(dtype) * DTypeBytes(AccumulatorOf(dtype));
}

MutableBufferPtr Copied(const Payload& payload) {
  auto copy = std::make_shared<Buffer>(payload.size());
  payload.CopyTo(copy->data());
  return copy;
}

// Calls `use(elements, count, first)` for the elements of `payload` in their order, `count` that
// lie together at `elements`, the first of which is number `first`. Slices may cut elements at any
// byte: no copy is made of more than one element.
template <typename Use>
void ForEachRun(DType dtype, const Payload& payload, Use use) {
  const size_t element = DTypeBytes(dtype);
  uint8_t straddling[8];  // an element whose bytes lie in several slices
  size_t have = 0;        // how many of its bytes are there
  size_t done = 0;
  for (const Slice& slice : payload.slices()) {
    const uint8_t* in = slice.data;
    size_t left = slice.size;
    if (have > 0) {
      const size_t take = std::min(element - have, left);
      std::memcpy(straddling + have, in, take);
      have += take;
      in += take;
      left -= take;
      if (have < element) continue;
      use(straddling, size_t{1}, done++);
      have = 0;
    }
    const size_t whole = left / element;
    if (whole > 0) use(in, whole, done);
    done += whole;
    have = left - whole * element;
    if (have > 0) std::memcpy(straddling, in + whole * element, have);
  }
}

}  // namespace

size_t DenseValue::value_bytes() const { return PartBytes(ValueBytes(key()), id().part); }

uint64_t DenseValue::BytesWith(uint64_t more_pages) const {
  const size_t bytes = value_bytes();
  const size_t elements = bytes / DTypeBytes(key().dtype);
  StateLayout layout = updater_.LayoutFor(key().dtype);
  if (layout.one_per_row) layout.names.clear();  // no update of a dense part will be made
  const uint64_t tensor = elements * DTypeBytes(layout.dtype);
  // A state that is being brought lies beside the one that it is to replace, if there is one.
  const uint64_t staged = staged_ == nullptr ? 0 : staged_->bytes();
  uint64_t state = layout.names.size() * tensor;
  if (!layout.by_worker.empty()) {
    state = std::max({state, KeptForWorkers(layout), state_ == nullptr ? staged : 0}) +
            more_pages * tensor;
  }
  return bytes + elements * DTypeBytes(AccumulatorOf(key().dtype)) + state +
         (state_ == nullptr ? 0 : staged);
}

uint64_t DenseValue::KeptForWorkers(const StateLayout& layout) const {
  const bool kept = state_ != nullptr && state_->dtype == layout.dtype &&
                    AreTensors(state_->names, layout.names, layout.by_worker);
  return kept ? state_->bytes() : 0;
}

bool DenseValue::makes_pages() const { return updater_.built_in.updates_by_worker(); }

uint64_t DenseValue::PagesMissing(const Piece& /*piece*/, std::optional<WorkerRank> pusher) const {
  if (!pusher.has_value() || !makes_pages()) return 0;
  const StateLayout layout = updater_.LayoutFor(key().dtype);
  if (KeptForWorkers(layout) == 0) return 1;
  const auto begin = state_->names.begin() + static_cast<std::ptrdiff_t>(layout.names.size());
  const std::string name = WorkerTensorName(layout.by_worker, *pusher);
  return std::find(begin, state_->names.end(), name) == state_->names.end() ? 1 : 0;
}

uint64_t DenseValue::HeldBytes() const {
  return (value_ == nullptr ? 0 : value_->size()) + (state_ == nullptr ? 0 : state_->bytes()) +
         (staged_ == nullptr ? 0 : staged_->bytes());
}

absl::Status DenseValue::Check(Op op, const Piece& piece) const {
  KVS_RETURN_IF_ERROR(CheckCodec([this] { return Label(); }, op, codec_.get(), piece));
  if (piece.codec != CodecId::kPlain && piece.rows == 0) {
    return CheckEncoded(Label(), *codec_, key().dtype, value_bytes() / DTypeBytes(key().dtype),
                        piece.data);
  }
  const bool by_rule = op == Op::kInit && key().rule.by_rule();
  const size_t expected = op == Op::kPull || by_rule ? 0 : value_bytes();
  if (piece.rows == 0 && piece.data.size() == expected) return absl::OkStatus();
  if (piece.rows != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: no rows expected, the key is dense, got {}", Label(), piece.rows));
  }
  return absl::InvalidArgumentError(fmt::format("{}: {} bytes expected{}, got {}", Label(),
                                                expected, by_rule ? " of a value by rule" : "",
                                                piece.data.size()));
}

MutableBufferPtr DenseValue::First(const Piece& piece) const {
  if (!key().rule.by_rule()) return Copied(piece.data);
  auto value = std::make_shared<Buffer>(value_bytes());
  const size_t element = DTypeBytes(key().dtype);
  InitialValues(key().rule, key().key, key().dtype)
      .Write(PartOffset(id().part) / element, value_bytes() / element, value->data());
  return value;
}

void DenseValue::Fill(const Piece& piece) {
  if (!PagePool::Takes(value_bytes())) LeaveHeadroom(value_bytes());
  MutableBufferPtr value = First(piece);
  // A sum must fit beside it, or a server that took values for as long as there was memory could
  // never make a round. One is enough: rounds of other parts can wait for it. (Small ones fit into
  // the headroom.) Nobody writes to it, so no page of it ever exists.
  const size_t sum_bytes = SumBytes(key().dtype, value_bytes());
  if (PagePool::Takes(sum_bytes)) const Buffer sum(sum_bytes);
  value_ = std::move(value);
}

std::string DenseValue::NotFinite(const Piece& push) const {
  if (push.codec != CodecId::kPlain) return "";
  const std::optional<NotFiniteAt> found = FindNotFinite(key().dtype, push.data);
  if (!found) return "";
  return fmt::format("element {} is {}",
                     PartOffset(id().part) / DTypeBytes(key().dtype) + found->element,
                     found->number);
}

PartFigures DenseValue::Measure() const {
  PartFigures figures;
  figures.value = FiguresOf(key().dtype, value_->data(), value_->size() / DTypeBytes(key().dtype));
  figures.has_sum = last_sum_.has_value();
  figures.sum = last_sum_.value_or(Figures());
  return figures;
}

void DenseValue::Fold(SumIndex sum, const Piece& piece) {
  const Codec* const codec = codec_.get();
  const Payload encoded = codec == nullptr ? Payload() : InOneSlice(piece.data);
  const Payload plain = codec == nullptr && zeroes_ ? Finite(key().dtype, piece.data) : piece.data;
  auto found = sums_.find(sum);
  const bool begins = found == sums_.end();
  if (begins) {
    auto buffer = std::make_shared<Buffer>(SumBytes(key().dtype, value_->size()));
    found = sums_.emplace(sum, std::move(buffer)).first;
  }
  // From here on nothing is allocated.
  uint8_t* const out = found->second->data();
  if (codec == nullptr) return FoldPlain(plain, begins, out);
  codec->Decode(key().dtype, encoded.slices()[0].data, value_->size() / DTypeBytes(key().dtype),
                /*add=*/!begins, out);
}

void DenseValue::FoldPlain(const Payload& data, bool begins, uint8_t* sum) const {
  const DType dtype = key().dtype;
  const size_t summed_bytes = DTypeBytes(AccumulatorOf(dtype));
  ForEachRun(dtype, data, [&](const uint8_t* in, size_t count, size_t first) {
    uint8_t* const at = sum + first * summed_bytes;
    begins ? Widen(dtype, at, in, count) : Accumulate(dtype, at, in, count);
  });
}

absl::Status DenseValue::UpdateBy(SumIndex sum, const RoundCounts& counts, const NormSums& norms) {
  const auto found = sums_.find(sum);
  KVS_CHECK(found != sums_.end());
  const Figures figures = updater_.measures_sums
                              ? FiguresOf(AccumulatorOf(key().dtype), found->second->data(),
                                          value_->size() / DTypeBytes(key().dtype))
                              : Figures();
  // The sum goes when nothing can fail for want of memory any more.
  absl::Status outcome = updater_.by_program() ? UpdateByProgram(found->second, counts)
                                               : UpdateByBuiltIn(found->second, counts, norms);
  sums_.erase(found);
  if (updater_.measures_sums) last_sum_ = figures;
  return outcome;
}

absl::Status DenseValue::Named(const absl::Status& status) const {
  return absl::Status(status.code(), fmt::format("{}: {}", Label(), std::string(status.message())));
}

uint32_t DenseValue::parts() const { return PartCount(ValueBytes(key())); }

uint32_t DenseValue::Measurings() const {
  if (updater_.by_program() || parts() == 1) return 0;
  return static_cast<uint32_t>(updater_.built_in.Measurings(key().name));
}

absl::StatusOr<NormSums> DenseValue::Measure(uint32_t step, SumIndex sum, const RoundCounts& counts,
                                             const NormSums& norms) const {
  return MeasureBy(step, *sums_.at(sum), counts, norms);
}

absl::StatusOr<NormSums> DenseValue::MeasureBy(size_t step, const Buffer& sum,
                                               const RoundCounts& counts,
                                               const NormSums& norms) const {
  absl::StatusOr<NormSums> measured = updater_.built_in.Measure(
      step, key().key, key().dtype, *value_, sum, state_.get(), counts, norms);
  if (!measured.ok()) return Named(measured.status());
  return measured;
}

absl::Status DenseValue::UpdateByBuiltIn(const MutableBufferPtr& sum, const RoundCounts& counts,
                                         NormSums norms) {
  // A value of one part is measured at once; one of several was, with what the others found.
  const size_t measurings = parts() == 1 ? updater_.built_in.Measurings(key().name) : 0;
  for (size_t step = 0; step < measurings; ++step) {
    KVS_ASSIGN_OR_RETURN(const NormSums measured, MeasureBy(step, *sum, counts, norms));
    norms += measured;
  }
  absl::StatusOr<BufferPtr> updated =
      updater_.built_in.Update(key().key, key().dtype, *value_, sum, &state_,
                               PartOffset(id().part) / DTypeBytes(key().dtype), counts, norms);
  if (!updated.ok()) return Named(updated.status());
  value_ = *std::move(updated);
  return absl::OkStatus();
}

absl::Status DenseValue::UpdateByProgram(const MutableBufferPtr& sum, const RoundCounts& counts) {
  KVS_ASSIGN_OR_RETURN(
      value_, UpdateDenseByProgram(*updater_.program, {key(), id(), version() + 1, counts}, *value_,
                                   sum, &state_));
  return absl::OkStatus();
}

Payload DenseValue::Read(const Piece&) const {
  if (codec_ == nullptr || !codec_->encodes_pulls()) return Payload(value_);
  const DType dtype = key().dtype;
  return EncodeValues(*codec_, dtype, value_->data(), value_->size() / DTypeBytes(dtype));
}

ValueRows DenseValue::ReadRows(int64_t, int64_t, size_t) const {
  ValueRows read;
  read.data = Payload(value_);
  return read;
}

void DenseValue::ForgetAllButValue() noexcept {
  state_.reset();
  staged_.reset();
  sums_.clear();
  last_sum_.reset();
}

SavedHeader DenseValue::Header() const {
  SavedHeader header;
  header.storage = Storage::kDense;
  header.dtype = key().dtype;
  header.rows = 1;
  header.row_elements = value_bytes() / DTypeBytes(key().dtype);
  header.version = version();
  if (state_ != nullptr) {
    header.updates = state_->updates;
    header.state = {state_->names, state_->dtype, false, /*counted=*/true};
  }
  return header;
}

Payload DenseValue::Save() const {
  Payload saved = EncodeSavedHeader(Header());
  saved.Append(Payload(value_));
  if (state_ == nullptr) return saved;
  // An update overwrites the state, so these are copies.
  for (const MutableBufferPtr& tensor : state_->tensors) {
    saved.Append(Payload(BufferPtr(tensor)).Copy());
  }
  return saved;
}

absl::Status DenseValue::Load(const Payload& saved) {
  PayloadCursor cursor(saved);
  KVS_ASSIGN_OR_RETURN(SavedHeader header, DecodeSavedHeader(Label(), Header(), &cursor));
  const size_t state_bytes = header.row_elements * DTypeBytes(header.state.dtype);
  const size_t bytes = value_bytes() + header.state.names.size() * state_bytes;
  if (cursor.remaining() != bytes) {
    return absl::DataLossError(
        fmt::format("{}: saved: {} bytes of value and state expected, got {}", Label(), bytes,
                    cursor.remaining()));
  }
  const auto read = [&](size_t size) {
    auto buffer = std::make_shared<Buffer>(size);
    KVS_CHECK(cursor.Read(buffer->data(), size));
    return buffer;
  };
  value_ = read(value_bytes());
  state_ = nullptr;
  if (header.state.keeps_state()) {
    state_ = std::make_unique<UpdaterState>();
    state_->names = header.state.names;
    state_->dtype = header.state.dtype;
    state_->updates = header.updates;
    for (size_t i = 0; i < state_->names.size(); ++i) state_->tensors.push_back(read(state_bytes));
  }
  sums_.clear();
  staged_.reset();
  set_version(header.version);
  return absl::OkStatus();
}

absl::StatusOr<StateInfo> DenseValue::Kind() const {
  absl::StatusOr<StateInfo> kind = updater_.KindFor(key().dtype);
  if (!kind.ok()) return Named(kind.status());
  return kind;
}

absl::StatusOr<StatePage> DenseValue::ReadState(const StateCursor& from) const {
  KVS_ASSIGN_OR_RETURN(const StateInfo kind, Kind());
  absl::StatusOr<StatePage> page =
      kvstore::ReadState(kind, state_.get(), value_bytes() / DTypeBytes(key().dtype), from);
  if (!page.ok()) return Named(page.status());
  return page;
}

absl::Status DenseValue::StageState(const StatePage& page) {
  KVS_ASSIGN_OR_RETURN(const StateInfo kind, Kind());
  if (staged_ == nullptr) staged_ = std::make_unique<StagedDenseState>();
  return staged_->Add(Label(), kind, value_bytes() / DTypeBytes(key().dtype), page);
}

absl::Status DenseValue::CommitState() {
  if (staged_ == nullptr || !staged_->whole()) {
    return absl::FailedPreconditionError(
        fmt::format("{}: all pages of a state expected, they have not come", Label()));
  }
  state_ = staged_->Take();
  staged_.reset();
  return absl::OkStatus();
}

}  // namespace kvstore
