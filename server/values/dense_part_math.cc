#include "server/values/dense_part_math.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/cluster/partitioner.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

// A part as ServerCore holds it.
struct DenseValue final : PartValue {
  BufferPtr buffer;
};
struct DenseSum final : PartSum {
  MutableBufferPtr buffer;
};
struct DenseState final : PartState {
  std::unique_ptr<UpdaterState> state;
};

size_t BytesOfPart(const KeySpec& key, PartIndex part) {
  uint64_t bytes = DTypeBytes(key.dtype);
  for (const int64_t dimension : key.shape) bytes *= static_cast<uint64_t>(dimension);
  return PartBytes(bytes, part);
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

// The program's code gets memory of its own: it may throw, and pulls may hold the value.
absl::Status UpdateByProgram(ProgramUpdater& program, const KeySpec& key, PartId part,
                             MutableBufferPtr sum, BufferPtr* value) {
  MutableBufferPtr merged = std::move(sum);
  if (AccumulatorOf(key.dtype) != key.dtype) {
    const auto rounded = std::make_shared<Buffer>((*value)->size());
    Narrow(key.dtype, rounded->data(), merged->data(), rounded->size() / DTypeBytes(key.dtype));
    merged = rounded;
  }
  const auto stored = std::make_shared<Buffer>((*value)->size());
  std::memcpy(stored->data(), (*value)->data(), stored->size());
  const absl::Status updated = program.Update(key, part, std::move(merged), stored);
  if (updated.ok()) *value = stored;
  return updated;
}

}  // namespace

uint64_t DensePartMath::BytesOf(const KeySpec& key, PartIndex part) const {
  const size_t bytes = BytesOfPart(key, part);
  const StateLayout state = updater_.LayoutFor(key.dtype);
  return bytes +
         bytes / DTypeBytes(key.dtype) *
             (DTypeBytes(AccumulatorOf(key.dtype)) + state.names.size() * DTypeBytes(state.dtype));
}

absl::Status DensePartMath::Check(const KeySpec& key, PartId part, Op op,
                                  const Piece& piece) const {
  const size_t expected = op == Op::kPull ? 0 : BytesOfPart(key, part.part);
  if (piece.rows == 0 && piece.data.size() == expected) return absl::OkStatus();
  const std::string label = fmt::format("{} part {}", KeyLabel(key.key, key.name), part.part);
  if (piece.rows != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: no rows expected, the key is dense, got {}", label, piece.rows));
  }
  return absl::InvalidArgumentError(
      fmt::format("{}: {} bytes expected, got {}", label, expected, piece.data.size()));
}

void DensePartMath::Fill(const KeySpec&, PartId, const Piece& piece,
                         std::unique_ptr<PartValue>* value) {
  auto made = std::make_unique<DenseValue>();
  made->buffer = Copied(piece.data);
  *value = std::move(made);
}

void DensePartMath::Fold(const KeySpec& key, PartId, const Piece& piece,
                         std::unique_ptr<PartSum>* sum) {
  const DType dtype = key.dtype;
  const size_t summed_bytes = DTypeBytes(AccumulatorOf(dtype));
  const bool begins = *sum == nullptr;
  if (begins) {
    auto begun = std::make_unique<DenseSum>();
    begun->buffer = std::make_shared<Buffer>(piece.data.size() / DTypeBytes(dtype) * summed_bytes);
    *sum = std::move(begun);
  }
  uint8_t* const out = static_cast<DenseSum&>(**sum).buffer->data();
  ForEachRun(dtype, piece.data, [&](const uint8_t* in, size_t count, size_t first) {
    uint8_t* const at = out + first * summed_bytes;
    begins ? Widen(dtype, at, in, count) : Accumulate(dtype, at, in, count);
  });
}

absl::Status DensePartMath::Update(const KeySpec& key, PartId part, std::unique_ptr<PartSum> sum,
                                   std::unique_ptr<PartValue>* value,
                                   std::unique_ptr<PartState>* state) {
  BufferPtr& buffer = static_cast<DenseValue&>(**value).buffer;
  if (has_own_updater()) {
    return UpdateByProgram(*program_, key, part, std::move(static_cast<DenseSum&>(*sum).buffer),
                           &buffer);
  }
  auto* held = static_cast<DenseState*>(state->get());
  std::unique_ptr<UpdaterState> current = held != nullptr ? std::move(held->state) : nullptr;
  absl::StatusOr<BufferPtr> updated = updater_.Update(
      key.key, key.dtype, *buffer, std::move(static_cast<DenseSum&>(*sum).buffer), &current);
  if (current == nullptr) {
    state->reset();
  } else {
    if (held == nullptr) {
      auto made = std::make_unique<DenseState>();
      held = made.get();
      *state = std::move(made);
    }
    held->state = std::move(current);
  }
  if (!updated.ok()) {
    return absl::Status(updated.status().code(),
                        fmt::format("{}: part {}: {}", KeyLabel(key.key, key.name), part.part,
                                    std::string_view(updated.status().message().data(),
                                                     updated.status().message().size())));
  }
  buffer = *std::move(updated);
  return absl::OkStatus();
}

Payload DensePartMath::Read(const KeySpec&, PartId, const PartValue& value, const Piece&) {
  return Payload(static_cast<const DenseValue&>(value).buffer);
}

absl::Status DensePartMath::SetOptimizer(const OptimizerConfig& spec) {
  return updater_.Set(spec.name, spec.parameters, spec.multipliers);
}

}  // namespace kvstore
