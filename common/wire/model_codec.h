// The things of common/model as protobuf messages: KeySpec, OptimizerConfig and Command of
// proto/kvstore/v1/types.proto.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "common/model/command.h"
#include "common/model/key_spec.h"
#include "common/model/optimizer_config.h"
#include "common/wire/proto_reader.h"
#include "common/wire/proto_writer.h"

namespace kvstore::wire {

struct KeyField {
  enum : uint32_t {
    kKey = 1,
    kName = 2,
    kDType = 3,
    kShape = 4,
    kStorage = 5,
    kShapeUnknown = 6,
    kCompression = 7,
    kNanPolicy = 8,
    kRule = 9,
  };
};

struct CompressionField {
  enum : uint32_t { kType = 1, kParameters = 2 };
};

struct RuleField {
  enum : uint32_t { kKind = 1, kA = 2, kB = 3, kSeed = 4, kRowsMax = 5 };
};

struct OptimizerField {
  enum : uint32_t { kName = 1, kParameters = 2, kMultipliers = 3, kSchedule = 4, kAverage = 5 };
};

struct ScheduleField {
  enum : uint32_t { kName = 1, kParameters = 2, kSteps = 3 };
};

struct MultipliersField {
  enum : uint32_t { kKey = 1, kLrMult = 2, kWdMult = 3 };
};

struct CommandField {
  enum : uint32_t { kId = 1, kBody = 2 };
};

// An entry of a map.
struct MapField {
  enum : uint32_t { kKey = 1, kValue = 2 };
};

template <typename Sink>
void PutParameters(Sink& sink, uint32_t field, const std::map<std::string, double>& parameters) {
  for (const auto& [name, value] : parameters) {
    PutMessage(sink, field, [&name = name, value = value](auto& entry) {
      // Both, defaults too: that is how protobuf writes the entries of a map.
      entry.Varint(TagOf(MapField::kKey, WireType::kLength));
      entry.Varint(name.size());
      entry.Bytes(name);
      entry.Varint(TagOf(MapField::kValue, WireType::kFixed64));
      entry.Fixed64(BitsOf(value));
    });
  }
}

template <typename Sink>
void PutKey(Sink& sink, const KeySpec& key) {
  PutFixed64(sink, KeyField::kKey, key.key);
  PutString(sink, KeyField::kName, key.name);
  PutVarint(sink, KeyField::kDType, static_cast<uint8_t>(key.dtype));
  PutPacked(sink, KeyField::kShape, key.shape);
  PutEnum(sink, KeyField::kStorage, key.storage);
  PutVarint(sink, KeyField::kShapeUnknown, key.shape_unknown ? 1 : 0);
  if (!key.compression.type.empty()) {
    PutMessage(sink, KeyField::kCompression, [&key](auto& message) {
      PutString(message, CompressionField::kType, key.compression.type);
      PutParameters(message, CompressionField::kParameters, key.compression.parameters);
    });
  }
  PutEnum(sink, KeyField::kNanPolicy, key.nan_policy);
  if (key.rule != InitRuleConfig()) {
    PutMessage(sink, KeyField::kRule, [&rule = key.rule](auto& message) {
      PutEnum(message, RuleField::kKind, rule.kind);
      PutDouble(message, RuleField::kA, rule.a);
      PutDouble(message, RuleField::kB, rule.b);
      PutFixed64(message, RuleField::kSeed, rule.seed);
      PutVarint(message, RuleField::kRowsMax, rule.rows_max);
    });
  }
}

template <typename Sink>
void PutOptimizer(Sink& sink, const OptimizerConfig& optimizer) {
  PutString(sink, OptimizerField::kName, optimizer.name);
  PutParameters(sink, OptimizerField::kParameters, optimizer.parameters);
  for (const auto& [key, multipliers] : optimizer.multipliers) {
    PutMessage(sink, OptimizerField::kMultipliers,
               [&key = key, &multipliers = multipliers](auto& entry) {
                 PutFixed64(entry, MultipliersField::kKey, key);
                 PutDouble(entry, MultipliersField::kLrMult, multipliers.lr_mult);
                 PutDouble(entry, MultipliersField::kWdMult, multipliers.wd_mult);
               });
  }
  const LrScheduleConfig& schedule = optimizer.schedule;
  if (!schedule.name.empty()) {
    PutMessage(sink, OptimizerField::kSchedule, [&schedule](auto& message) {
      PutString(message, ScheduleField::kName, schedule.name);
      PutParameters(message, ScheduleField::kParameters, schedule.parameters);
      PutPacked(message, ScheduleField::kSteps, schedule.steps);
    });
  }
  PutEnum(sink, OptimizerField::kAverage, optimizer.average);
}

template <typename Sink>
void PutCommand(Sink& sink, const Command& command) {
  PutEnum(sink, CommandField::kId, command.id);
  PutString(sink, CommandField::kBody, command.body);
}

// Where a scalar, a string or a parameter comes twice, the last one counts. A dtype over 255
// becomes 255, so that a number from a newer peer can never pass for one that we know.
absl::Status ReadKey(ProtoReader& reader, KeySpec* key);
// Adds to what `optimizer` has: a message may come in several pieces.
absl::Status ReadOptimizer(ProtoReader& reader, OptimizerConfig* optimizer);
absl::Status ReadCommand(ProtoReader& reader, Command* command);

}  // namespace kvstore::wire
