#include "common/safetensors/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "common/base/status_macros.h"

namespace kvstore {
namespace {

using Json = nlohmann::json;

constexpr char kMetadata[] = "__metadata__";
constexpr size_t kLengthBytes = 8;
constexpr size_t kHeaderAlignment = 8;
constexpr size_t kNestingMax = 4;  // what a header has is nested less
constexpr size_t kQuotedMax = 80;

struct NamedDType {
  DType dtype;
  std::string_view name;
};
constexpr std::array<NamedDType, 9> kDTypes = {{{DType::kFloat32, "F32"},
                                                {DType::kFloat64, "F64"},
                                                {DType::kFloat16, "F16"},
                                                {DType::kBFloat16, "BF16"},
                                                {DType::kUInt8, "U8"},
                                                {DType::kInt8, "I8"},
                                                {DType::kInt32, "I32"},
                                                {DType::kInt64, "I64"},
                                                {DType::kBool, "BOOL"}}};

absl::Status Loss(const std::string& what) {
  return absl::DataLossError("no safetensors file: " + what);
}

// What came out of a file, in a message.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text.substr(0, kQuotedMax)) {
    quoted += c >= 0x20 && c < 0x7f && c != '\'' && c != '\\' ? c : '?';
  }
  return quoted + (text.size() > kQuotedMax ? "'..." : "'");
}

// The bytes of a tensor. Errors: INVALID_ARGUMENT.
absl::StatusOr<uint64_t> BytesOf(DType dtype, const Shape& shape) {
  uint64_t elements = 1;
  for (const int64_t dimension : shape) {
    if (dimension < 0) {
      return absl::InvalidArgumentError(
          fmt::format("dimensions of at least 0 expected, got shape {}", ShapeString(shape)));
    }
    const auto size = static_cast<uint64_t>(dimension);
    if (size != 0 && elements > (uint64_t{1} << 60) / size) {
      return absl::InvalidArgumentError(
          fmt::format("at most 2^60 elements expected, got shape {}", ShapeString(shape)));
    }
    elements *= size;
  }
  return elements * DTypeBytes(dtype);
}

// Parses strictly: no name twice in one object, no deep nesting.
absl::StatusOr<Json> ParseHeader(const std::string& text) {
  std::vector<std::set<std::string>> names;  // of the objects that are open
  std::string wrong;
  const Json::parser_callback_t watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > static_cast<int>(kNestingMax) && wrong.empty()) wrong = "too deeply nested";
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& name = parsed.get_ref<const std::string&>();
      if (!names.back().insert(name).second && wrong.empty()) {
        wrong = Quoted(name) + " comes twice";
      }
    }
    return wrong.empty();  // what is not to be kept is not built
  };
  try {
    Json header = Json::parse(text, watch);
    if (!wrong.empty()) return Loss("its header: " + wrong);
    if (!header.is_object()) return Loss("its header: a JSON object expected, got another value");
    return header;
  } catch (const Json::parse_error& error) {
    return Loss(fmt::format("its header: JSON expected, at byte {} it is none", error.byte));
  } catch (const Json::exception&) {
    return Loss("its header: JSON expected, it is none");
  }
}

bool IsNatural(const Json& number) { return number.is_number_unsigned(); }

struct Placed {
  std::string name;
  uint64_t begin = 0;
  uint64_t end = 0;
  SafeTensor tensor;
};

absl::StatusOr<Placed> TensorOf(const std::string& name, const Json& json) {
  const auto loss = [&](const std::string& what) {
    return Loss(fmt::format("tensor {}: {}", Quoted(name), what));
  };
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets")) {
    return loss("an object with dtype, shape and data_offsets, and no more, expected");
  }
  Placed placed;
  placed.name = name;
  const Json& dtype = json["dtype"];
  const Json& shape = json["shape"];
  const Json& offsets = json["data_offsets"];
  if (dtype.is_string()) {
    const auto& text = dtype.get_ref<const std::string&>();
    for (const NamedDType& known : kDTypes) {
      if (known.name == text) placed.tensor.dtype = known.dtype;
    }
    if (placed.tensor.dtype == DType::kUnspecified) {
      return loss("a dtype of F32, F64, F16, BF16, U8, I8, I32, I64 or BOOL expected, got " +
                  Quoted(text));
    }
  } else {
    return loss("a text as dtype expected");
  }
  if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), IsNatural)) {
    return loss("a list of whole numbers as shape expected");
  }
  for (const Json& dimension : shape) {
    const auto size = dimension.get<uint64_t>();
    if (size > INT64_MAX) return loss(fmt::format("a dimension below 2^63 expected, got {}", size));
    placed.tensor.shape.push_back(static_cast<int64_t>(size));
  }
  if (!offsets.is_array() || offsets.size() != 2 || !IsNatural(offsets[0]) ||
      !IsNatural(offsets[1])) {
    return loss("two whole numbers as data_offsets expected");
  }
  placed.begin = offsets[0].get<uint64_t>();
  placed.end = offsets[1].get<uint64_t>();
  const absl::StatusOr<uint64_t> bytes = BytesOf(placed.tensor.dtype, placed.tensor.shape);
  if (!bytes.ok()) return loss(std::string(bytes.status().message()));
  if (placed.begin > placed.end || placed.end - placed.begin != *bytes) {
    return loss(fmt::format("{} bytes for {} of shape {} expected, got those from {} to {}", *bytes,
                            SafetensorsDType(placed.tensor.dtype), ShapeString(placed.tensor.shape),
                            placed.begin, placed.end));
  }
  return placed;
}

}  // namespace

