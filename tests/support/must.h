// Checks for threads other than the test's, where Catch2 must not be called: they throw
// std::runtime_error that says where and what. Whoever runs the thread catches it and hands the
// text to the test (DistCluster::Run does).
//
//   MUST(out.indices().empty());
//   MUST_EQUAL(Read(out), Floats{1, 2});
//   MUST_THROW(store.Wait(Ints{9}), kNotFound, "key 9");
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <string>
#include <type_traits>

#include "kvstore/error.h"

namespace kvstore {

// A value as a short line.
template <typename T>
std::string Shown(const T& value) {
  constexpr size_t kLongest = 200;
  std::string text;
  if constexpr (fmt::is_formattable<T>::value) {
    text = fmt::format("{}", value);
  } else {
    text = "another value";
  }
  if (text.size() > kLongest) text = text.substr(0, kLongest) + " …";
  return text;
}

[[noreturn]] inline void FailIn(const char* file, int line, const std::string& what) {
  const std::string path = file;
  throw std::runtime_error(path.substr(path.rfind('/') + 1) + ":" + std::to_string(line) + ": " +
                           what);
}

}  // namespace kvstore

#define MUST(...)                                                                             \
  do {                                                                                        \
    if (!static_cast<bool>(__VA_ARGS__)) ::kvstore::FailIn(__FILE__, __LINE__, #__VA_ARGS__); \
  } while (false)

// The expected value comes last and may hold commas.
#define MUST_EQUAL(got, ...)                                                             \
  do {                                                                                   \
    const auto& kvs_got = (got);                                                         \
    const std::decay_t<decltype(kvs_got)> kvs_expected = __VA_ARGS__;                    \
    if (!(kvs_got == kvs_expected)) {                                                    \
      ::kvstore::FailIn(__FILE__, __LINE__,                                              \
                        #got ": " + ::kvstore::Shown(kvs_expected) + " expected, got " + \
                            ::kvstore::Shown(kvs_got));                                  \
    }                                                                                    \
  } while (false)

// The expression throws kvstore::Error with this code and a message that contains the text.
#define MUST_THROW(expression, expected_code, text)                                       \
  do {                                                                                    \
    std::string kvs_what = "nothing was thrown";                                          \
    bool kvs_right = false;                                                               \
    try {                                                                                 \
      static_cast<void>(expression);                                                      \
    } catch (const ::kvstore::Error& kvs_error) {                                         \
      kvs_what = kvs_error.what();                                                        \
      kvs_right = kvs_error.code() == ::kvstore::ErrorCode::expected_code &&              \
                  kvs_what.find(text) != std::string::npos;                               \
    }                                                                                     \
    if (!kvs_right) {                                                                     \
      ::kvstore::FailIn(__FILE__, __LINE__,                                               \
                        std::string(#expression ": " #expected_code " with '") + (text) + \
                            "' expected, got: " + kvs_what);                              \
    }                                                                                     \
  } while (false)
