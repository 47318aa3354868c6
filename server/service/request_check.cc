#include "server/service/request_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status_macros.h"
#include "common/cluster/partitioner.h"
#include "common/codec/codec.h"
#include "common/model/command.h"
#include "common/model/profiler_order.h"
#include "common/rows/row_cut.h"
#include "common/wire/norm_note.h"
#include "common/wire/state_page.h"

namespace kvstore {
namespace {

// "PUSH of key 17": how messages begin.
std::string EntryLabel(const RequestFrame& request, const RequestEntry& entry) {
  const KeySpec* spec = FindKeySpec(request, entry);
  return fmt::format("{} of {}", OpName(entry.op), KeyLabel(entry.key, spec ? spec->name : ""));
}

absl::Status Refused(const RequestFrame& request, const RequestEntry& entry,
                     const std::string& problem) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", EntryLabel(request, entry), problem));
}

absl::Status CheckNoBytes(const RequestFrame& request, const RequestEntry& entry) {
  if (entry.piece.data.empty()) return absl::OkStatus();
  return Refused(request, entry, fmt::format("no bytes expected, got {}", entry.piece.data.size()));
}

// Checks that the ids of the rows are there. Whether the bytes behind them are those of the rows,
// and whether the value has the rows, only its description tells.
absl::Status CheckRows(const RequestFrame& request, const RequestEntry& entry) {
  if (entry.piece.rows > kRowsPerEntryMax) {
    return Refused(
        request, entry,
        fmt::format("at most {} rows expected, got {}", kRowsPerEntryMax, entry.piece.rows));
  }
  const size_t bytes_max = entry.op == Op::kWriteState ? kStateBytesMax : kPartBytesMax;
  if (entry.piece.data.size() > bytes_max) {
    return Refused(
        request, entry,
        fmt::format("at most {} bytes expected, got {}", bytes_max, entry.piece.data.size()));
  }
  if (entry.piece.rows_from != 0 && entry.piece.rows == 0) {
    return Refused(request, entry,
                   fmt::format("rows expected from {} on, got none", entry.piece.rows_from - 1));
  }
  const size_t ids_bytes = entry.piece.ids_bytes();
  const bool ids_alone = InfoOf(entry.op).bytes == OpBytes::kIds;
  if (ids_alone ? entry.piece.data.size() != ids_bytes : entry.piece.data.size() < ids_bytes) {
    return Refused(request, entry,
                   fmt::format("{} bytes {}expected for {} rows, got {}", ids_bytes,
                               ids_alone ? "of ids " : "of ids at least ", entry.piece.rows,
                               entry.piece.data.size()));
  }
  return absl::OkStatus();
}

absl::Status CheckFragment(const RequestFrame& request, const RequestEntry& entry) {
  const Piece& piece = entry.piece;
  const uint32_t fragments_max = InfoOf(entry.op).in_fragments ? kFragmentsMax : 1;
  if (piece.fragments > fragments_max) {
    return Refused(request, entry,
                   fmt::format("at most {} fragment{} expected, got {}", fragments_max,
                               fragments_max == 1 ? "" : "s", piece.fragments));
  }
  if (piece.fragment < piece.fragments) return absl::OkStatus();
  return Refused(
      request, entry,
      fmt::format("a fragment below {} expected, got {}", piece.fragments, piece.fragment));
}

// What the table of ops (common/model/op.h) says about the entry.
absl::Status CheckByTable(const RequestFrame& request, const RequestEntry& entry) {
  const OpInfo& op = InfoOf(entry.op);
  const bool names_push = op.round == OpRound::kContributes || op.round == OpRound::kOfPush;
  if (names_push && entry.round == 0) {
    return Refused(request, entry, "a round of at least 1 expected, got 0");
  }
  if (op.extra == OpExtra::kOptimizer && !request.optimizer) {
    return absl::InvalidArgumentError(
        fmt::format("{}: an optimizer in the frame expected, got none", op.name));
  }
  if (op.extra == OpExtra::kCommand && !request.command) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a command in the frame expected, got none", op.name));
  }
  if (op.extra == OpExtra::kKey && FindKeySpec(request, entry) == nullptr) {
    return Refused(request, entry,
                   fmt::format("its KeySpec expected among the {} in the frame, got none",
                               request.keys.size()));
  }
  KVS_RETURN_IF_ERROR(CheckFragment(request, entry));
  return op.bytes == OpBytes::kNone ? CheckNoBytes(request, entry) : CheckRows(request, entry);
}

