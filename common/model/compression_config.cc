#include "common/model/compression_config.h"

#include <fmt/format.h>

#include "common/model/number_reader.h"

namespace kvstore {

std::string CompressionString(const CompressionConfig& config) {
  if (config.type.empty()) return "none";
  std::string text = Quotable(config.type);
  const char* separator = " (";
  for (const auto& [name, value] : config.parameters) {
    text += fmt::format("{}{} {}", separator, Quotable(name), value);
    separator = ", ";
  }
  if (!config.parameters.empty()) text += ")";
  return text;
}

const char* CodecName(CodecId id) {
  switch (id) {
    case CodecId::kPlain:
      return "plain";
    case CodecId::kTwoBit:
      return "2bit";
    case CodecId::kOneBit:
      return "1bit";
    case CodecId::kFp16:
      return "fp16";
    case CodecId::kBf16:
      return "bf16";
    case CodecId::kTopK:
      return "topk";
    case CodecId::kRandomK:
      return "randomk";
    case CodecId::kDithering:
      return "dithering";
    case CodecId::kScaledOneBit:
      return "onebit_scaled";
  }
  return "codec?";
}

}  // namespace kvstore
