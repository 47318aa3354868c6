#include "cli/process/process_end.h"

#include <fmt/format.h>
#include <string.h>

namespace kvstore {

std::string ProcessEnd::ToString() const {
  if (!by_signal) return fmt::format("exit code {}", number);
  const char* name = sigabbrev_np(number);
  return name != nullptr ? fmt::format("killed by SIG{}", name)
                         : fmt::format("killed by signal {}", number);
}

}  // namespace kvstore
