// CHECK_ERROR(expression, kNotFound, "key 3"): the expression throws kvstore::Error with this code
// and a message that contains the text. MUST_THROW is the same for threads other than the test's,
// where Catch2 must not be called: it throws std::runtime_error when it is not so.
#pragma once

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>

#include "kvstore/error.h"

#define CHECK_ERROR(expression, expected_code, text)                                     \
  do {                                                                                   \
    bool kvs_thrown = false;                                                             \
    try {                                                                                \
      static_cast<void>(expression);                                                     \
    } catch (const ::kvstore::Error& kvs_error) {                                        \
      kvs_thrown = true;                                                                 \
      CHECK(::kvstore::ErrorCodeName(kvs_error.code()) ==                                \
            std::string(::kvstore::ErrorCodeName(::kvstore::ErrorCode::expected_code))); \
      CHECK_THAT(kvs_error.what(), Catch::Contains(text));                               \
    }                                                                                    \
    INFO(#expression " was expected to throw");                                          \
    CHECK(kvs_thrown);                                                                   \
  } while (false)

#define MUST_THROW(expression, expected_code, text)                                            \
  do {                                                                                         \
    std::string kvs_what = "nothing was thrown";                                               \
    bool kvs_right = false;                                                                    \
    try {                                                                                      \
      static_cast<void>(expression);                                                           \
    } catch (const ::kvstore::Error& kvs_error) {                                              \
      kvs_what = kvs_error.what();                                                             \
      kvs_right = kvs_error.code() == ::kvstore::ErrorCode::expected_code &&                   \
                  kvs_what.find(text) != std::string::npos;                                    \
    }                                                                                          \
    if (!kvs_right) {                                                                          \
      throw std::runtime_error(std::string(#expression ": " #expected_code " with '") + text + \
                               "' expected, got: " + kvs_what);                                \
    }                                                                                          \
  } while (false)
