// Config: the settings of one process as they are in force, each with where it came from.
//
// A flag wins over KVSTORE_*, which wins over MXNet's and ps-lite's variables; then comes the file,
// then the default. A source that is overruled is not looked at: what is in it may be wrong.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/setting_table.h"

namespace kvstore {

using VariableLookup = std::function<std::optional<std::string>(const std::string& name)>;
// The variables of this process.
VariableLookup ProcessVariables();

// Thread-compatible.
class Config {
 public:
  // `flags`: what the command line gave, by the names of the table ("workers" for --workers).
  // Errors: INVALID_ARGUMENT names the flag, variable, or line of the file, what was expected and
  // what came; or the setting that is missing, by all of its names.
  static absl::StatusOr<Config> Read(Programs program,
                                     const std::map<std::string, std::string>& flags,
                                     const VariableLookup& environment);

  // Whether the setting has a value: somebody said one, or it has a default.
  bool Has(SettingId id) const { return values_.count(id) != 0; }
  // Whether somebody said a value.
  bool IsSaid(SettingId id) const { return Has(id) && values_.at(id).source != kByDefault; }

  // The value of a setting that is there (Has); it has passed the checks of its row.
  const std::string& Text(SettingId id) const { return values_.at(id).text; }
  int64_t WholeNumber(SettingId id) const;
  double Number(SettingId id) const;
  bool IsOn(SettingId id) const { return Text(id) == "true"; }

  // Fills in a default that depends on the machine, for Print; nothing if somebody said something.
  void SetDefault(SettingId id, const std::string& text);
  // Where a setting that is there came from, as errors name it: "--workers".
  const std::string& Label(SettingId id) const { return values_.at(id).label; }
  // The error for a value that is wrong in a way which the row cannot check: "--interface: EXPECTED
  // expected, got 'eth7'".
  absl::Status Wrong(SettingId id, const std::string& expected) const;

  // Each names a variable that is set, known, and has no effect.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // All settings of the program, one a line, in the format of a file of settings, each with where
  // it came from: "workers = 2  # DMLC_NUM_WORKER".
  std::string Print() const;
  // What somebody said, in one line: "workers=2 (DMLC_NUM_WORKER), listen=[::1]:0 (--listen)".
  std::string Said() const;

 private:
  struct Value {
    std::string text;
    std::string source;  // "--workers", "DMLC_NUM_WORKER", "cluster.conf:3", kByDefault
    std::string label;   // the source, for errors: of a file's line with the setting's name, too
  };
  static constexpr char kByDefault[] = "default";

  explicit Config(Programs program) : program_(program) {}
  // The first variable of `spec` that is set and counts.
  absl::StatusOr<std::optional<Value>> FromVariables(const SettingSpec& spec,
                                                     const VariableLookup& environment);
  absl::StatusOr<std::optional<Value>> FromVariable(const SettingVariable& variable,
                                                    const std::string& text,
                                                    const VariableLookup& environment);
  void WarnOfIgnored(const VariableLookup& environment);

  Programs program_;
  std::map<SettingId, Value> values_;
  std::vector<std::string> warnings_;
};

}  // namespace kvstore
