// The flags of commands that ask a running cluster: kvctl status, stats and profile.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace kvstore {

// --scheduler and --timeout-ms. What they are written to outlives the parsing.
inline void AddAskOptions(CLI::App& command, std::string* scheduler, int64_t* timeout_ms) {
  command.add_option("--scheduler", *scheduler, "where the scheduler listens")
      ->type_name("HOST:PORT")
      ->envname("KVSTORE_SCHEDULER")
      ->required();
  command.add_option("--timeout-ms", *timeout_ms, "how long to try to get each answer")
      ->type_name("MS")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

// --output: "table" or "json".
inline void AddFormatOption(CLI::App& command, std::string* format) {
  command.add_option("--output", *format, "how to print it")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

}  // namespace kvstore
