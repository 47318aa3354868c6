#include "common/rows/row_sum.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"
#include "common/kernels/kernels.h"

namespace kvstore {

RowSum::RowSum(DType dtype, size_t row_elements)
    : dtype_(dtype),
      row_elements_(row_elements),
      row_bytes_(row_elements * DTypeBytes(dtype)),
      row_sum_bytes_(row_elements * DTypeBytes(AccumulatorOf(dtype))) {
  KVS_CHECK(row_bytes_ > 0);
}

void RowSum::Fold(const int64_t* rows, size_t count, const Payload& data) {
  KVS_CHECK(data.size() / row_bytes_ == count && data.size() % row_bytes_ == 0);
  if (rows_.empty()) {  // most rows of the first contribution are new, few of the later ones
    places_.reserve(count);
    rows_.reserve(count);
    sums_.reserve(count * row_sum_bytes_);
  }
  std::vector<uint8_t> straddling;  // a row whose bytes lie in several slices, as far as it came
  const int64_t* row = rows;
  for (const Slice& slice : data.slices()) {
    const uint8_t* in = slice.data;
    const uint8_t* const end = in + slice.size;
    if (!straddling.empty()) {
      const size_t take = std::min(row_bytes_ - straddling.size(), slice.size);
      straddling.insert(straddling.end(), in, in + take);
      in += take;
      if (straddling.size() < row_bytes_) continue;
      FoldRow(*row++, straddling.data());
      straddling.clear();
    }
    for (; static_cast<size_t>(end - in) >= row_bytes_; in += row_bytes_) FoldRow(*row++, in);
    straddling.assign(in, end);
  }
}

void RowSum::FoldRow(int64_t row, const uint8_t* data) {
  const auto [place, is_new] = places_.try_emplace(row, rows_.size());
  if (is_new) {
    rows_.push_back(row);
    sums_.resize(sums_.size() + row_sum_bytes_);
    Widen(dtype_, &sums_[place->second * row_sum_bytes_], data, row_elements_);
  } else {
    Accumulate(dtype_, sums_.data() + place->second * row_sum_bytes_, data, row_elements_);
  }
}

uint64_t RowSum::bytes() const {
  return sums_.capacity() + rows_.capacity() * sizeof(int64_t) +
         places_.capacity() * (sizeof(std::pair<int64_t, size_t>) + 1);
}

}  // namespace kvstore
