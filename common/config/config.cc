#include "common/config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/config_file.h"
#include "common/transport/host_port.h"

namespace kvstore {
namespace {

absl::Status WrongText(const std::string& source, const std::string& expected,
                       const std::string& text) {
  return absl::InvalidArgumentError(
      fmt::format("{}: {} expected, got '{}'", source, expected, text));
}

// The whole of `text` and nothing else; no blanks, no "+".
template <typename T>
std::optional<T> NumberIn(const std::string& text) {
  T number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// "worker, server or scheduler".
std::string Alternatives(const std::vector<std::string>& words) {
  std::string list = words[0];
  for (size_t i = 1; i < words.size(); ++i) {
    list += (i + 1 == words.size() ? " or " : ", ") + words[i];
  }
  return list;
}

absl::Status CheckWholeNumber(const std::string& source, const std::string& text, int64_t min,
                              int64_t max) {
  const std::optional<int64_t> number = NumberIn<int64_t>(text);
  if (number && *number >= min && *number <= max) return absl::OkStatus();
  return WrongText(source, fmt::format("a whole number from {} to {}", min, max), text);
}

absl::Status CheckAddress(const std::string& source, const std::string& text, int64_t port_min) {
  const absl::StatusOr<HostPort> address = ParseHostPort(text);
  if (!address.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}", source, std::string(address.status().message())));
  }
  if (address->port >= port_min) return absl::OkStatus();
  return WrongText(source, fmt::format("a port from {} to 65535", port_min), text);
}

absl::Status Check(const SettingForm& form, const std::string& source, const std::string& text) {
  const auto min = static_cast<int64_t>(form.min);
  const auto max = static_cast<int64_t>(form.max);
  switch (form.kind) {
    case SettingForm::kText:
      return text.empty() ? WrongText(source, "a text that is not empty", text) : absl::OkStatus();
    case SettingForm::kHost:
      return ParseHostPort(HostPortString({text, 0})).ok()
                 ? absl::OkStatus()
                 : WrongText(source, "a host's name or IP address", text);
    case SettingForm::kAddress:
      return CheckAddress(source, text, min);
    case SettingForm::kWholeNumber:
      return CheckWholeNumber(source, text, min, max);
    case SettingForm::kNumber: {
      const std::optional<double> number = NumberIn<double>(text);
      if (number && *number >= form.min && *number <= form.max) return absl::OkStatus();
      return WrongText(source, fmt::format("a number from {:g} to {:g}", form.min, form.max), text);
    }
    case SettingForm::kWord:
      if (std::find(form.words.begin(), form.words.end(), text) != form.words.end()) {
        return absl::OkStatus();
      }
      return WrongText(source, Alternatives(form.words), text);
    case SettingForm::kSwitch:
      return text == "true" || text == "false" ? absl::OkStatus()
                                               : WrongText(source, "true or false", text);
  }
  return absl::InternalError("no such kind of setting");
}

// "--workers or KVSTORE_NUM_WORKERS or DMLC_NUM_WORKER".
std::string AllNames(const SettingSpec& spec) {
  std::string names = "--" + spec.name;
  for (const SettingVariable& variable : spec.variables) {
    names += " or " + variable.name;
    if (!variable.partner.empty()) names += " with " + variable.partner;
  }
  return names;
}

constexpr int64_t kSecondsMax = 1000000;

}  // namespace

VariableLookup ProcessVariables() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

absl::StatusOr<Config> Config::Read(Programs program,
                                    const std::map<std::string, std::string>& flags,
                                    const VariableLookup& environment) {
  Config config(program);
  std::map<std::string, FileValue> file;
  std::string path;
  for (const SettingSpec& spec : SettingTable()) {
    if ((spec.programs & program) == 0) continue;
    std::optional<Value> value;
    if (const auto flag = flags.find(spec.name); flag != flags.end()) {
      value = Value{flag->second, "--" + spec.name, "--" + spec.name};
    } else {
      KVS_ASSIGN_OR_RETURN(value, config.FromVariables(spec, environment));
    }
    if (const auto line = file.find(spec.name); !value && line != file.end()) {
      const std::string source = fmt::format("{}:{}", path, line->second.line);
      value = Value{line->second.text, source, fmt::format("{}: {}", source, spec.name)};
    }
    if (value) {
      KVS_RETURN_IF_ERROR(Check(spec.form, value->label, value->text));
    } else if (!spec.default_text.empty()) {
      value = Value{spec.default_text, kByDefault, spec.name};
    } else if ((spec.required_by & program) != 0) {
      return absl::InvalidArgumentError(AllNames(spec) + " is missing");
    } else {
      continue;
    }
    if (spec.id == SettingId::kConfig) {  // the table's first row
      path = value->text;
      KVS_ASSIGN_OR_RETURN(file, ReadConfigFile(path));
    }
    config.values_[spec.id] = *std::move(value);
  }
  if (program == kWorkerProgram) config.WarnOfIgnored(environment);
  return config;
}

absl::StatusOr<std::optional<Config::Value>> Config::FromVariables(
    const SettingSpec& spec, const VariableLookup& environment) {
  for (const SettingVariable& variable : spec.variables) {
    std::optional<std::string> text = environment(variable.name);
    if (!text && variable.form == VariableForm::kHostWithPort && environment(variable.partner)) {
      return absl::InvalidArgumentError(fmt::format("{} and {} expected together, only {} is set",
                                                    variable.name, variable.partner,
                                                    variable.partner));
    }
    if (!text) continue;
    KVS_ASSIGN_OR_RETURN(std::optional<Value> value, FromVariable(variable, *text, environment));
    if (value) return value;
  }
  return std::optional<Value>();
}

absl::StatusOr<std::optional<Config::Value>> Config::FromVariable(
    const SettingVariable& variable, const std::string& text, const VariableLookup& environment) {
  const std::optional<std::string> partner =
      variable.partner.empty() ? std::nullopt : environment(variable.partner);
  switch (variable.form) {
    case VariableForm::kSame:
      return std::optional<Value>(Value{text, variable.name, variable.name});

    case VariableForm::kSeconds:
      KVS_RETURN_IF_ERROR(CheckWholeNumber(variable.name, text, 0, kSecondsMax));
      if (*NumberIn<int64_t>(text) == 0) {
        warnings_.push_back(
            fmt::format("{}=0 has no effect: heartbeats are always on", variable.name));
        return std::optional<Value>();
      }
      return std::optional<Value>(
          Value{std::to_string(1000 * *NumberIn<int64_t>(text)), variable.name, variable.name});

    case VariableForm::kHostWithPort: {
      if (!partner) {
        return absl::InvalidArgumentError(fmt::format("{} and {} expected together, only {} is set",
                                                      variable.name, variable.partner,
                                                      variable.name));
      }
      KVS_RETURN_IF_ERROR(CheckWholeNumber(variable.partner, *partner, 1, 65535));
      return std::optional<Value>(
          Value{HostPortString({text, *NumberIn<int>(*partner)}), variable.name, variable.name});
    }

    case VariableForm::kRankInWorld: {
      // A launcher's rank is ours only if its world is our job.
      if (!partner) return std::optional<Value>();
      KVS_RETURN_IF_ERROR(CheckWholeNumber(variable.partner, *partner, 1, 1 << 20));
      const int64_t world = *NumberIn<int64_t>(*partner);
      KVS_RETURN_IF_ERROR(CheckWholeNumber(variable.name, text, 0, world - 1));
      if (Has(SettingId::kWorkers) && WholeNumber(SettingId::kWorkers) != world) {
        warnings_.push_back(fmt::format("{}={} has no effect: {}={}, but the job has {} workers",
                                        variable.name, text, variable.partner, world,
                                        WholeNumber(SettingId::kWorkers)));
        return std::optional<Value>();
      }
      return std::optional<Value>(Value{text, variable.name, variable.name});
    }
  }
  return absl::InternalError("no such form of a variable");
}

void Config::WarnOfIgnored(const VariableLookup& environment) {
  for (const IgnoredVariable& ignored : IgnoredVariables()) {
    const std::optional<std::string> text = environment(ignored.name);
    if (!text || (!ignored.unless.empty() && *text == ignored.unless)) continue;
    warnings_.push_back(fmt::format("{}={} has no effect: {}", ignored.name, *text, ignored.why));
  }
}

int64_t Config::WholeNumber(SettingId id) const {
  const std::optional<int64_t> number = NumberIn<int64_t>(Text(id));
  KVS_CHECK(number);
  return *number;
}

double Config::Number(SettingId id) const {
  const std::optional<double> number = NumberIn<double>(Text(id));
  KVS_CHECK(number);
  return *number;
}

void Config::SetDefault(SettingId id, const std::string& text) {
  if (!IsSaid(id)) values_[id] = Value{text, kByDefault, ""};
}

absl::Status Config::Wrong(SettingId id, const std::string& expected) const {
  return WrongText(values_.at(id).label, expected, Text(id));
}

std::string Config::Print() const {
  std::string text;
  for (const SettingSpec& spec : SettingTable()) {
    if ((spec.programs & program_) == 0) continue;
    const auto it = values_.find(spec.id);
    if (it == values_.end()) {
      text += fmt::format("# {} is not set\n", spec.name);
      continue;
    }
    const Value& value = it->second;
    const bool quoted = value.text.find_first_of(" \t#") != std::string::npos;
    const char* const quote = quoted ? "\"" : "";
    // A file cannot name a file.
    text += fmt::format("{}{} = {}{}{}  # {}\n", spec.id == SettingId::kConfig ? "# " : "",
                        spec.name, quote, value.text, quote, value.source);
  }
  return text;
}

std::string Config::Said() const {
  std::string text;
  for (const SettingSpec& spec : SettingTable()) {
    if ((spec.programs & program_) == 0 || !IsSaid(spec.id)) continue;
    const Value& value = values_.at(spec.id);
    text +=
        fmt::format("{}{}={} ({})", text.empty() ? "" : ", ", spec.name, value.text, value.source);
  }
  return text;
}

}  // namespace kvstore
