#include "client/api/compression_parameters.h"

#include <fmt/format.h>

#include "absl/strings/numbers.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/model/number_reader.h"

namespace kvstore {

absl::StatusOr<CompressionConfig> CompressionConfigOf(
    const std::vector<std::pair<std::string, std::string>>& parameters) {
  CompressionConfig config;
  bool has_type = false;
  for (const auto& [name, text] : parameters) {
    const bool twice = name == "type" ? has_type : config.parameters.count(name) > 0;
    if (twice) {
      return absl::InvalidArgumentError(
          fmt::format("SetGradientCompression: each parameter once expected, '{}' comes twice",
                      Quotable(name)));
    }
    if (name == "type") {
      has_type = true;
      config.type = text;
      continue;
    }
    if (double number = 0; absl::SimpleAtod(text, &number)) {
      config.parameters[name] = number;
    } else {
      return absl::InvalidArgumentError(
          fmt::format("SetGradientCompression: {}: a number expected, got '{}'", Quotable(name),
                      Quotable(text)));
    }
  }
  if (!has_type) {
    return absl::InvalidArgumentError(
        fmt::format("SetGradientCompression: a 'type' expected among the parameters, one of none, "
                    "{}; got {} others",
                    fmt::join(CodecTypes(), ", "), parameters.size()));
  }
  if (config.type == "none") {
    KVS_RETURN_IF_ERROR(NumberReader("compression 'none'", config.parameters).Finish());
    return CompressionConfig();
  }
  KVS_RETURN_IF_ERROR(MakeCodec(config).status());
  return config;
}

}  // namespace kvstore
