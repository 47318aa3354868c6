// libFuzzer target: any bytes as a frame, and its contents through the request validator.
//
// What must hold: nothing crashes; a refusal has one of the codes that request_check.h promises and
// a message of printable ASCII; what passes keeps the promises that the server's core builds on.
#include <cstdint>
#include <string>

#include "common/base/check.h"
#include "common/cluster/partitioner.h"
#include "common/model/command.h"
#include "common/model/profiler_order.h"
#include "common/rows/row_cut.h"
#include "common/wire/frame.h"
#include "common/wire/norm_note.h"
#include "common/wire/state_page.h"
#include "server/service/request_check.h"

namespace kvstore {
namespace {

void CheckRefusal(const absl::Status& status) {
  KVS_CHECK(status.code() == absl::StatusCode::kInvalidArgument ||
            status.code() == absl::StatusCode::kFailedPrecondition ||
            status.code() == absl::StatusCode::kUnimplemented);
  KVS_CHECK(!status.message().empty());
  for (const char c : status.message()) KVS_CHECK(c >= 0x20 && c < 0x7f);
}

// The ids are there, and no entry is larger than one may be.
void CheckRowsPassed(const RequestEntry& entry) {
  KVS_CHECK(entry.piece.rows <= kRowsPerEntryMax && entry.piece.data.size() <= kPartBytesMax);
  KVS_CHECK(entry.piece.data.size() >= entry.piece.rows * sizeof(int64_t));
}

void CheckFragmentPassed(const RequestEntry& entry) {
  KVS_CHECK(entry.piece.fragments <= kFragmentsMax);
  KVS_CHECK(entry.piece.fragment < entry.piece.fragments);
}

void CheckPassed(const RequestFrame& request, const RequestEntry& entry) {
  KVS_CHECK(entry.request > 0 && entry.round <= kRoundMax);
  switch (entry.op) {
    case Op::kPush:
      KVS_CHECK(entry.round > 0);
      CheckFragmentPassed(entry);
      CheckRowsPassed(entry);
      return;
    case Op::kPull:
      CheckRowsPassed(entry);
      KVS_CHECK(entry.piece.data.size() == entry.piece.rows * sizeof(int64_t));
      return;
    case Op::kInit: {
      const KeySpec* spec = FindKeySpec(request, entry);
      KVS_CHECK(spec != nullptr && spec->key == entry.key && spec->name.size() <= 256);
      if (spec->shape_unknown) {
        KVS_CHECK(entry.piece.data.empty() && !entry.piece.create);
        return;
      }
      CheckFragmentPassed(entry);
      CheckRowsPassed(entry);
      const absl::StatusOr<int64_t> elements = spec->storage == Storage::kRowSparse
                                                   ? RowSparseElementCount(spec->shape)
                                                   : ElementCount(spec->shape);
      KVS_CHECK(CheckInitRule(spec->rule, spec->dtype, spec->storage == Storage::kRowSparse).ok());
      KVS_CHECK(elements.ok() && DTypeBytes(spec->dtype) > 0);
      if (spec->storage == Storage::kRowSparse) {
        KVS_CHECK(!spec->shape.empty());
        KVS_CHECK(entry.part < RowShapeOf(spec->shape, spec->dtype).stripes);
        return;
      }
      const uint64_t bytes = static_cast<uint64_t>(*elements) * DTypeBytes(spec->dtype);
      KVS_CHECK(entry.part < PartCount(bytes));
      KVS_CHECK(entry.piece.data.empty() ||
                entry.piece.data.size() == PartBytes(bytes, entry.part));
      return;
    }
    case Op::kCommand:
      KVS_CHECK(request.command.has_value() && request.command->id >= 0);
      KVS_CHECK(request.command->body.size() <= kCommandBodyBytesMax && entry.piece.data.empty());
      return;
    case Op::kProfile:
      KVS_CHECK(request.command.has_value() && entry.piece.data.empty());
      KVS_CHECK(CheckProfilerOrder(request.command->id, request.command->body).ok());
      return;
    case Op::kNorms:
      KVS_CHECK(entry.round > 0 && DecodeNormNote(entry.piece.data).ok());
      return;
    case Op::kSetNumbers:
      KVS_CHECK(entry.step > 0);
      [[fallthrough]];
    case Op::kSetOptimizer:
    case Op::kCheckOptimizer:
      KVS_CHECK(request.optimizer.has_value());
      [[fallthrough]];
    case Op::kProbe:
    case Op::kLeave:
    case Op::kDelete:
    case Op::kReset:
      KVS_CHECK(entry.piece.data.empty());
      return;
    case Op::kTakeBack:
      KVS_CHECK(entry.piece.data.empty() && entry.takes_back > 0);
      return;
    case Op::kReadState:
      KVS_CHECK(DecodeStateCursor(entry.piece.data).ok());
      return;
    case Op::kWriteState:
      KVS_CHECK(entry.piece.data.size() <= kStateBytesMax);
      KVS_CHECK(DecodeStatePage(entry.piece.data).ok());
      return;
    case Op::kUnspecified:
      break;
  }
  CheckFailed("a known op", __FILE__, __LINE__, OpName(entry.op));
}

}  // namespace
}  // namespace kvstore

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto request = kvstore::DecodeFrame<kvstore::RequestFrame>(kvstore::Payload::CopyOf(bytes));
  if (!request.ok()) return 0;
  if (const absl::Status status = kvstore::CheckRequest(*request); !status.ok()) {
    kvstore::CheckRefusal(status);
  }
  for (const kvstore::RequestEntry& entry : request->entries) {
    const absl::Status status = kvstore::CheckEntry(*request, entry);
    if (status.ok()) {
      kvstore::CheckPassed(*request, entry);
    } else {
      kvstore::CheckRefusal(status);
    }
  }
  return 0;
}
