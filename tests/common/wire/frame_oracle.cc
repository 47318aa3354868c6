#include "tests/common/wire/frame_oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/hash.h"

namespace kvstore::testing {
namespace {

std::string JsonString(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        json += "\\\"";
        break;
      case '\\':
        json += "\\\\";
        break;
      case '\n':
        json += "\\n";
        break;
      case '\r':
        json += "\\r";
        break;
      case '\t':
        json += "\\t";
        break;
      case '\b':
        json += "\\b";
        break;
      case '\f':
        json += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          json += fmt::format("\\u{:04x}", static_cast<int>(c));
        } else {
          json += c;
        }
    }
  }
  return json + "\"";
}

template <typename T>
std::string JsonList(const std::vector<T>& values) {
  std::string json;
  for (const T value : values) json += fmt::format("{}{}", json.empty() ? "" : ", ", value);
  return "[" + json + "]";
}

// Short bytes as they are, long ones by their hash.
std::string JsonBytes(const Payload& data) {
  constexpr size_t kShown = 32;
  const std::string bytes = data.ToString();
  std::string hex;
  for (size_t i = 0; i < bytes.size() && i < kShown; ++i) {
    hex += fmt::format("{:02x}", static_cast<unsigned char>(bytes[i]));
  }
  return fmt::format("{{\"bytes\": {}, \"begin\": \"{}\", \"hash\": \"{:016x}\"}}", bytes.size(),
                     hex, HashBytes(bytes));
}

std::string JsonHead(const EntryHead& head) {
  return fmt::format(
      "\"op\": {}, \"key\": {}, \"part\": {}, \"round\": {}, \"request\": {}, "
      "\"life\": {}",
      static_cast<uint32_t>(head.op), head.key, head.part, head.round, head.request, head.life);
}

std::string JsonEntry(const RequestEntry& entry) {
  const Piece& piece = entry.piece;
  return fmt::format(
      "{{{}, \"step\": {}, \"probed_op\": {}, \"takes_back\": {}, \"rows\": {}, "
      "\"fragment\": {}, \"fragments\": {}, \"create\": {}, \"codec\": {}, \"rows_from\": {}, "
      "\"data\": {}}}",
      JsonHead(entry), entry.step, static_cast<uint32_t>(entry.probed_op), entry.takes_back,
      piece.rows, piece.fragment, piece.fragments, piece.create, static_cast<uint32_t>(piece.codec),
      piece.rows_from, JsonBytes(piece.data));
}

std::string JsonEntry(const ReplyEntry& entry) {
  return fmt::format(
      "{{{}, \"progress\": {}, \"code\": {}, \"message\": {}, \"retry_after_ms\": {}, "
      "\"missing_ranks\": {}, \"version\": {}, \"staleness\": {}, \"data\": {}}}",
      JsonHead(entry), static_cast<uint32_t>(entry.progress), static_cast<int>(entry.code),
      JsonString(entry.message), entry.retry_after_ms, JsonList(entry.missing_ranks), entry.version,
      entry.staleness, JsonBytes(entry.data));
}

std::string JsonBits(double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return fmt::format("\"{:016x}\"", bits);
}

std::string JsonParameters(const std::map<std::string, double>& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", JsonString(name), JsonBits(value));
  }
  return text;
}

std::string JsonKey(const KeySpec& key) {
  return fmt::format(
      "{{\"key\": {}, \"name\": {}, \"dtype\": {}, \"shape\": {}, \"storage\": {}, "
      "\"shape_unknown\": {}, \"compression\": {{\"type\": {}, \"parameters\": {{{}}}}}, "
      "\"nan_policy\": {}, \"rule\": [{}, {}, {}, {}, {}]}}",
      key.key, JsonString(key.name), static_cast<uint32_t>(key.dtype), JsonList(key.shape),
      static_cast<uint32_t>(key.storage), key.shape_unknown, JsonString(key.compression.type),
      JsonParameters(key.compression.parameters), static_cast<uint32_t>(key.nan_policy),
      static_cast<uint32_t>(key.rule.kind), JsonBits(key.rule.a), JsonBits(key.rule.b),
      key.rule.seed, key.rule.rows_max);
}

std::string JsonOptimizer(const OptimizerConfig& optimizer) {
  std::string multipliers;
  for (const auto& [key, each] : optimizer.multipliers) {
    multipliers += fmt::format("{}\"{}\": [{}, {}]", multipliers.empty() ? "" : ", ", key,
                               JsonBits(each.lr_mult), JsonBits(each.wd_mult));
  }
  const LrScheduleConfig& schedule = optimizer.schedule;
  return fmt::format(
      "{{\"name\": {}, \"parameters\": {{{}}}, \"multipliers\": {{{}}}, "
      "\"schedule\": {{\"name\": {}, \"parameters\": {{{}}}, \"steps\": {}}}, \"average\": {}}}",
      JsonString(optimizer.name), JsonParameters(optimizer.parameters), multipliers,
      JsonString(schedule.name), JsonParameters(schedule.parameters), JsonList(schedule.steps),
      static_cast<uint32_t>(optimizer.average));
}

