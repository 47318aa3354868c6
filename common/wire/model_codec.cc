#include "common/wire/model_codec.h"

#include <limits>
#include <map>
#include <string>
#include <utility>

#include "common/base/status_macros.h"

namespace kvstore::wire {
namespace {

absl::Status ReadDType(ProtoReader& reader, const Field& field, DType* dtype) {
  uint32_t number = 0;
  KVS_RETURN_IF_ERROR(reader.Uint32(field, &number));
  constexpr uint32_t kNone = std::numeric_limits<uint8_t>::max();
  *dtype = static_cast<DType>(number < kNone ? number : kNone);
  return absl::OkStatus();
}

absl::Status ReadParameter(ProtoReader& reader, std::map<std::string, double>* parameters) {
  std::string name;
  double value = 0;
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case MapField::kKey:
        status = reader.String(field, &name);
        break;
      case MapField::kValue:
        status = reader.Double(field, &value);
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  (*parameters)[std::move(name)] = value;
  return absl::OkStatus();
}

absl::Status ReadCompression(ProtoReader& reader, CompressionConfig* compression) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case CompressionField::kType:
        status = reader.String(field, &compression->type);
        break;
      case CompressionField::kParameters:
        status = reader.Message(field, "Compression.parameters", [&](ProtoReader& entry) {
          return ReadParameter(entry, &compression->parameters);
        });
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status ReadRule(ProtoReader& reader, InitRuleConfig* rule) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case RuleField::kKind:
        status = reader.Enum32(field, &rule->kind);
        break;
      case RuleField::kA:
        status = reader.Double(field, &rule->a);
        break;
      case RuleField::kB:
        status = reader.Double(field, &rule->b);
        break;
      case RuleField::kSeed:
        status = reader.Fixed64(field, &rule->seed);
        break;
      case RuleField::kRowsMax:
        status = reader.Uint64(field, &rule->rows_max);
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status ReadSchedule(ProtoReader& reader, LrScheduleConfig* schedule) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case ScheduleField::kName:
        status = reader.String(field, &schedule->name);
        break;
      case ScheduleField::kParameters:
        status = reader.Message(field, "LrSchedule.parameters", [&](ProtoReader& entry) {
          return ReadParameter(entry, &schedule->parameters);
        });
        break;
      case ScheduleField::kSteps:
        status = reader.Repeated(field, &schedule->steps);
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status ReadMultipliers(ProtoReader& reader, OptimizerConfig* optimizer) {
  KeyId key = 0;
  KeyMultipliers multipliers{0, 0};
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case MultipliersField::kKey:
        status = reader.Fixed64(field, &key);
        break;
      case MultipliersField::kLrMult:
        status = reader.Double(field, &multipliers.lr_mult);
        break;
      case MultipliersField::kWdMult:
        status = reader.Double(field, &multipliers.wd_mult);
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  optimizer->multipliers[key] = multipliers;
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadKey(ProtoReader& reader, KeySpec* key) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case KeyField::kKey:
        status = reader.Fixed64(field, &key->key);
        break;
      case KeyField::kName:
        status = reader.String(field, &key->name);
        break;
      case KeyField::kDType:
        status = ReadDType(reader, field, &key->dtype);
        break;
      case KeyField::kShape:
        status = reader.Repeated(field, &key->shape);
        break;
      case KeyField::kStorage:
        status = reader.Enum32(field, &key->storage);
        break;
      case KeyField::kShapeUnknown:
        status = reader.Bool(field, &key->shape_unknown);
        break;
      case KeyField::kCompression:
        status = reader.Message(field, "Compression", [&](ProtoReader& message) {
          return ReadCompression(message, &key->compression);
        });
        break;
      case KeyField::kNanPolicy:
        status = reader.Enum32(field, &key->nan_policy);
        break;
      case KeyField::kRule:
        status = reader.Message(
            field, "InitRule", [&](ProtoReader& message) { return ReadRule(message, &key->rule); });
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status ReadOptimizer(ProtoReader& reader, OptimizerConfig* optimizer) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case OptimizerField::kName:
        status = reader.String(field, &optimizer->name);
        break;
      case OptimizerField::kParameters:
        status = reader.Message(field, "OptimizerConfig.parameters", [&](ProtoReader& entry) {
          return ReadParameter(entry, &optimizer->parameters);
        });
        break;
      case OptimizerField::kMultipliers:
        status = reader.Message(field, "KeyMultipliers", [&](ProtoReader& entry) {
          return ReadMultipliers(entry, optimizer);
        });
        break;
      case OptimizerField::kSchedule:
        status = reader.Message(field, "LrSchedule", [&](ProtoReader& message) {
          return ReadSchedule(message, &optimizer->schedule);
        });
        break;
      case OptimizerField::kAverage:
        status = reader.Enum32(field, &optimizer->average);
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status ReadCommand(ProtoReader& reader, Command* command) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case CommandField::kId:
        status = reader.Enum32(field, &command->id);
        break;
      case CommandField::kBody: {
        Payload body;
        status = reader.Bytes(field, &body);
        command->body = body.ToString();
        break;
      }
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

}  // namespace kvstore::wire
