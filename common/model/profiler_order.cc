#include "common/model/profiler_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/base/status_macros.h"

namespace kvstore {
namespace {

enum class Form { kFile, kSwitch, kNumber, kText };

struct Name {
  std::string_view name;
  Form form;
  bool has_effect;  // whether saying it changes anything here
};

// All that MXNet's profiler.set_config knows. A node here records all that it does or nothing, so
// the names that choose among the kinds of events choose nothing; no file is written but by kDump.
constexpr std::array<Name, 12> kNames = {{
    {"filename", Form::kFile, true},
    {"profile_all", Form::kSwitch, true},  // what is done anyway
    {"profile_symbolic", Form::kSwitch, false},
    {"profile_imperative", Form::kSwitch, false},
    {"profile_memory", Form::kSwitch, false},
    {"profile_api", Form::kSwitch, false},
    {"profile_process", Form::kText, false},
    {"aggregate_stats", Form::kSwitch, false},
    {"continuous_dump", Form::kSwitch, false},
    {"contiguous_dump", Form::kSwitch, false},  // its older spelling
    {"dump_period", Form::kNumber, false},
    {"mode", Form::kText, false},
}};

std::string KnownNames() {
  std::string text;
  for (const Name& each : kNames) text += fmt::format("{}{}", text.empty() ? "" : ", ", each.name);
  return text;
}

std::optional<bool> SwitchOf(std::string_view text) {
  if (text == "1" || text == "true" || text == "True") return true;
  if (text == "0" || text == "false" || text == "False") return false;
  return std::nullopt;
}

bool IsNumber(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_digit(c) || c == '.'; }) &&
         std::count(text.begin(), text.end(), '.') <= 1 &&
         std::any_of(text.begin(), text.end(), is_digit);
}

absl::Status Wrong(std::string_view name, std::string_view expected, std::string_view value) {
  return absl::InvalidArgumentError(
      fmt::format("profiler {}: {} expected, got '{}'", name, expected, value));
}

absl::Status CheckValue(const Name& name, std::string_view value) {
  switch (name.form) {
    case Form::kFile:
      if (value.empty() || value.back() == '/')
        return Wrong(name.name, "the name of a file", value);
      break;
    case Form::kSwitch:
      if (!SwitchOf(value)) return Wrong(name.name, "1, 0, true or false", value);
      break;
    case Form::kNumber:
      if (!IsNumber(value)) return Wrong(name.name, "a number of at least 0", value);
      break;
    case Form::kText:
      break;
  }
  return absl::OkStatus();
}

// One `name:value` of a configuration.
absl::Status ReadPiece(std::string_view piece, ProfilerConfig* config) {
  const size_t colon = piece.find(':');
  if (colon == std::string_view::npos) {
    return absl::InvalidArgumentError(
        fmt::format("profiler kSetConfig: name:value,name:value expected, got '{}'", piece));
  }
  const std::string_view name = piece.substr(0, colon);
  const std::string_view value = piece.substr(colon + 1);
  const auto* const known = std::find_if(kNames.begin(), kNames.end(),
                                         [&](const Name& each) { return each.name == name; });
  if (known == kNames.end()) {
    return absl::InvalidArgumentError(
        fmt::format("profiler kSetConfig: one of {} expected, got '{}'", KnownNames(), name));
  }
  KVS_RETURN_IF_ERROR(CheckValue(*known, value));
  if (known->form == Form::kFile) config->filename = value;
  if (!known->has_effect) config->without_effect.emplace_back(name);
  return absl::OkStatus();
}

}  // namespace

std::string_view ProfilerVerbName(ProfilerVerb verb) {
  switch (verb) {
    case ProfilerVerb::kSetConfig:
      return "kSetConfig";
    case ProfilerVerb::kState:
      return "kState";
    case ProfilerVerb::kPause:
      return "kPause";
    case ProfilerVerb::kDump:
      return "kDump";
  }
  return "?";
}

absl::StatusOr<ProfilerConfig> ParseProfilerConfig(std::string_view text) {
  ProfilerConfig config;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    KVS_RETURN_IF_ERROR(ReadPiece(text.substr(0, comma), &config));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return config;
}

absl::StatusOr<bool> ParseProfilerSwitch(ProfilerVerb verb, std::string_view text) {
  if (verb == ProfilerVerb::kDump && text.empty()) return false;
  const std::optional<bool> value = SwitchOf(text);
  if (!value) return Wrong(ProfilerVerbName(verb), "1 or 0", text);
  return *value;
}

absl::Status CheckProfilerOrder(int32_t verb, std::string_view parameters) {
  if (verb < 0 || verb > static_cast<int32_t>(ProfilerVerb::kDump)) {
    return absl::InvalidArgumentError(
        fmt::format("profiler: a command of 0 (kSetConfig) to 3 (kDump) expected, got {}", verb));
  }
  if (parameters.size() > kProfilerParametersMax) {
    return absl::InvalidArgumentError(
        fmt::format("profiler: parameters of at most {} bytes "
                    "expected, got {}",
                    kProfilerParametersMax, parameters.size()));
  }
  const auto known = static_cast<ProfilerVerb>(verb);
  if (known == ProfilerVerb::kSetConfig) return ParseProfilerConfig(parameters).status();
  return ParseProfilerSwitch(known, parameters).status();
}

std::string ProfileFileOf(std::string_view filename, std::string_view prefix) {
  const size_t slash = filename.rfind('/');
  const size_t base = slash == std::string_view::npos ? 0 : slash + 1;
  return fmt::format("{}{}_{}", filename.substr(0, base), prefix, filename.substr(base));
}

}  // namespace kvstore
