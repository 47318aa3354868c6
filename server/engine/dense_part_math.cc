#include "server/engine/dense_part_math.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

// The state of a part, as ServerCore holds it.
struct DensePartState final : PartState {
  std::unique_ptr<UpdaterState> state;
};

}  // namespace

void AccumulatePayload(DType dtype, Buffer& acc, const Payload& x) {
  const size_t element = DTypeBytes(dtype);
  KVS_CHECK(KernelsSupport(dtype) && x.size() == acc.size() && x.size() % element == 0);
  uint8_t straddling[8];  // an element whose bytes lie in several slices
  size_t have = 0;        // how many of its bytes are there
  uint8_t* out = acc.data();
  for (const Slice& slice : x.slices()) {
    const uint8_t* in = slice.data;
    size_t left = slice.size;
    if (have > 0) {
      const size_t take = std::min(element - have, left);
      std::memcpy(straddling + have, in, take);
      have += take;
      in += take;
      left -= take;
      if (have < element) continue;
      Accumulate(dtype, out, straddling, 1);
      out += element;
      have = 0;
    }
    const size_t whole = left / element;
    Accumulate(dtype, out, in, whole);
    out += whole * element;
    have = left - whole * element;
    if (have > 0) std::memcpy(straddling, in + whole * element, have);
  }
}

MutableBufferPtr DensePartMath::Copy(const Payload& contribution) {
  auto copy = std::make_shared<Buffer>(contribution.size());
  contribution.CopyTo(copy->data());
  return copy;
}

void DensePartMath::Accumulate(const KeySpec& key, Buffer& accumulator,
                               const Payload& contribution) {
  AccumulatePayload(key.dtype, accumulator, contribution);
}

absl::StatusOr<BufferPtr> DensePartMath::Update(const KeySpec& key, PartId part,
                                                const BufferPtr& value, MutableBufferPtr sum,
                                                std::unique_ptr<PartState>* state) {
  auto* held = static_cast<DensePartState*>(state->get());
  std::unique_ptr<UpdaterState> current = held != nullptr ? std::move(held->state) : nullptr;
  absl::StatusOr<BufferPtr> updated = updater_.Update(key.key, key.dtype, *value, std::move(sum), &current);
  if (current == nullptr) {
    state->reset();
  } else {
    if (held == nullptr) {
      auto made = std::make_unique<DensePartState>();
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
  return updated;
}

absl::Status DensePartMath::SetOptimizer(const OptimizerConfig& spec) {
  return updater_.Set(spec.name, spec.parameters);
}

}  // namespace kvstore