std::string JsonCommand(const Command& command) {
  return fmt::format("{{\"id\": {}, \"body\": {}}}", command.id,
                     JsonBytes(Payload::CopyOf(command.body)));
}

template <typename T, typename Json>
std::string JsonLines(const std::vector<T>& values, const Json& json) {
  std::string lines;
  for (const T& value : values) lines += (lines.empty() ? "\n" : ",\n") + json(value);
  return "[" + lines + "]";
}

// What both kinds of frame begin with.
template <typename Frame>
std::string JsonBeginning(const Frame& frame) {
  using Entry = typename decltype(frame.entries)::value_type;
  const FrameHeader& header = frame.header;
  return fmt::format(
      "{{\"cluster\": {}, \"protocol\": {}, \"epoch\": {}, \"job\": {}, \"rank\": {}, "
      "\"incarnation\": {}, \"server_incarnation\": {},\n\"entries\": {},\n\"keys\": {}",
      header.cluster, header.protocol, header.epoch, header.job, header.rank, header.incarnation,
      header.server_incarnation,
      JsonLines(frame.entries, [](const Entry& entry) { return JsonEntry(entry); }),
      JsonLines(frame.keys, JsonKey));
}

const Payload& BytesOf(const RequestEntry& entry) { return entry.piece.data; }
const Payload& BytesOf(const ReplyEntry& entry) { return entry.data; }
Payload& BytesOf(RequestEntry& entry) { return entry.piece.data; }
Payload& BytesOf(ReplyEntry& entry) { return entry.data; }

void ReadFields(const v1::RequestEntry& from, RequestEntry* to) {
  to->step = from.step();
  to->probed_op = static_cast<Op>(from.probed_op());
  to->takes_back = from.takes_back();
  to->piece.rows = from.rows();
  to->piece.fragment = from.fragment();
  to->piece.fragments = std::max(from.fragments(), 1u);
  to->piece.create = from.create();
  to->piece.codec = static_cast<CodecId>(from.codec());
  to->piece.rows_from = from.rows_from();
}

void ReadFields(const v1::ReplyEntry& from, ReplyEntry* to) {
  to->progress = static_cast<Progress>(from.progress());
  to->code =
      from.code() <= 16 ? static_cast<absl::StatusCode>(from.code()) : absl::StatusCode::kUnknown;
  to->message = from.message();
  to->retry_after_ms = from.retry_after_ms();
  to->missing_ranks.assign(from.missing_ranks().begin(), from.missing_ranks().end());
  to->version = from.version();
  to->staleness = from.staleness();
}

void WriteFields(const RequestEntry& from, v1::RequestEntry* to) {
  to->set_step(from.step);
  to->set_probed_op(static_cast<v1::Op>(from.probed_op));
  to->set_takes_back(from.takes_back);
  to->set_rows(from.piece.rows);
  to->set_fragment(from.piece.fragment);
  to->set_fragments(from.piece.fragments == 1 ? 0 : from.piece.fragments);
  to->set_create(from.piece.create);
  to->set_codec(static_cast<v1::Codec>(from.piece.codec));
  to->set_rows_from(from.piece.rows_from);
}

void WriteFields(const ReplyEntry& from, v1::ReplyEntry* to) {
  to->set_progress(static_cast<v1::Progress>(from.progress));
  to->set_code(static_cast<uint32_t>(from.code));
  to->set_message(from.message);
  to->set_retry_after_ms(from.retry_after_ms);
  for (const WorkerRank rank : from.missing_ranks) to->add_missing_ranks(rank);
  to->set_version(from.version);
  to->set_staleness(from.staleness);
}

bool MayStandForMany(const RequestEntry& entry) { return entry.piece.data.empty(); }
bool MayStandForMany(const ReplyEntry& entry) {
  return entry.data.empty() && entry.message.empty() && entry.missing_ranks.empty();
}

