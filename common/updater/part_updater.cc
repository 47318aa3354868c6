#include "common/updater/part_updater.h"

#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

bool Fits(const UpdaterState* state, const std::vector<std::string>& names, DType dtype,
          size_t bytes) {
  if (state == nullptr || state->dtype != dtype || state->names != names) return false;
  for (const MutableBufferPtr& tensor : state->tensors) {
    if (tensor->size() != bytes) return false;
  }
  return true;
}

std::unique_ptr<UpdaterState> ZeroState(std::vector<std::string> names, DType dtype, size_t bytes) {
  auto state = std::make_unique<UpdaterState>();
  state->dtype = dtype;
  for (size_t i = 0; i < names.size(); ++i) {
    auto tensor = std::make_shared<Buffer>(bytes);
    if (bytes > 0) std::memset(tensor->data(), 0, bytes);
    state->tensors.push_back(std::move(tensor));
  }
  state->names = std::move(names);
  return state;
}

}  // namespace

PartUpdater::PartUpdater() { KVS_CHECK(Set("assign", {}).ok()); }

absl::Status PartUpdater::Set(std::string_view name, const UpdaterParameters& parameters) {
  KVS_ASSIGN_OR_RETURN(std::unique_ptr<Updater> updater, MakeUpdater(name, parameters));
  updater_ = std::move(updater);
  state_names_ = updater_->StateNames();
  name_ = std::string(name);
  parameters_ = parameters;
  return absl::OkStatus();
}

absl::StatusOr<BufferPtr> PartUpdater::Update(DType dtype, const Buffer& value,
                                              MutableBufferPtr sum,
                                              std::unique_ptr<UpdaterState>* state) const {
  const size_t element_bytes = DTypeBytes(dtype);
  const size_t bytes = value.size();
  KVS_CHECK(element_bytes > 0 && bytes % element_bytes == 0 && sum->size() == bytes);
  // A new state is handed over only when the update was done.
  std::unique_ptr<UpdaterState> fresh;
  UpdaterState* current = nullptr;
  if (!state_names_.empty()) {
    if (!Fits(state->get(), state_names_, dtype, bytes)) {
      fresh = ZeroState(state_names_, dtype, bytes);
    }
    current = fresh != nullptr ? fresh.get() : state->get();
  }
  KVS_RETURN_IF_ERROR(
      updater_->Update({dtype, bytes / element_bytes}, value.data(), sum->data(), current));
  if (fresh != nullptr || current == nullptr) *state = std::move(fresh);
  return BufferPtr(std::move(sum));
}

}  // namespace kvstore
