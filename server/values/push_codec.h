// How what a request brings to a key that may be compressed must be encoded, dense or row_sparse.
#pragma once

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "common/codec/codec.h"
#include "common/model/op.h"
#include "common/wire/piece.h"

namespace kvstore {

// Whether `piece` is encoded as the request's should be: a push by the key's codec (null: plain),
// all else plain. `label`: of the part. Errors: FAILED_PRECONDITION.
absl::Status CheckCodec(absl::FunctionRef<std::string()> label, Op op, const Codec* codec,
                        const Piece& piece);

// Whether `encoded` stands for that many values. Errors: INVALID_ARGUMENT.
absl::Status CheckEncoded(const std::string& label, const Codec& codec, DType dtype,
                          size_t elements, const Payload& encoded);

}  // namespace kvstore
