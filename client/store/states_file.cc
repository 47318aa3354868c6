#include "client/store/states_file.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/status_macros.h"
#include "common/model/worker_tensors.h"
#include "common/safetensors/safetensors.h"

namespace kvstore {
namespace {

using Json = nlohmann::json;

constexpr char kFormat[] = "kvstore.optimizer_states";
constexpr char kVersion[] = "1";

absl::Status Loss(const std::string& what) { return absl::DataLossError(what); }

std::string RowsName(const std::string& key) { return key + "@rows"; }

DType DTypeOf(const std::string& name) {
  for (const DType dtype :
       {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16, DType::kUInt8,
        DType::kInt8, DType::kInt32, DType::kInt64, DType::kBool}) {
    if (DTypeName(dtype) == name) return dtype;
  }
  return DType::kUnspecified;
}

// The shape of a state of the key in the file, which has so many rows.
Shape ShapeOf(const SavedKey& key, size_t tensor) {
  Shape shape = key.spec.shape;
  if (!key.spec.row_sparse) return shape;
  const StateInfo& info = key.states.info;
  if (info.one_per_row && info.names[tensor] != "master") shape.resize(1);
  shape[0] = static_cast<int64_t>(key.states.rows.size());
  return shape;
}

Json JsonOf(const SavedKey& key) {
  const StateInfo& info = key.states.info;
  Json json;
  json["dtype"] = DTypeName(key.spec.dtype);
  json["shape"] = key.spec.shape.get();
  json["storage"] = key.spec.row_sparse ? "row_sparse" : "default";
  json["states"] = info.names;
  json["state_dtype"] = DTypeName(info.dtype);
  json["one_per_row"] = info.one_per_row;
  json["counted"] = info.counted;
  if (!info.by_worker.empty()) json["by_worker"] = info.by_worker;
  json["updates"] = info.kept ? key.states.updates : std::vector<uint64_t>();
  return json;
}

// Throws Json::exception where a member is missing or of another type.
absl::StatusOr<SavedKey> KeyFrom(const std::string& text, const std::string& updater,
                                 const Json& json) {
  const auto loss = [&](const std::string& what) {
    return Loss(fmt::format("key '{}': {}", text, what));
  };
  SavedKey key;
  key.text = text;
  key.spec.known = true;
  key.spec.dtype = DTypeOf(json.at("dtype").get<std::string>());
  key.spec.shape = json.at("shape").get<Shape>();
  const std::string storage = json.at("storage").get<std::string>();
  key.spec.row_sparse = storage == "row_sparse";
  StateInfo& info = key.states.info;
  info.updater = updater;
  info.names = json.at("states").get<std::vector<std::string>>();
  info.dtype = DTypeOf(json.at("state_dtype").get<std::string>());
  info.one_per_row = json.at("one_per_row").get<bool>();
  info.counted = json.at("counted").get<bool>();
  info.by_worker = json.value("by_worker", std::string());
  key.states.updates = json.at("updates").get<std::vector<uint64_t>>();
  info.kept = !key.states.updates.empty();
  if (key.spec.dtype == DType::kUnspecified || info.dtype == DType::kUnspecified) {
    return loss(
        "a dtype and a state_dtype of f32, f64, f16, bf16, u8, i8, i32, i64 or bool expected");
  }
  if (!TensorsOfNoWorker(info.names, info.by_worker).has_value()) {
    return loss(fmt::format("states '{}@RANK' of workers behind the others and by rank expected",
                            info.by_worker));
  }
  if (storage != "default" && storage != "row_sparse") {
    return loss(fmt::format("storage default or row_sparse expected, got '{}'", storage));
  }
  const absl::StatusOr<int64_t> elements =
      key.spec.row_sparse ? RowSparseElementCount(key.spec.shape) : ElementCount(key.spec.shape);
  if (!elements.ok()) return loss(std::string(elements.status().message()));
  if (key.spec.row_sparse && key.spec.shape.get().empty()) {
    return loss("a row_sparse shape of at least 1 dimension expected, got []");
  }
  key.spec.bytes = static_cast<uint64_t>(*elements) * DTypeBytes(key.spec.dtype);
  if (!info.kept) key.states.updates = {0};
  return key;
}

// Takes a tensor out of the file. Errors: DATA_LOSS.
absl::StatusOr<Slice> Take(const std::string& name, DType dtype, const Shape& shape,
                           SafeTensors* file) {
  const auto found = file->tensors.find(name);
  if (found == file->tensors.end()) {
    return Loss(fmt::format("tensor '{}' expected, there is none", name));
  }
  const SafeTensor tensor = std::move(found->second);
  file->tensors.erase(found);
  if (tensor.dtype != dtype || tensor.shape != shape) {
    return Loss(fmt::format("tensor '{}': {} of shape {} expected, got {} of shape {}", name,
                            SafetensorsDType(dtype), ShapeString(shape),
                            SafetensorsDType(tensor.dtype), ShapeString(tensor.shape)));
  }
  // A file is read into one piece of memory, of which this is a part.
  const auto slices = tensor.data.slices();
  if (slices.size() == 1) return slices[0];
  return slices.empty() ? Slice() : tensor.data.Copy().slices()[0];
}

absl::Status TakeRows(SavedKey* key, SafeTensors* file) {
  const std::string name = RowsName(key->text);
  const auto found = file->tensors.find(name);
  const int64_t count =
      found == file->tensors.end() || found->second.shape.size() != 1 ? 0 : found->second.shape[0];
  KVS_ASSIGN_OR_RETURN(const Slice rows, Take(name, DType::kInt64, {count}, file));
  std::vector<int64_t>& ids = key->states.rows;
  ids.resize(static_cast<size_t>(count));
  if (count > 0) std::memcpy(ids.data(), rows.data, rows.size);
  int64_t above = -1;
  for (const int64_t row : ids) {
    if (row <= above || row >= key->spec.shape[0]) {
      return Loss(fmt::format("tensor '{}': rows of {} to {}, ascending, expected, got {}", name,
                              above + 1, key->spec.shape[0] - 1, row));
    }
    above = row;
  }
  return absl::OkStatus();
}

absl::Status TakeTensors(SavedKey* key, SafeTensors* file) {
  const StateInfo& info = key->states.info;
  if (!info.kept || info.names.empty()) return absl::OkStatus();
  if (key->spec.row_sparse) KVS_RETURN_IF_ERROR(TakeRows(key, file));
  for (size_t i = 0; i < info.names.size(); ++i) {
    KVS_ASSIGN_OR_RETURN(Slice tensor, Take(fmt::format("{}/{}", key->text, info.names[i]),
                                            info.dtype, ShapeOf(*key, i), file));
    key->states.tensors.push_back(std::move(tensor));
  }
  return absl::OkStatus();
}

absl::StatusOr<SavedStates> FromMetadata(const std::map<std::string, std::string>& metadata) {
  const auto text = [&](const char* name) {
    const auto found = metadata.find(name);
    return found == metadata.end() ? std::string() : found->second;
  };
  if (text("format") != kFormat) {
    return absl::FailedPreconditionError(fmt::format(
        "states of an optimizer (__metadata__: format {}) expected, got another file", kFormat));
  }
  if (text("version") != kVersion) {
    return absl::FailedPreconditionError(fmt::format("version {} of the format expected, got '{}'",
                                                     kVersion, text("version").substr(0, 20)));
  }
  SavedStates saved;
  saved.updater = text("optimizer");
  saved.optimizer = text("optimizer_spec");
  const std::string key_type = text("key_type");
  saved.int_keys = key_type == "int";
  if (key_type != "int" && key_type != "string") return Loss("key_type int or string expected");
  try {
    const Json keys = Json::parse(text("keys"));
    for (const auto& [name, value] : keys.items()) {
      KVS_ASSIGN_OR_RETURN(SavedKey key, KeyFrom(name, saved.updater, value));
      saved.keys.push_back(std::move(key));
    }
  } catch (const Json::exception&) {
    return Loss("__metadata__: keys: the JSON of a file of optimizer states expected, it is none");
  }
  return saved;
}

}  // namespace

absl::StatusOr<Payload> EncodeStates(const SavedStates& saved) {
  SafeTensors file;
  Json keys = Json::object();
  for (const SavedKey& key : saved.keys) {
    const StateInfo& info = key.states.info;
    keys[key.text] = JsonOf(key);
    if (!info.kept || info.names.empty()) continue;
    if (key.spec.row_sparse) {
      const std::vector<int64_t>& rows = key.states.rows;
      const auto* const bytes = reinterpret_cast<const uint8_t*>(rows.data());
      file.tensors[RowsName(key.text)] = {DType::kInt64,
                                          {static_cast<int64_t>(rows.size())},
                                          Payload(Slice{bytes, rows.size() * sizeof(int64_t), {}})};
    }
    for (size_t i = 0; i < info.names.size(); ++i) {
      file.tensors[fmt::format("{}/{}", key.text, info.names[i])] = {
          info.dtype, ShapeOf(key, i), Payload(key.states.tensors[i])};
    }
  }
  file.metadata = {{"format", kFormat},
                   {"version", kVersion},
                   {"optimizer", saved.updater},
                   {"key_type", saved.int_keys ? "int" : "string"},
                   {"keys", keys.dump()}};
  if (!saved.optimizer.empty()) file.metadata["optimizer_spec"] = saved.optimizer;
  return EncodeSafetensors(file);
}

absl::StatusOr<SavedStates> DecodeStates(const Payload& bytes) {
  KVS_ASSIGN_OR_RETURN(SafeTensors file, DecodeSafetensors(bytes));
  KVS_ASSIGN_OR_RETURN(SavedStates saved, FromMetadata(file.metadata));
  for (SavedKey& key : saved.keys) KVS_RETURN_IF_ERROR(TakeTensors(&key, &file));
  if (file.tensors.empty()) return saved;
  return Loss(
      fmt::format("tensor '{}': no such state of a key expected", file.tensors.begin()->first));
}

std::string OptimizerJson(const PartUpdater& updater,
                          const std::function<std::string(KeyId)>& text_of) {
  const OptimizerConfig& config = updater.config();
  constexpr std::array kAverages = {"none", "workers", "contributors"};
  Json json;
  json["name"] = config.name;
  json["parameters"] = config.parameters;
  json["average"] = kAverages.at(static_cast<size_t>(config.average));
  json["multipliers"] = Json::object();
  for (const auto& [key, factors] : config.multipliers) {
    std::string text = text_of(key);
    if (text.empty()) text = fmt::format("{:016x}", key);
    json["multipliers"][text] = {{"lr_mult", factors.lr_mult}, {"wd_mult", factors.wd_mult}};
  }
  if (!config.schedule.name.empty()) {
    json["schedule"] = {{"name", config.schedule.name},
                        {"parameters", config.schedule.parameters},
                        {"steps", config.schedule.steps}};
  }
  json["changes"] = Json::object();
  for (const auto& [step, numbers] : updater.changes()) {
    json["changes"][fmt::format("{}", step)] = numbers;
  }
  return json.dump();
}

}  // namespace kvstore
