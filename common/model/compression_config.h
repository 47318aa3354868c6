// CompressionConfig: how the pushes of a key are compressed, as SetGradientCompression and an Init
// say it. Which types and parameters there are is common/codec's matter.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace kvstore {

struct CompressionConfig {
  std::string type;  // "2bit"; empty: none
  std::map<std::string, double> parameters{};

  bool operator==(const CompressionConfig& other) const {
    return type == other.type && parameters == other.parameters;
  }
  bool operator!=(const CompressionConfig& other) const { return !(*this == other); }
};

// "2bit (threshold 0.5)", "none".
std::string CompressionString(const CompressionConfig& config);

// How the bytes of one request are encoded. Numbers as in data.proto; one that is not in this list
// is refused as any other that is not the key's.
enum class CodecId : uint32_t {
  kPlain = 0,
  kTwoBit = 1,
  kOneBit = 2,
  kFp16 = 3,
  kBf16 = 4,
  kTopK = 5,
  kRandomK = 6,
  kDithering = 7,
  kScaledOneBit = 8,
};

// "2bit", "plain"; "codec?" for a number that is none.
const char* CodecName(CodecId id);

}  // namespace kvstore