template <typename Frame, typename Proto>
absl::StatusOr<Frame> DecodeBeginning(const Proto& proto) {
  Frame frame;
  frame.header.cluster = proto.cluster();
  frame.header.protocol = proto.protocol();
  frame.header.epoch = proto.epoch();
  frame.header.job = proto.job();
  frame.header.rank = proto.rank();
  frame.header.incarnation = proto.incarnation();
  frame.header.server_incarnation = proto.server_incarnation();
  const std::string& payload = proto.payload();
  size_t end = 0;
  for (const auto& from : proto.entries()) {
    auto& entry = frame.entries.emplace_back();
    entry.op = static_cast<Op>(from.op());
    entry.key = from.key();
    entry.part = from.part();
    entry.round = from.round();
    entry.request = from.request();
    entry.life = from.life();
    ReadFields(from, &entry);
    const std::string& also = from.also();
    if (!also.empty() && (from.payload_bytes() > 0 || also.size() > 64)) {
      return absl::InvalidArgumentError("an entry without bytes expected with `also`");
    }
    const auto first = entry;  // what follows may move it
    for (size_t bit = 0; bit < 8 * also.size(); ++bit) {
      if ((static_cast<uint8_t>(also[bit / 8]) & (1u << (bit % 8))) == 0) continue;
      auto& each = frame.entries.emplace_back(first);
      each.part += static_cast<PartIndex>(bit + 1);
      each.request += bit + 1;
    }
    if (from.payload_bytes() == 0) continue;
    const size_t begin = (end + 63) / 64 * 64;
    end = begin + from.payload_bytes();
    if (end > payload.size()) return absl::InvalidArgumentError("payload too short");
    BytesOf(entry) = Payload::CopyOf(payload.substr(begin, from.payload_bytes()));
  }
  if (payload.size() > (end + 63) / 64 * 64) return absl::InvalidArgumentError("payload too long");
  for (const v1::KeySpec& from : proto.keys()) {
    KeySpec& key = frame.keys.emplace_back();
    key.key = from.key();
    key.name = from.name();
    const bool in_range = from.dtype() >= 0 && from.dtype() <= 255;
    key.dtype = static_cast<DType>(in_range ? from.dtype() : 255);
    key.shape.assign(from.shape().begin(), from.shape().end());
    key.storage = static_cast<Storage>(from.storage());
    key.shape_unknown = from.shape_unknown();
    key.compression.type = from.compression().type();
    for (const auto& [name, value] : from.compression().parameters()) {
      key.compression.parameters[name] = value;
    }
    key.nan_policy = static_cast<NanPolicy>(from.nan_policy());
    key.rule = {static_cast<InitRuleKind>(from.rule().kind()), from.rule().a(), from.rule().b(),
                from.rule().seed(), from.rule().rows_max()};
  }
  return frame;
}

template <typename Proto, typename Frame>
Proto BeginningToProto(const Frame& frame) {
  Proto proto;
  proto.set_cluster(frame.header.cluster);
  proto.set_protocol(frame.header.protocol);
  proto.set_epoch(frame.header.epoch);
  proto.set_job(frame.header.job);
  proto.set_rank(frame.header.rank);
  proto.set_incarnation(frame.header.incarnation);
  proto.set_server_incarnation(frame.header.server_incarnation);
  std::string payload;
  for (const auto& from : frame.entries) {
    // Whether the last message may stand for this entry, too: with its part and request number it
    // would have the same text, and nothing in it that only one entry can have.
    const int last = proto.entries_size() - 1;
    if (last >= 0 && MayStandForMany(from)) {
      auto* run = proto.mutable_entries(last);
      const auto& before = *(&from - 1);
      const uint64_t distance = uint64_t{from.part} - run->part();
      auto as_before = from;
      as_before.part = before.part;
      as_before.request = before.request;
      if (from.part > before.part && distance <= 512 && from.request >= run->request() &&
          from.request - run->request() == distance && JsonEntry(as_before) == JsonEntry(before)) {
        std::string bits = run->also();
        bits.resize(std::max<size_t>(bits.size(), (distance - 1) / 8 + 1));
        bits[(distance - 1) / 8] |= static_cast<char>(1 << ((distance - 1) % 8));
        run->set_also(bits);
        continue;
      }
    }
    auto* entry = proto.add_entries();
    entry->set_op(static_cast<v1::Op>(from.op));
    entry->set_key(from.key);
    entry->set_part(from.part);
    entry->set_round(from.round);
    entry->set_request(from.request);
    entry->set_life(from.life);
    WriteFields(from, entry);
    const Payload& data = BytesOf(from);
    entry->set_payload_bytes(static_cast<uint32_t>(data.size()));
    if (data.empty()) continue;
    payload.resize((payload.size() + 63) / 64 * 64);
    payload += data.ToString();
  }
  proto.set_payload(payload);
  for (const KeySpec& from : frame.keys) {
    v1::KeySpec* key = proto.add_keys();
    key->set_key(from.key);
    key->set_name(from.name);
    key->set_dtype(static_cast<v1::DType>(from.dtype));
    for (const int64_t dim : from.shape) key->add_shape(dim);
    key->set_storage(static_cast<v1::Storage>(from.storage));
    key->set_shape_unknown(from.shape_unknown);
    key->set_nan_policy(static_cast<v1::NanPolicy>(from.nan_policy));
    if (from.rule != InitRuleConfig()) {
      v1::InitRule* const rule = key->mutable_rule();
      rule->set_kind(static_cast<v1::InitRuleKind>(from.rule.kind));
      rule->set_a(from.rule.a);
      rule->set_b(from.rule.b);
      rule->set_seed(from.rule.seed);
      rule->set_rows_max(from.rule.rows_max);
    }
    if (from.compression.type.empty()) continue;
    key->mutable_compression()->set_type(from.compression.type);
    for (const auto& [name, value] : from.compression.parameters) {
      (*key->mutable_compression()->mutable_parameters())[name] = value;
    }
  }
  return proto;
}

}  // namespace

