#include "client/store/row_ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "client/array/ndarray_impl.h"
#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/rows/ascending.h"

namespace kvstore {
namespace {

// Appends the elements as row numbers, up to the first that is none.
template <typename T>
absl::Status Append(const std::string& label, const T* elements, size_t count, int64_t rows,
                    std::vector<int64_t>* ids) {
  if constexpr (std::is_same_v<T, int64_t>) {
    if (AllBelow(elements, count, rows)) {
      ids->insert(ids->end(), elements, elements + count);
      return absl::OkStatus();
    }
  }
  for (size_t i = 0; i < count; ++i) {
    const T id = elements[i];
    // Compared before it is cast: a float may be larger than any integer, or not a number.
    bool in_range = false;
    bool whole = true;
    if constexpr (std::is_floating_point_v<T>) {
      const auto exact = static_cast<double>(id);
      in_range = exact >= 0 && exact < static_cast<double>(rows);
      whole = std::trunc(exact) == exact;  // an infinity is, a NaN is not
    } else {
      in_range = static_cast<int64_t>(id) >= 0 && static_cast<int64_t>(id) < rows;
    }
    if (!whole) {
      return absl::InvalidArgumentError(
          fmt::format("{}: row ids that are whole numbers expected, got {}", label, id));
    }
    if (!in_range) {
      return absl::OutOfRangeError(
          fmt::format("{}: row ids from 0 to {} expected, got {}", label, rows - 1, id));
    }
    ids->push_back(static_cast<int64_t>(id));
  }
  return absl::OkStatus();
}

absl::Status Append(const std::string& label, const NDArray& given, int64_t rows,
                    std::vector<int64_t>* ids) {
  KVS_ASSIGN_OR_RETURN(const NDArray array, OnHost(given));
  const auto count = static_cast<size_t>(array.size());
  switch (array.dtype()) {
    case DataType::kFloat32:
      return Append(label, array.data_as<float>(), count, rows, ids);
    case DataType::kFloat64:
      return Append(label, array.data_as<double>(), count, rows, ids);
    case DataType::kFloat16:
    case DataType::kBFloat16: {
      std::vector<float> wide(count);
      Widen(ToDType(array.dtype()), wide.data(), array.data(), count);
      return Append(label, wide.data(), count, rows, ids);
    }
    case DataType::kBool: {  // any byte but 0 is true
      std::vector<uint8_t> bits(count);
      Widen(DType::kBool, bits.data(), array.data(), count);
      return Append(label, bits.data(), count, rows, ids);
    }
    case DataType::kUInt8:
      return Append(label, array.data_as<uint8_t>(), count, rows, ids);
    case DataType::kInt8:
      return Append(label, array.data_as<int8_t>(), count, rows, ids);
    case DataType::kInt32:
      return Append(label, array.data_as<int32_t>(), count, rows, ids);
    case DataType::kInt64:
      return Append(label, array.data_as<int64_t>(), count, rows, ids);
  }
  return absl::OkStatus();
}

}  // namespace

int64_t RowsToldApart(DType dtype) {
  switch (dtype) {
    // 2 to the bits of the significand: above it not every whole number is a float.
    case DType::kFloat16:
      return int64_t{1} << 11;
    case DType::kBFloat16:
      return int64_t{1} << 8;
    case DType::kFloat32:
      return int64_t{1} << std::numeric_limits<float>::digits;
    case DType::kFloat64:
      return int64_t{1} << std::numeric_limits<double>::digits;
    // Larger ones wrap around before they are here.
    case DType::kBool:
      return 2;
    case DType::kUInt8:
      return int64_t{1} << 8;
    case DType::kInt8:
      return int64_t{1} << 7;
    case DType::kInt32:
      return int64_t{1} << 31;
    case DType::kInt64:
    case DType::kUnspecified:
      break;
  }
  return std::numeric_limits<int64_t>::max();
}

absl::Status CheckIdDType(const std::string& label, DType dtype, int64_t rows) {
  if (rows <= RowsToldApart(dtype)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: row ids of a dtype that tells {} rows apart expected, such as i64, got {}, "
                  "which tells {}",
                  label, rows, DTypeName(dtype), RowsToldApart(dtype)));
}

absl::StatusOr<std::vector<int64_t>> RowIdsOf(const std::string& label, const NDArray& ids,
                                              int64_t rows) {
  std::vector<int64_t> asked;
  asked.reserve(static_cast<size_t>(ids.size()));
  if (absl::Status read = Append(label, ids, rows, &asked); !read.ok()) return read;
  if (!Ascend(asked.data(), asked.size())) {
    std::sort(asked.begin(), asked.end());
    asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
  }
  return asked;
}

}  // namespace kvstore
