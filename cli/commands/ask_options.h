// The flags of commands that ask a running cluster: kvctl status, stats and profile.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/cluster_ask.h"

namespace kvstore {

// --tls-dir, of commands that talk to a cluster. What it is written to outlives the parsing.
inline void AddTlsOption(CLI::App& command, std::string* tls_dir) {
  command
      .add_option("--tls-dir", *tls_dir,
                  "folder of cert.pem, key.pem and ca.pem, of a cluster with TLS")
      ->type_name("DIR")
      ->envname("KVSTORE_TLS_DIR");
}

// --scheduler, --timeout-ms and --tls-dir. `ask` outlives the parsing.
inline void AddAskOptions(CLI::App& command, ClusterAsk* ask) {
  command.add_option("--scheduler", ask->scheduler, "where the scheduler listens")
      ->type_name("HOST:PORT")
      ->envname("KVSTORE_SCHEDULER")
      ->required();
  command.add_option("--timeout-ms", ask->timeout_ms, "how long to try to get each answer")
      ->type_name("MS")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  AddTlsOption(command, &ask->tls_dir);
}

// --output: "table" or "json".
inline void AddFormatOption(CLI::App& command, std::string* format) {
  command.add_option("--output", *format, "how to print it")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

}  // namespace kvstore
