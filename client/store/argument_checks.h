// What can be seen of a call's arrays when it is made: the facade refuses here what does not fit,
// before anything is queued. Each message names the key, what was expected and what came.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/store/store_backend.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// "Push".
const char* NameOf(OperationKind kind);

// What std::bad_alloc becomes: RESOURCE_EXHAUSTED. `what`: "3 row ids".
absl::Status TooLittleMemory(const std::string& label, const std::string& what);
// The status with `label`, a key's, before its message. Takes no memory that it cannot do without.
absl::Status Named(const std::string& label, const absl::Status& status) noexcept;

// `what`: "values", "outputs".
absl::Status CheckLengths(OperationKind kind, size_t keys, size_t arrays, const char* what);

// What Init learns from an array that is not empty.
ValueSpec SpecFrom(const NDArray& array);

// Compares dtype and shape of `array` with what is known of the key `label`. Where nothing is known
// (an Init) `spec` is filled in from `array`.
absl::Status CheckArray(const std::string& label, const NDArray& array, ValueSpec* spec);

// Whether `output` may be written, and has the shape of the key `label` and a dtype that its values
// convert to (kernels/convert.h). The last two only if the key is known.
absl::Status CheckOutput(const std::string& label, const NDArray* output, const ValueSpec& spec);

// The value of an Init. `spec`, unknown before, is filled in from `array`; an empty one, which is
// taken only where `may_be_empty`, leaves it unknown.
absl::Status CheckInit(const std::string& label, const NDArray& array, bool may_be_empty,
                       ValueSpec* spec);

// The value of an Init by rule. `spec` and `rule` are filled in.
absl::Status CheckInitByRule(const std::string& label, const ValueByRule& value, ValueSpec* spec,
                             std::shared_ptr<const InitRuleConfig>* rule);

// The key, an output and its ids of PullRowSparse.
absl::Status CheckRowsOutput(const std::string& label, const NDArray* output, const NDArray& ids,
                             const ValueSpec& spec);

// Reads the ids in `asked->array`, which nobody writes now, into `asked->ids`. Does nothing if that
// was done before. Errors: those of RowIdsOf (row_ids.h); RESOURCE_EXHAUSTED.
absl::Status ReadRowIds(const Key& key, const ValueSpec& spec, RowIds* asked);

}  // namespace kvstore
