// Settings: where a daemon's option gets its text from (flag, then environment), and the strict
// readers of that text. Errors name the flag or variable, what was expected and what came.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/daemon/options.h"

namespace CLI {
class App;
}

namespace kvstore {

struct Setting {
  std::string source;  // "--workers" or "DMLC_NUM_WORKER"
  std::string text;
};

class Settings {
 public:
  Settings(CLI::App* app, EnvironmentLookup environment);

  // A flag with a value ("--workers"), and the variables that stand in for it, the first that is
  // set winning. `group` is the heading in --help.
  void Add(const std::string& flag, const std::string& value_name, const std::string& help,
           const std::string& group, std::vector<std::string> variables = {});
  // A flag without a value.
  void AddSwitch(const std::string& flag, const std::string& help, const std::string& group);

  // After parsing.
  std::optional<Setting> Get(const std::string& flag) const;
  bool IsOn(const std::string& flag) const { return *switches_.at(flag); }
  // "--workers, KVSTORE_NUM_WORKERS or DMLC_NUM_WORKER".
  std::string Names(const std::string& flag) const;
  std::optional<Setting> Variable(const std::string& name) const;

 private:
  struct Entry {
    std::string text;
    bool given = false;
    std::vector<std::string> variables;
  };
  CLI::App* const app_;
  const EnvironmentLookup environment_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;
  std::map<std::string, std::unique_ptr<bool>> switches_;
};

// "--workers: a number from 1 to 64 expected, got 'abc'".
absl::Status WrongSetting(const Setting& setting, const std::string& expected);
absl::StatusOr<int64_t> ReadInteger(const Setting& setting, int64_t min, int64_t max);
absl::StatusOr<double> ReadNumber(const Setting& setting, double min, double max);
// HOST:PORT, as it stands, with a port of at least `port_min`.
absl::StatusOr<std::string> ReadAddress(const Setting& setting, int port_min);

// The first IPv4 address of a network interface. Errors: INVALID_ARGUMENT names the setting.
absl::StatusOr<std::string> InterfaceHost(const Setting& setting);
// "0.0.0.0" and "::".
bool IsAnyHost(const std::string& host);
bool IsLoopbackHost(const std::string& host);
std::string ThisHostName();

}  // namespace kvstore
