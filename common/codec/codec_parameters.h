// CodecParameters: reads a codec's parameters, on top of NumberReader.
#pragma once

#include "common/model/compression_config.h"
#include "common/model/number_reader.h"

namespace kvstore {

class CodecParameters : public NumberReader {
 public:
  // Reads min_bytes (0, >= 0), which all types have. `config` outlives the reader.
  explicit CodecParameters(const CompressionConfig& config);
};

}  // namespace kvstore