// "INIT, PULL or PROBE".
std::string OneOf(const std::vector<std::string_view>& names) {
  std::string text(names[0]);
  for (size_t i = 1; i < names.size(); ++i) {
    text += i + 1 < names.size() ? ", " : " or ";
    text += names[i];
  }
  return text;
}

// "INIT, PUSH, PULL, TAKE_BACK, DELETE or RESET".
std::string ProbedOps() {
  std::vector<std::string_view> names;
  for (const OpInfo& op : kOps) {
    if (op.may_be_probed) names.push_back(op.name);
  }
  return OneOf(names);
}

absl::Status CheckProbe(const RequestFrame& request, const RequestEntry& entry) {
  const OpInfo* probed = FindOp(entry.probed_op);
  if (probed == nullptr || !probed->may_be_probed) {
    return Refused(request, entry,
                   fmt::format("probed_op {} expected, got {} ({})", ProbedOps(),
                               OpName(entry.probed_op), static_cast<uint32_t>(entry.probed_op)));
  }
  if (probed->round == OpRound::kContributes && entry.round == 0) {
    return Refused(request, entry, "a round of at least 1 expected, got 0");
  }
  return absl::OkStatus();
}

absl::Status CheckTakeBack(const RequestFrame& request, const RequestEntry& entry) {
  if (entry.takes_back > 0) return absl::OkStatus();
  return Refused(request, entry, "takes_back of at least 1 expected, got 0");
}

absl::Status CheckSetNumbers(const RequestEntry& entry) {
  if (entry.step > 0) return absl::OkStatus();
  return absl::InvalidArgumentError("SET_NUMBERS: a step of at least 1 expected, got 0");
}

absl::Status CheckNorms(const RequestFrame& request, const RequestEntry& entry) {
  const absl::Status note = DecodeNormNote(entry.piece.data).status();
  return note.ok() ? note : Refused(request, entry, std::string(note.message()));
}

// "INIT, PULL or PROBE".
std::string ReadOps() {
  std::vector<std::string_view> names;
  for (const OpInfo& op : kOps) {
    if (op.reads) names.push_back(op.name);
  }
  return OneOf(names);
}

// A reader brings nothing, and has no round of its own: in a pull it is one that it waits for.
absl::Status CheckReader(const RequestFrame& request, const RequestEntry& entry) {
  const auto refused = [&](const std::string& problem) {
    return absl::FailedPreconditionError(fmt::format("{}: {}",
                                                     InfoOf(entry.op).scope == OpScope::kPart
                                                         ? EntryLabel(request, entry)
                                                         : std::string(OpName(entry.op)),
                                                     problem));
  };
  const OpInfo* probed = entry.op == Op::kProbe ? FindOp(entry.probed_op) : nullptr;
  const OpInfo& op = probed != nullptr ? *probed : InfoOf(entry.op);
  if (!op.reads) return refused(fmt::format("{} expected of a reader, got {}", ReadOps(), op.name));
  const bool brings = entry.op == Op::kInit && (entry.piece.create || !entry.piece.data.empty());
  if (!brings) return absl::OkStatus();
  return refused("a question about the key expected of a reader, got a value");
}

absl::Status CheckState(const RequestFrame& request, const RequestEntry& entry) {
  const Payload& bytes = entry.piece.data;
  const absl::Status note = entry.op == Op::kReadState ? DecodeStateCursor(bytes).status()
                                                       : DecodeStatePage(bytes).status();
  return note.ok() ? note : Refused(request, entry, std::string(note.message()));
}

