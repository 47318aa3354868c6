// KVS_CHECK is for our own bugs only: it ends the process. What traffic, files or users can cause
// is answered with a status.
#pragma once

#include <string_view>

namespace kvstore {

// Prints `expression`, `file`:`line` and aborts.
[[noreturn]] void CheckFailed(const char* expression, const char* file, int line,
                              std::string_view message = {});

}  // namespace kvstore

#define KVS_CHECK(condition)                                                  \
  do {                                                                        \
    if (!(condition)) ::kvstore::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)

#ifdef NDEBUG
#define KVS_DCHECK(condition) \
  do {                        \
    if (false) {              \
      (void)(condition);      \
    }                         \
  } while (false)
#else
#define KVS_DCHECK(condition) KVS_CHECK(condition)
#endif
