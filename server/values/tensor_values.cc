#include "server/values/tensor_values.h"

#include <fmt/format.h>

#include <new>
#include <utility>

#include "common/base/check.h"
#include "common/base/headroom.h"
#include "common/base/status_macros.h"
#include "server/values/dense_value.h"
#include "server/values/row_value.h"

namespace kvstore {

std::unique_ptr<PartValue> TensorValues::Make(const KeySpec& key, PartId id) {
  CodecPtr codec = CodecOf(key);
  if (key.storage == Storage::kRowSparse) {
    return std::make_unique<RowValue>(key, id, updater_, std::move(codec), zeroes_);
  }
  return std::make_unique<DenseValue>(key, id, updater_, std::move(codec), zeroes_);
}

CodecPtr TensorValues::CodecOf(const KeySpec& key) {
  const CompressionConfig& config = key.compression;
  if (!Compresses(config, key.dtype, ValueBytes(key))) return nullptr;
  for (const auto& [known, codec] : codecs_) {
    if (known == config) return codec;
  }
  const absl::StatusOr<CodecPtr> codec = MakeCodec(config);
  KVS_CHECK(codec.ok());  // request_check has seen to it
  codecs_.emplace_back(config, *codec);
  return *codec;
}

absl::Status TensorValues::SetOptimizer(const OptimizerConfig& spec) {
  PartUpdater next;
  KVS_RETURN_IF_ERROR(next.Set(spec));
  previous_ = std::exchange(updater_.built_in, std::move(next));
  return absl::OkStatus();
}

absl::Status TensorValues::CheckMemory(uint64_t bytes) const {
  const uint64_t of_all = bytes * shards_;
  try {
    LeaveHeadroom(of_all);
    return absl::OkStatus();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        fmt::format("memory for {} bytes more expected, {} for each shard, the system has no more",
                    of_all, bytes));
  }
}

}  // namespace kvstore
