// CHECK_ERROR(expression, kNotFound, "key 3"): the expression throws kvstore::Error with this code
// and a message that contains the text. On other threads than the test's: MUST_THROW (must.h).
#pragma once

#include <catch2/catch.hpp>
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
