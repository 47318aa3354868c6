#include "client/store/output_dtype.h"

#include <utility>

#include "common/kernels/convert.h"
#include "common/tensor/buffer.h"
#include "common/wire/byte_counts.h"

namespace kvstore {

Payload Converted(Payload values, DType from, DType to) {
  if (from == to || values.empty()) return values;
  if (values.slices().size() > 1) values = values.Copy();  // slices cut elements at any byte
  const size_t elements = values.size() / DTypeBytes(from);
  auto converted = std::make_shared<Buffer>(elements * DTypeBytes(to));
  Convert(from, values.slices()[0].data, to, converted->data(), elements);
  CountCopiedBytes(converted->size());
  return Payload(std::move(converted));
}

}  // namespace kvstore
