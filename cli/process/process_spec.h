// ProcessSpec: what a process is started with.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kvstore {

struct ProcessSpec {
  std::string name;                  // "worker 0"
  std::vector<std::string> command;  // program (found in PATH) and arguments
  // Changes to our own environment: a value, or nothing to take the variable out.
  std::map<std::string, std::optional<std::string>> environment;
  // Whether it reads lines that we write; else it reads from /dev/null.
  bool has_input = false;
  // Numbers of the CPUs that it may run on; empty: those that we may.
  std::vector<int> cpus;
};

}  // namespace kvstore