// An int key has no name: any number is one.
absl::Status CheckName(const RequestFrame& request, const RequestEntry& entry,
                       const KeySpec& spec) {
  if (spec.name.empty()) return absl::OkStatus();
  if (const absl::Status name = CheckKeyName(spec.name); !name.ok()) {
    return Refused(request, entry, std::string(name.message()));
  }
  if (KeyIdOf(std::string_view(spec.name)) != spec.key) {
    return Refused(request, entry,
                   fmt::format("key {:#018x} (the name's hash) expected, got {:#018x}",
                               KeyIdOf(std::string_view(spec.name)), spec.key));
  }
  return absl::OkStatus();
}

absl::Status CheckStorage(const RequestFrame& request, const RequestEntry& entry,
                          const KeySpec& spec) {
  switch (spec.storage) {
    case Storage::kUnspecified:
    case Storage::kDense:
    case Storage::kRowSparse:
      return absl::OkStatus();
  }
  return Refused(request, entry,
                 fmt::format("storage 1 (dense) or 2 (row_sparse) expected, got {}",
                             static_cast<uint32_t>(spec.storage)));
}

// Checks the shape of a value that is cut into stripes.
absl::Status CheckRowSparse(const RequestFrame& request, const RequestEntry& entry,
                            const KeySpec& spec) {
  if (spec.shape.empty()) {
    return Refused(request, entry, "a row_sparse shape of at least 1 dimension expected, got []");
  }
  if (std::find(spec.shape.begin() + 1, spec.shape.end(), 0) != spec.shape.end()) {
    return Refused(request, entry,
                   fmt::format("row_sparse rows of at least 1 element expected, got shape {}",
                               ShapeString(spec.shape)));
  }
  const RowShape cut = RowShapeOf(spec.shape, spec.dtype);
  if (cut.row_bytes > kRowBytesMax) {
    return Refused(
        request, entry,
        fmt::format("rows of at most {} bytes expected, got {} of shape {}: {} bytes", kRowBytesMax,
                    DTypeName(spec.dtype), ShapeString(spec.shape), cut.row_bytes));
  }
  if (entry.part >= cut.stripes) {
    return Refused(request, entry,
                   fmt::format("a stripe below {} expected for {} of shape {}, got {}", cut.stripes,
                               DTypeName(spec.dtype), ShapeString(spec.shape), entry.part));
  }
  return absl::OkStatus();
}

absl::Status CheckValue(const RequestFrame& request, const RequestEntry& entry,
                        const KeySpec& spec) {
  const size_t element_bytes = DTypeBytes(spec.dtype);
  if (element_bytes == 0) {
    return Refused(request, entry,
                   fmt::format("a dtype from 1 (f32) to 9 (bool) expected, got {}",
                               static_cast<uint32_t>(spec.dtype)));
  }
  const bool row_sparse = spec.storage == Storage::kRowSparse;
  const absl::Status rule = CheckInitRule(spec.rule, spec.dtype, row_sparse);
  if (!rule.ok()) return Refused(request, entry, std::string(rule.message()));
  const absl::StatusOr<int64_t> elements =
      row_sparse ? RowSparseElementCount(spec.shape) : ElementCount(spec.shape);
  if (!elements.ok()) return Refused(request, entry, std::string(elements.status().message()));
  // At most 2^60 elements of 8 bytes: no overflow.
  if (row_sparse) return CheckRowSparse(request, entry, spec);
  const uint64_t value_bytes = static_cast<uint64_t>(*elements) * element_bytes;
  const PartIndex parts = PartCount(value_bytes);
  if (entry.part >= parts) {
    return Refused(request, entry,
                   fmt::format("a part below {} expected for {} of shape {}, got {}", parts,
                               DTypeName(spec.dtype), ShapeString(spec.shape), entry.part));
  }
  const size_t part_bytes = PartBytes(value_bytes, entry.part);
  if (!entry.piece.data.empty() && entry.piece.data.size() != part_bytes) {
    return Refused(request, entry,
                   fmt::format("{} bytes expected for part {} of {} of shape {}, got {}",
                               part_bytes, entry.part, DTypeName(spec.dtype),
                               ShapeString(spec.shape), entry.piece.data.size()));
  }
  return absl::OkStatus();
}

