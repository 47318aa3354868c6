#include "common/updater/part_updater.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

bool Fits(const UpdaterState* state, const StateLayout& layout, size_t bytes) {
  if (state == nullptr || state->dtype != layout.dtype || state->names != layout.names) {
    return false;
  }
  for (const MutableBufferPtr& tensor : state->tensors) {
    if (tensor->size() != bytes) return false;
  }
  return true;
}

std::unique_ptr<UpdaterState> ZeroState(StateLayout layout, size_t bytes) {
  auto state = std::make_unique<UpdaterState>();
  state->dtype = layout.dtype;
  for (size_t i = 0; i < layout.names.size(); ++i) {
    auto tensor = std::make_shared<Buffer>(bytes);
    if (bytes > 0) std::memset(tensor->data(), 0, bytes);
    state->tensors.push_back(std::move(tensor));
  }
  state->names = std::move(layout.names);
  return state;
}

}  // namespace

PartUpdater::PartUpdater() { KVS_CHECK(Set("assign", {}).ok()); }

absl::Status PartUpdater::Set(std::string_view name, const UpdaterParameters& parameters) {
  KVS_ASSIGN_OR_RETURN(std::unique_ptr<Updater> updater, MakeUpdater(name, parameters));
  updater_ = std::move(updater);
  name_ = std::string(name);
  parameters_ = parameters;
  return absl::OkStatus();
}

absl::Status PartUpdater::CheckDType(DType dtype) const {
  if (AccumulatorOf(dtype) == dtype) return updater_->CheckDType(dtype);
  return absl::UnimplementedError(
      fmt::format("updates of dtype {} are still to come", DTypeName(dtype)));
}

StateLayout PartUpdater::LayoutFor(DType dtype) const { return {updater_->StateNames(), dtype}; }

absl::StatusOr<BufferPtr> PartUpdater::Update(KeyId, DType dtype, const Buffer& value,
                                              MutableBufferPtr sum,
                                              std::unique_ptr<UpdaterState>* state) const {
  KVS_RETURN_IF_ERROR(CheckDType(dtype));
  const size_t element_bytes = DTypeBytes(dtype);
  const size_t bytes = value.size();
  KVS_CHECK(element_bytes > 0 && bytes % element_bytes == 0 && sum->size() == bytes);
  const StateLayout layout = LayoutFor(dtype);
  if (layout.names.empty()) {
    state->reset();
  } else if (!Fits(state->get(), layout, bytes)) {
    *state = ZeroState(layout, bytes);
  }
  UpdaterRun run{dtype, bytes / element_bytes};
  std::vector<void*> tensors;
  if (*state != nullptr) {
    run.update = ++(*state)->updates;
    for (const MutableBufferPtr& tensor : (*state)->tensors) tensors.push_back(tensor->data());
  }
  updater_->Update(run, value.data(), sum->data(), tensors.data());
  return BufferPtr(std::move(sum));
}

void PartUpdater::UpdateRun(KeyId, DType dtype, uint64_t update, size_t elements, void* value,
                            void* sum, void* const* state) const {
  KVS_CHECK(CheckDType(dtype).ok());
  updater_->Update({dtype, elements, update}, value, sum, state);
  std::memcpy(value, sum, elements * DTypeBytes(dtype));
}

}  // namespace kvstore
