// The file of settings (`--config FILE`, KVSTORE_CONFIG):
//
//   # where the cluster is
//   scheduler = node0:7070
//   state-dir = "/var/lib/kv store"   # a value with blanks or # stands in quotes
//
// One setting a line, by the names of the table. There are no sections: one file can serve all
// programs of a cluster, and each takes what it has. The reader is ours, as CLI11's passes over
// lines that it does not understand, and knows no line numbers.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace kvstore {

struct FileValue {
  std::string text;
  int line = 0;  // from 1
};

// Errors, each with the name of the file and the line: INVALID_ARGUMENT for a file that cannot be
// read, a line that is none, a name that no program of ours has, a name that comes twice.
absl::StatusOr<std::map<std::string, FileValue>> ReadConfigFile(const std::string& path);

// The same of the file's text; `path` is for messages.
absl::StatusOr<std::map<std::string, FileValue>> ParseConfigFile(const std::string& path,
                                                                 const std::string& text);

}  // namespace kvstore
