// ProcessEnd: how a process ended.
#pragma once

#include <string>

namespace kvstore {

struct ProcessEnd {
  bool by_signal = false;
  int number = 0;  // exit code, or signal

  bool ok() const { return !by_signal && number == 0; }
  // The exit code as shells have it: 128 + signal after a signal.
  int ExitCode() const { return by_signal ? 128 + number : number; }
  // "exit code 3", "killed by SIGSEGV".
  std::string ToString() const;
};

}  // namespace kvstore
