// The list of codecs: a new one is one line here.
#include <fmt/format.h>

#include "common/codec/cast_codec.h"
#include "common/codec/codec.h"
#include "common/codec/codec_parameters.h"
#include "common/codec/dithering_codec.h"
#include "common/codec/one_bit_codec.h"
#include "common/codec/random_k_codec.h"
#include "common/codec/scaled_one_bit_codec.h"
#include "common/codec/top_k_codec.h"
#include "common/codec/two_bit_codec.h"

namespace kvstore {
namespace {

struct Entry {
  std::string_view type;
  absl::StatusOr<CodecPtr> (*make)(const CompressionConfig&);
};

constexpr Entry kCodecs[] = {
    {"2bit", MakeTwoBit},         {"1bit", MakeOneBit},
    {"fp16", MakeFp16},           {"bf16", MakeBf16},
    {"topk", MakeTopK},           {"randomk", MakeRandomK},
    {"dithering", MakeDithering}, {"onebit_scaled", MakeScaledOneBit},
};

constexpr const char* kMinBytes = "min_bytes";

}  // namespace

CodecParameters::CodecParameters(const CompressionConfig& config)
    : NumberReader(fmt::format("compression '{}'", config.type), config.parameters) {
  Optional(kMinBytes, NumberRange::kWhole);
}

absl::StatusOr<CodecPtr> MakeCodec(const CompressionConfig& config) {
  for (const Entry& entry : kCodecs) {
    if (entry.type == config.type) return entry.make(config);
  }
  return absl::InvalidArgumentError(fmt::format("unknown compression '{}'; expected one of {}",
                                                Quotable(config.type),
                                                fmt::join(CodecTypes(), ", ")));
}

bool Compresses(const CompressionConfig& config, DType dtype, uint64_t bytes) {
  const bool is_float = dtype == DType::kFloat32 || dtype == DType::kFloat64 ||
                        dtype == DType::kFloat16 || dtype == DType::kBFloat16;
  if (config.type.empty() || !is_float || bytes == 0) return false;
  const auto least = config.parameters.find(kMinBytes);
  return least == config.parameters.end() || static_cast<double>(bytes) >= least->second;
}

std::vector<std::string> CodecTypes() {
  std::vector<std::string> types;
  for (const Entry& entry : kCodecs) types.emplace_back(entry.type);
  return types;
}

}  // namespace kvstore
