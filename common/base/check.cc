#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace kvstore {

void CheckFailed(const char* expression, const char* file, int line, std::string_view message) {
  std::fprintf(stderr, "%s:%d: check failed: %s%s%.*s\n", file, line, expression,
               message.empty() ? "" : ": ", static_cast<int>(message.size()), message.data());
  std::abort();
}

}  // namespace kvstore