std::string_view SafetensorsDType(DType dtype) {
  for (const NamedDType& known : kDTypes) {
    if (known.dtype == dtype) return known.name;
  }
  return "";
}

absl::StatusOr<Payload> EncodeSafetensors(const SafeTensors& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header[kMetadata] = file.metadata;
  std::vector<std::tuple<size_t, const std::string*, const SafeTensor*>> order;
  for (const auto& [name, tensor] : file.tensors) {
    const absl::StatusOr<uint64_t> bytes = BytesOf(tensor.dtype, tensor.shape);
    if (name == kMetadata || SafetensorsDType(tensor.dtype).empty() || !bytes.ok() ||
        *bytes != tensor.data.size()) {
      return absl::InvalidArgumentError(fmt::format(
          "tensor {}: as many bytes as its shape {} of {} has expected, got {}", Quoted(name),
          ShapeString(tensor.shape), DTypeName(tensor.dtype), tensor.data.size()));
    }
    order.emplace_back(SIZE_MAX - DTypeBytes(tensor.dtype), &name, &tensor);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::get<0>(a) < std::get<0>(b);  // the map has them by name
  });
  uint64_t at = 0;
  for (const auto& [width, name, tensor] : order) {
    header[*name] = {{"dtype", SafetensorsDType(tensor->dtype)},
                     {"shape", tensor->shape},
                     {"data_offsets", {at, at + tensor->data.size()}}};
    at += tensor->data.size();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::type_error&) {
    return absl::InvalidArgumentError("safetensors: names and texts of UTF-8 expected, got others");
  }
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  if (text.size() > kSafetensorsHeaderMax) {
    return absl::ResourceExhaustedError(
        fmt::format("safetensors: a header of at most {} bytes expected, {} are needed",
                    kSafetensorsHeaderMax, text.size()));
  }
  std::string length;
  for (size_t byte = 0; byte < kLengthBytes; ++byte) {
    length.push_back(static_cast<char>(uint64_t{text.size()} >> (8 * byte)));
  }
  Payload bytes = Payload::CopyOf(length + text);
  for (const auto& [width, name, tensor] : order) bytes.Append(tensor->data);
  return bytes;
}

absl::StatusOr<SafeTensors> DecodeSafetensors(const Payload& bytes) {
  PayloadCursor cursor(bytes);
  std::array<uint8_t, kLengthBytes> prefix{};
  if (!cursor.Read(prefix.data(), prefix.size())) {
    return Loss(fmt::format("at least {} bytes expected, got {}", kLengthBytes, bytes.size()));
  }
  uint64_t length = 0;
  for (size_t byte = kLengthBytes; byte > 0; --byte) length = length << 8 | prefix[byte - 1];
  if (length > kSafetensorsHeaderMax) {
    return Loss(fmt::format("a header of at most {} bytes expected, got {}", kSafetensorsHeaderMax,
                            length));
  }
  if (length > cursor.remaining()) {
    return Loss(
        fmt::format("a header of {} bytes expected, {} are there", length, cursor.remaining()));
  }
  std::string text(static_cast<size_t>(length), '\0');
  cursor.Read(text.data(), text.size());
  if (text.empty() || text[0] != '{') return Loss("a header that begins with '{' expected");
  KVS_ASSIGN_OR_RETURN(const Json header, ParseHeader(text));
  SafeTensors file;
  std::vector<Placed> placed;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadata) {
      KVS_ASSIGN_OR_RETURN(Placed tensor, TensorOf(name, value));
      placed.push_back(std::move(tensor));
      continue;
    }
    if (!value.is_object()) return Loss("__metadata__: an object of texts expected");
    for (const auto& [key, told] : value.items()) {
      if (!told.is_string())
        return Loss(fmt::format("__metadata__: {}: a text expected", Quoted(key)));
      file.metadata[key] = told.get<std::string>();
    }
  }
  // Back to back from the first byte to the last one.
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  const uint64_t data = cursor.remaining();
  uint64_t at = 0;
  for (Placed& each : placed) {
    if (each.begin != at) {
      return Loss(
          fmt::format("tensor {}: its bytes expected from {} on, behind those before, they "
                      "begin at {}",
                      Quoted(each.name), at, each.begin));
    }
    if (each.end > data) {
      return Loss(fmt::format("tensor {}: {} bytes of tensors expected, {} are there",
                              Quoted(each.name), each.end, data));
    }
    each.tensor.data = bytes.Sub(static_cast<size_t>(kLengthBytes + length + each.begin),
                                 static_cast<size_t>(each.end - each.begin));
    at = each.end;
    file.tensors.emplace(std::move(each.name), std::move(each.tensor));
  }
  if (at != data) {
    return Loss(fmt::format("{} bytes of tensors expected, {} are there", at, data));
  }
  return file;
}

}  // namespace kvstore
