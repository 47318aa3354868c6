// The command line of a daemon, made from the table of settings: flags, --help, --version,
// --print-config.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/setting_table.h"

namespace kvstore {

// The exit code for flags and variables that are wrong.
inline constexpr int kExitWrongSettings = 2;

struct CommandLineTexts {
  std::string name;     // "kvstored"
  std::string about;    // at the top of --help
  std::string footer;   // at its end
  std::string version;  // "0.1.0"
};

struct CommandLine {
  std::map<std::string, std::string> flags;  // by the table's names, for Config::Read
  bool print_config = false;
};

// Either a command line, or the process is to end with `exit_code` after `text` went to stdout
// (exit code 0: --help, --version) or to stderr (one line).
struct CommandLineResult {
  std::optional<CommandLine> line;
  int exit_code = 0;
  std::string text;
};

// Texts are handed on as they stand: Config::Read says what is wrong with one.
CommandLineResult ReadCommandLine(Programs program, const CommandLineTexts& texts,
                                  std::vector<std::string> arguments);

}  // namespace kvstore
