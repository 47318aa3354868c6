#include "client/store/nan_guard.h"

#include <fmt/format.h>

#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "client/base/sdk_log.h"
#include "common/base/clock.h"
#include "common/kernels/finite.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

constexpr int64_t kWarnEveryMs = 10000;

size_t ElementsOf(const NDArray& array) {
  return array.bytes() / DTypeBytes(ToDType(array.dtype()));
}

double NumberAt(DType dtype, const uint8_t* at) {
  double number = 0;
  if (dtype == DType::kFloat64) {
    std::memcpy(&number, at, sizeof number);
  } else {
    float wide = 0;
    Widen(dtype, &wide, at, 1);
    number = static_cast<double>(wide);
  }
  return number;
}

// "element 12 is nan"; "row 7 element 3 is -inf", where `rows` are the numbers of `count` rows.
std::string PlaceText(DType dtype, const uint8_t* data, size_t element, size_t elements,
                      const int64_t* rows, size_t count) {
  const double number = NumberAt(dtype, data + element * DTypeBytes(dtype));
  if (rows == nullptr) return fmt::format("element {} is {}", element, number);
  const size_t width = elements / count;
  return fmt::format("row {} element {} is {}", rows[element / width], element % width, number);
}

std::string Refusal(const std::string& what) {
  return what + ", nan-policy 'reject' wants finite numbers";
}

// A copy in which everything is finite.
NDArray Zeroed(const NDArray& array) {
  const DType dtype = ToDType(array.dtype());
  NDArray copy;
  if (array.storage_type() == StorageType::kDefault) {
    copy = MakeArray(array.shape(), array.dtype());
  } else {
    copy = MakeRowSparseArray(array.shape(), array.dtype());
    copy.impl()->SetRows(array.indices());
  }
  std::memcpy(copy.data(), array.data(), array.bytes());
  ZeroNotFinite(dtype, copy.data(), ElementsOf(copy));
  return copy;
}

}  // namespace

absl::Status NanGuard::Admit(KeyOperation* operation) {
  if (policy_ == NanPolicy::kAllow || operation->values.empty() ||
      operation->kind == OperationKind::kInit) {
    return absl::OkStatus();
  }
  try {
    uint64_t round = 0;
    {
      MutexLock lock(mutex_);
      round = admitted_[operation->key->id] + 1;
    }
    absl::Status status = Look(operation, round);
    if (!status.ok()) return status;
    MutexLock lock(mutex_);
    admitted_[operation->key->id] = round;
    return status;
  } catch (const std::bad_alloc&) {
    return WordedStatus(absl::StatusCode::kResourceExhausted, [&] {
      return operation->key->label +
             ": memory for a copy without NaN expected, there is too little";
    });
  }
}

absl::Status NanGuard::Look(KeyOperation* operation, uint64_t round) {
  if (!MayBeNotFinite(operation->spec.dtype)) return absl::OkStatus();
  Arrays values = operation->values;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t elements = ElementsOf(values[i]);
    const size_t at = FirstNotFinite(operation->spec.dtype, values[i].data(), elements);
    if (at == elements) continue;
    if (policy_ == NanPolicy::kZero) {
      values[i] = Zeroed(values[i]);
      continue;
    }
    const std::string what =
        fmt::format("{}: worker {} round {}: {}{}", operation->key->label, rank_, round,
                    values.size() > 1 ? fmt::format("value {} ", i) : "",
                    PlaceText(operation->spec.dtype, values[i].data_as<uint8_t>(), at, elements,
                              values[i].indices().empty() ? nullptr : values[i].indices().data(),
                              values[i].indices().size()));
    if (policy_ == NanPolicy::kReject) {
      return absl::InvalidArgumentError(Refusal(what));
    }
    Warn(what);
  }
  operation->values = std::move(values);
  return absl::OkStatus();
}

absl::Status NanGuard::AdmitSum(const KeyOperation& operation, const uint8_t* data,
                                const Rows& rows) {
  if (policy_ != NanPolicy::kReject || operation.values.size() < 2 ||
      operation.kind == OperationKind::kInit || !MayBeNotFinite(operation.spec.dtype)) {
    return absl::OkStatus();
  }
  const ValueSpec& spec = operation.spec;
  const uint8_t* const sum = spec.row_sparse ? rows.data : data;
  size_t elements = spec.bytes / DTypeBytes(spec.dtype);
  if (spec.row_sparse) elements = elements / static_cast<size_t>(spec.shape[0]) * rows.count;
  const size_t at = FirstNotFinite(spec.dtype, sum, elements);
  if (at == elements) return absl::OkStatus();
  MutexLock lock(mutex_);
  const uint64_t round = admitted_[operation.key->id]--;
  return WordedStatus(absl::StatusCode::kInvalidArgument, [&] {
    return Refusal(fmt::format("{}: worker {} round {}: the sum of {} values: {}",
                               operation.key->label, rank_, round, operation.values.size(),
                               PlaceText(spec.dtype, sum, at, elements,
                                         spec.row_sparse ? rows.ids : nullptr, rows.count)));
  });
}

void NanGuard::Warn(const std::string& line) {
  std::string told;
  {
    MutexLock lock(mutex_);
    const int64_t now_ms = SteadyNowMs();
    if (now_ms < quiet_until_ms_) {
      ++untold_;
      return;
    }
    quiet_until_ms_ = now_ms + kWarnEveryMs;
    told = untold_ == 0 ? line : fmt::format("{} (and {} pushes before it)", line, untold_);
    untold_ = 0;
  }
  LogWarning(told);
}

}  // namespace kvstore
