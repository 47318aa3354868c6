// Serve: what the library kvstore::server does for KVStore::RunServer. A server program links that
// library and calls KVStore (kvstore.h); it does not call this.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "kvstore/export.h"
#include "kvstore/kvstore.h"

namespace kvstore {

// The program that is to be a server, or the scheduler, of a cluster. Its functions are
// thread-safe.
struct ServerProgram {
  bool scheduler = false;  // serve, or schedule
  // The updater that set_updater was last given, or null; asked for before each update.
  std::function<KVStore::Updater()> updater;
  std::function<KVStore::StrUpdater()> str_updater;  // the same, of string keys
  KVStore::Controller controller;                    // or nothing
  // Looks up a variable: InitPSEnv's setting if there is one, else the environment's.
  std::function<std::optional<std::string>(const std::string& name)> variable;
};

// How the server, or the scheduler, ended.
struct ServerEnd {
  int code = 0;         // an ErrorCode; 0: with its job, or by SIGTERM or SIGINT
  std::string message;  // in one line, if there is a code
};

// Blocks until the job is over. See KVStore::RunServer.
KVSTORE_EXPORT ServerEnd Serve(const ServerProgram& program);

}  // namespace kvstore
