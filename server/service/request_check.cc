#include "server/service/request_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status_macros.h"
#include "common/cluster/partitioner.h"
#include "common/model/command.h"
#include "common/rows/row_cut.h"

namespace kvstore {
namespace {

// "PUSH of key 17": how messages begin.
std::string EntryLabel(const Frame& request, const PartEntry& entry) {
  const KeySpec* spec = FindKeySpec(request, entry);
  return fmt::format("{} of {}", OpName(entry.op), KeyLabel(entry.key, spec ? spec->name : ""));
}

absl::Status Refused(const Frame& request, const PartEntry& entry, const std::string& problem) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", EntryLabel(request, entry), problem));
}

absl::Status CheckNoBytes(const Frame& request, const PartEntry& entry) {
  if (entry.data.empty()) return absl::OkStatus();
  return Refused(request, entry, fmt::format("no bytes expected, got {}", entry.data.size()));
}

// That the ids are there. Whether the bytes behind them are those of the rows, and whether the
// value has the rows, only its description tells.
absl::Status CheckRows(const Frame& request, const PartEntry& entry) {
  if (entry.rows > kRowsPerEntryMax) {
    return Refused(request, entry,
                   fmt::format("at most {} rows expected, got {}", kRowsPerEntryMax, entry.rows));
  }
  if (entry.data.size() > kPartBytesMax) {
    return Refused(
        request, entry,
        fmt::format("at most {} bytes expected, got {}", kPartBytesMax, entry.data.size()));
  }
  const size_t ids_bytes = entry.rows * sizeof(int64_t);
  const bool ids_alone = entry.op == Op::kPull;
  if (ids_alone ? entry.data.size() != ids_bytes : entry.data.size() < ids_bytes) {
    return Refused(
        request, entry,
        fmt::format("{} bytes {}expected for {} rows, got {}", ids_bytes,
                    ids_alone ? "of ids " : "of ids at least ", entry.rows, entry.data.size()));
  }
  return absl::OkStatus();
}

absl::Status CheckFragment(const Frame& request, const PartEntry& entry) {
  const uint32_t fragments = std::max(entry.fragments, 1u);
  if (fragments > kFragmentsMax) {
    return Refused(request, entry,
                   fmt::format("at most {} fragments expected, got {}", kFragmentsMax, fragments));
  }
  if (entry.fragment < fragments) return absl::OkStatus();
  return Refused(request, entry,
                 fmt::format("a fragment below {} expected, got {}", fragments, entry.fragment));
}

absl::Status CheckRoundFromOne(const Frame& request, const PartEntry& entry) {
  if (entry.round > 0) return absl::OkStatus();
  return Refused(request, entry, "a round of at least 1 expected, got 0");
}

absl::Status CheckPush(const Frame& request, const PartEntry& entry) {
  KVS_RETURN_IF_ERROR(CheckRoundFromOne(request, entry));
  KVS_RETURN_IF_ERROR(CheckFragment(request, entry));
  return CheckRows(request, entry);
}

absl::Status CheckProbe(const Frame& request, const PartEntry& entry) {
  KVS_RETURN_IF_ERROR(CheckNoBytes(request, entry));
  switch (entry.probed_op) {
    case Op::kPush:
      return CheckRoundFromOne(request, entry);
    case Op::kInit:
    case Op::kPull:
    case Op::kDrop:
      return absl::OkStatus();
    default:
      return Refused(request, entry,
                     fmt::format("probed_op INIT, PUSH, PULL or DROP expected, got {} ({})",
                                 OpName(entry.probed_op), static_cast<uint32_t>(entry.probed_op)));
  }
}

// An int key has no name: any number is one.
absl::Status CheckName(const Frame& request, const PartEntry& entry, const KeySpec& spec) {
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

absl::Status CheckStorage(const Frame& request, const PartEntry& entry, const KeySpec& spec) {
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

// A value that is cut into stripes.
absl::Status CheckRowSparse(const Frame& request, const PartEntry& entry, const KeySpec& spec) {
  if (spec.shape.empty()) {
    return Refused(request, entry, "a row_sparse shape of at least 1 dimension expected, got []");
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

absl::Status CheckValue(const Frame& request, const PartEntry& entry, const KeySpec& spec) {
  const size_t element_bytes = DTypeBytes(spec.dtype);
  if (element_bytes == 0) {
    return Refused(request, entry,
                   fmt::format("a dtype from 1 (f32) to 9 (bool) expected, got {}",
                               static_cast<uint32_t>(spec.dtype)));
  }
  const absl::StatusOr<int64_t> elements = ElementCount(spec.shape);
  if (!elements.ok()) return Refused(request, entry, std::string(elements.status().message()));
  // At most 2^40 elements of 8 bytes: no overflow.
  if (spec.storage == Storage::kRowSparse) return CheckRowSparse(request, entry, spec);
  const uint64_t value_bytes = static_cast<uint64_t>(*elements) * element_bytes;
  const PartIndex parts = PartCount(value_bytes);
  if (entry.part >= parts) {
    return Refused(request, entry,
                   fmt::format("a part below {} expected for {} of shape {}, got {}", parts,
                               DTypeName(spec.dtype), ShapeString(spec.shape), entry.part));
  }
  const size_t part_bytes = PartBytes(value_bytes, entry.part);
  if (!entry.data.empty() && entry.data.size() != part_bytes) {
    return Refused(
        request, entry,
        fmt::format("{} bytes expected for part {} of {} of shape {}, got {}", part_bytes,
                    entry.part, DTypeName(spec.dtype), ShapeString(spec.shape), entry.data.size()));
  }
  return absl::OkStatus();
}

absl::Status CheckInit(const Frame& request, const PartEntry& entry) {
  const KeySpec* spec = FindKeySpec(request, entry);
  if (spec == nullptr) {
    return Refused(request, entry,
                   fmt::format("its KeySpec expected among the {} in the frame, "
                               "got none",
                               request.keys.size()));
  }
  KVS_RETURN_IF_ERROR(CheckName(request, entry, *spec));
  KVS_RETURN_IF_ERROR(CheckStorage(request, entry, *spec));
  if (spec->shape_unknown) {
    if (entry.create)
      return Refused(request, entry, "a shape expected of whoever creates, got none");
    return CheckNoBytes(request, entry);
  }
  KVS_RETURN_IF_ERROR(CheckFragment(request, entry));
  KVS_RETURN_IF_ERROR(CheckRows(request, entry));
  return CheckValue(request, entry, *spec);
}

// Two descriptions of one key could be checked one and used the other.
absl::Status CheckKeysDiffer(const Frame& request) {
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

absl::Status CheckRequest(const Frame& request) {
  const uint32_t protocol = request.header.protocol;
  if (protocol < kProtocolVersionMin || protocol > kProtocolVersionMax) {
    return absl::FailedPreconditionError(fmt::format(
        "protocol {} to {} expected, got {}", kProtocolVersionMin, kProtocolVersionMax, protocol));
  }
  if (request.parts.empty()) {
    return absl::InvalidArgumentError("a frame with at least 1 part expected, got none");
  }
  if (request.parts.size() > kPartsPerFrameMax || request.keys.size() > kPartsPerFrameMax) {
    return absl::InvalidArgumentError(
        fmt::format("a frame with at most {} parts and keys expected, got {} and {}",
                    kPartsPerFrameMax, request.parts.size(), request.keys.size()));
  }
  return CheckKeysDiffer(request);
}

absl::Status CheckEntry(const Frame& request, const PartEntry& entry) {
  if (entry.round > kRoundMax) {
    return Refused(request, entry, fmt::format("a round below 2^63 expected, got {}", entry.round));
  }
  if (entry.request == 0) {
    return Refused(request, entry, "a request number of at least 1 expected, got 0");
  }
  switch (entry.op) {
    case Op::kInit:
      return CheckInit(request, entry);
    case Op::kPush:
      return CheckPush(request, entry);
    case Op::kPull:
      return CheckRows(request, entry);
    case Op::kLeave:
      return CheckNoBytes(request, entry);
    case Op::kProbe:
      return CheckProbe(request, entry);
    case Op::kSetOptimizer:
    case Op::kCheckOptimizer:
      if (!request.optimizer) {
        return absl::InvalidArgumentError(
            fmt::format("{}: an optimizer in the frame expected, got none", OpName(entry.op)));
      }
      return CheckNoBytes(request, entry);
    case Op::kCommand:
      if (!request.command) {
        return absl::InvalidArgumentError("COMMAND: a command in the frame expected, got none");
      }
      KVS_RETURN_IF_ERROR(CheckNoBytes(request, entry));
      return CheckCommand(request.command->id, request.command->body.size());
    case Op::kDrop:
      KVS_RETURN_IF_ERROR(CheckRoundFromOne(request, entry));
      return CheckNoBytes(request, entry);
    case Op::kUnspecified:
      break;
  }
  return Refused(request, entry,
                 fmt::format("op 1 (INIT) to 9 (CHECK_OPTIMIZER) expected, got {}",
                             static_cast<uint32_t>(entry.op)));
}

}  // namespace kvstore