std::string FrameJson(const RequestFrame& frame) {
  return fmt::format("{},\n\"optimizer\": {},\n\"command\": {}}}\n", JsonBeginning(frame),
                     frame.optimizer ? JsonOptimizer(*frame.optimizer) : "null",
                     frame.command ? JsonCommand(*frame.command) : "null");
}

std::string FrameJson(const ReplyFrame& frame) { return JsonBeginning(frame) + "}\n"; }

template <>
absl::StatusOr<RequestFrame> OracleDecode<RequestFrame>(const std::string& bytes) {
  v1::RequestFrame proto;
  if (!proto.ParseFromString(bytes)) {
    return absl::InvalidArgumentError("protobuf does not parse the frame");
  }
  absl::StatusOr<RequestFrame> frame = DecodeBeginning<RequestFrame>(proto);
  if (!frame.ok()) return frame;
  if (proto.has_optimizer()) {
    frame->optimizer.emplace();
    frame->optimizer->name = proto.optimizer().name();
    for (const auto& [name, value] : proto.optimizer().parameters()) {
      frame->optimizer->parameters[name] = value;
    }
    for (const v1::KeyMultipliers& each : proto.optimizer().multipliers()) {
      frame->optimizer->multipliers[each.key()] = {each.lr_mult(), each.wd_mult()};
    }
    const v1::LrSchedule& schedule = proto.optimizer().schedule();
    LrScheduleConfig& to = frame->optimizer->schedule;
    to.name = schedule.name();
    for (const auto& [name, value] : schedule.parameters()) to.parameters[name] = value;
    to.steps.assign(schedule.steps().begin(), schedule.steps().end());
    frame->optimizer->average = static_cast<Average>(proto.optimizer().average());
  }
  if (proto.has_command()) frame->command = Command{proto.command().id(), proto.command().body()};
  return frame;
}

template <>
absl::StatusOr<ReplyFrame> OracleDecode<ReplyFrame>(const std::string& bytes) {
  v1::ReplyFrame proto;
  if (!proto.ParseFromString(bytes)) {
    return absl::InvalidArgumentError("protobuf does not parse the frame");
  }
  return DecodeBeginning<ReplyFrame>(proto);
}

v1::RequestFrame ToProto(const RequestFrame& frame) {
  auto proto = BeginningToProto<v1::RequestFrame>(frame);
  if (frame.optimizer) {
    proto.mutable_optimizer()->set_name(frame.optimizer->name);
    for (const auto& [name, value] : frame.optimizer->parameters) {
      (*proto.mutable_optimizer()->mutable_parameters())[name] = value;
    }
    for (const auto& [key, each] : frame.optimizer->multipliers) {
      v1::KeyMultipliers* to = proto.mutable_optimizer()->add_multipliers();
      to->set_key(key);
      to->set_lr_mult(each.lr_mult);
      to->set_wd_mult(each.wd_mult);
    }
    if (const LrScheduleConfig& schedule = frame.optimizer->schedule; !schedule.name.empty()) {
      v1::LrSchedule* to = proto.mutable_optimizer()->mutable_schedule();
      to->set_name(schedule.name);
      for (const auto& [name, value] : schedule.parameters)
        (*to->mutable_parameters())[name] = value;
      for (const uint64_t step : schedule.steps) to->add_steps(step);
    }
    proto.mutable_optimizer()->set_average(static_cast<v1::Average>(frame.optimizer->average));
  }
  if (frame.command) {
    proto.mutable_command()->set_id(frame.command->id);
    proto.mutable_command()->set_body(frame.command->body);
  }
  return proto;
}

v1::ReplyFrame ToProto(const ReplyFrame& frame) { return BeginningToProto<v1::ReplyFrame>(frame); }

}  // namespace kvstore::testing
