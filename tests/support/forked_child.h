// A forked child of a test: what runs in it says by its exit code what went wrong, since Catch2
// must not be called there.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>
#include <vector>

#include "kvstore/error.h"

namespace kvstore {

// Runs `body` in a child and returns what it returned, which is 0 to 99; 100 if it threw.
inline int InForkedChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    int verdict = 100;
    try {
      verdict = body();
    } catch (...) {
    }
    _exit(verdict);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw std::runtime_error("the child was not there");
  if (!WIFEXITED(status)) throw std::runtime_error("the child was ended by a signal");
  return WEXITSTATUS(status);
}

// The number, from 1, of the first of these calls that is not refused as FAILED_PRECONDITION; 0 if
// all are.
inline int FirstNotRefused(const std::vector<std::function<void()>>& calls) {
  int number = 0;
  for (const std::function<void()>& call : calls) {
    ++number;
    try {
      call();
      return number;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kFailedPrecondition) return number;
    }
  }
  return 0;
}

}  // namespace kvstore