absl::Status CheckCompression(const RequestFrame& request, const RequestEntry& entry,
                              const KeySpec& spec) {
  if (spec.compression == CompressionConfig()) return absl::OkStatus();
  const absl::Status known = MakeCodec(spec.compression).status();
  return known.ok() ? known : Refused(request, entry, std::string(known.message()));
}

absl::Status CheckInit(const RequestFrame& request, const RequestEntry& entry) {
  const KeySpec& spec = *FindKeySpec(request, entry);
  KVS_RETURN_IF_ERROR(CheckName(request, entry, spec));
  KVS_RETURN_IF_ERROR(CheckStorage(request, entry, spec));
  KVS_RETURN_IF_ERROR(CheckCompression(request, entry, spec));
  if (!spec.shape_unknown) return CheckValue(request, entry, spec);
  if (entry.piece.create) {
    return Refused(request, entry, "a shape expected of whoever creates, got none");
  }
  return CheckNoBytes(request, entry);
}

// Refuses two descriptions of one key in a frame: one of them could be checked and the other used.
absl::Status CheckKeysDiffer(const RequestFrame& request) {
  if (request.keys.size() < 2) return absl::OkStatus();
  std::vector<KeyId> keys;
  keys.reserve(request.keys.size());
  for (const KeySpec& spec : request.keys) keys.push_back(spec.key);
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice == keys.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: one KeySpec in the frame expected, got several", KeyLabel(*twice, "")));
}

}  // namespace

absl::Status CheckRequest(const RequestFrame& request, std::optional<WorkerRank> only_rank) {
  const WorkerRank rank = request.header.rank;
  if (only_rank && rank != *only_rank && rank != kReaderRank) {
    return absl::PermissionDeniedError(fmt::format(
        "frames of worker {} expected, whose certificate the sender has, got one of worker {}",
        *only_rank, rank));
  }
  const uint32_t protocol = request.header.protocol;
  if (protocol < kProtocolVersionMin || protocol > kProtocolVersionMax) {
    return absl::FailedPreconditionError(fmt::format(
        "protocol {} to {} expected, got {}", kProtocolVersionMin, kProtocolVersionMax, protocol));
  }
  if (request.entries.empty()) {
    return absl::InvalidArgumentError("a frame with at least 1 entry expected, got none");
  }
  if (request.entries.size() > kEntriesPerFrameMax || request.keys.size() > kEntriesPerFrameMax) {
    return absl::InvalidArgumentError(
        fmt::format("a frame with at most {} entries and keys expected, got {} and {}",
                    kEntriesPerFrameMax, request.entries.size(), request.keys.size()));
  }
  return CheckKeysDiffer(request);
}

absl::Status CheckEntry(const RequestFrame& request, const RequestEntry& entry) {
  if (entry.round > kRoundMax) {
    return Refused(request, entry, fmt::format("a round below 2^63 expected, got {}", entry.round));
  }
  if (entry.request == 0) {
    return Refused(request, entry, "a request number of at least 1 expected, got 0");
  }
  if (FindOp(entry.op) == nullptr) {
    return Refused(request, entry,
                   fmt::format("op 1 ({}) to {} ({}) expected, got {}", kOps.front().name,
                               kOps.size(), kOps.back().name, static_cast<uint32_t>(entry.op)));
  }
  KVS_RETURN_IF_ERROR(CheckByTable(request, entry));
  if (request.header.rank == kReaderRank) KVS_RETURN_IF_ERROR(CheckReader(request, entry));
  switch (entry.op) {
    case Op::kInit:
      return CheckInit(request, entry);
    case Op::kProbe:
      return CheckProbe(request, entry);
    case Op::kTakeBack:
      return CheckTakeBack(request, entry);
    case Op::kCommand:
      return CheckCommand(request.command->id, request.command->body.size());
    case Op::kNorms:
      return CheckNorms(request, entry);
    case Op::kSetNumbers:
      return CheckSetNumbers(entry);
    case Op::kReadState:
    case Op::kWriteState:
      return CheckState(request, entry);
    case Op::kProfile:
      return CheckProfilerOrder(request.command->id, request.command->body);
    default:
      return absl::OkStatus();
  }
}

}  // namespace kvstore
