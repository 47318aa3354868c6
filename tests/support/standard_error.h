// What the SDK logs, seen where a user sees it: on standard error.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>

namespace kvstore {

// What `body`, which may throw, writes to standard error.
inline std::string StandardErrorOf(const std::function<void()>& body) {
  std::FILE* const file = std::tmpfile();
  if (file == nullptr) throw std::runtime_error("no temporary file");
  const int before = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  try {
    body();
  } catch (const std::exception&) {
  }
  std::fflush(stderr);
  dup2(before, STDERR_FILENO);
  close(before);
  std::string text(1 << 16, '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

// How often `part`, which is not empty, comes in `text`.
inline size_t CountOf(const std::string& part, const std::string& text) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace kvstore
