// The SDK's log: warnings to standard error, named "kvstore", apart from whatever logging the
// program itself does.
#pragma once

#include <string>

namespace kvstore {

void LogWarning(const std::string& line);
// Once per process for the same line.
void LogWarningOnce(const std::string& line);

}  // namespace kvstore
