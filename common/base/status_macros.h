// Propagating absl::Status without noise. Debian's Abseil has no status macros of its own.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function with the status of `expr` unless it is OK.
#define KVS_RETURN_IF_ERROR(expr)                                                 \
  do {                                                                            \
    if (absl::Status kvs_status_ = (expr); !kvs_status_.ok()) return kvs_status_; \
  } while (false)

#define KVS_CONCAT_INNER_(a, b) a##b
#define KVS_CONCAT_(a, b) KVS_CONCAT_INNER_(a, b)

// Evaluates `expr` (a StatusOr<T>); returns its status, or moves its value into `lhs`.
#define KVS_ASSIGN_OR_RETURN(lhs, expr) \
  KVS_ASSIGN_OR_RETURN_IMPL_(KVS_CONCAT_(kvs_statusor_, __LINE__), lhs, expr)
#define KVS_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr) \
  auto statusor = (expr);                               \
  if (!statusor.ok()) return statusor.status();         \
  lhs = std::move(statusor).value()
