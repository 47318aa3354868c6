#include "tests/common/wire/sample_frames.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include "common/base/hash.h"

namespace kvstore::testing {
namespace {

RequestEntry Request(Op op, KeyId key, Round round, RequestId request) {
  RequestEntry entry;
  entry.op = op;
  entry.key = key;
  entry.round = round;
  entry.request = request;
  return entry;
}

FrameHeader WorkerHeader() {
  FrameHeader header;
  header.cluster = 0x0123456789abcdefu;
  header.epoch = 7;
  header.job = 1;
  header.rank = 3;
  header.incarnation = 41;
  header.server_incarnation = 40;
  return header;
}

RequestFrame PushFrame() {
  RequestFrame frame;
  frame.header = WorkerHeader();
  RequestEntry& push = frame.entries.emplace_back(Request(Op::kPush, KeyIdOf(int64_t{-5}), 9, 100));
  push.part = 2;
  push.step = 12345678901;
  push.piece.data = PatternBytes(100, 1);
  return frame;
}

// Sizes around the alignment, with empty parts between them.
RequestFrame ManyPushesFrame() {
  RequestFrame frame;
  frame.header = WorkerHeader();
  RequestId request = 1;
  for (const size_t size : {1, 0, 63, 64, 65, 0, 0, 127, 128, 4, 0}) {
    RequestEntry& push = frame.entries.emplace_back(Request(Op::kPush, request * 3, 1, request));
    push.piece.data = PatternBytes(size, static_cast<unsigned>(request));
    ++request;
  }
  return frame;
}

RequestFrame InitFrame() {
  RequestFrame frame;
  frame.header = WorkerHeader();
  const std::string names[] = {"conv1.weight", "", "a/b:c-d_e",
                               "gr\xc3\xb6\xc3\x9f\x65 \"\\\n\x01"};
  const DType dtypes[] = {DType::kFloat32, DType::kFloat64, DType::kBFloat16, DType::kBool};
  for (size_t i = 0; i < 4; ++i) {
    KeySpec& key = frame.keys.emplace_back();
    key.name = names[i];
    key.key = names[i].empty() ? KeyIdOf(int64_t{17}) : KeyIdOf(names[i]);
    key.dtype = dtypes[i];
    key.shape = i == 1 ? Shape{} : Shape{4, 8, int64_t{1} << static_cast<int>(10 * i)};
    key.storage = i == 2 ? Storage::kRowSparse : Storage::kDense;
    key.shape_unknown = i == 3;
    if (i == 0) key.compression = {"2bit", {{"threshold", 0.5}, {"min_size", 0}}};
    key.nan_policy = static_cast<NanPolicy>(i);
    if (i == 2) key.rule = {InitRuleKind::kUniform, -0.5, 0.5, 7, 1000};
    RequestEntry& init = frame.entries.emplace_back(Request(Op::kInit, key.key, 0, i + 1));
    if (i < 3) init.piece.data = PatternBytes(8 + i, 9);
  }
  return frame;
}

ReplyFrame Replies() {
  ReplyFrame frame;
  frame.header = WorkerHeader();
  ReplyEntry& done = frame.entries.emplace_back(Request(Op::kPull, 17, 10, 7));
  done.progress = Progress::kDone;
  done.version = 11;
  done.staleness = 3;
  done.data = PatternBytes(40, 77);
  ReplyEntry& refused = frame.entries.emplace_back(Request(Op::kPush, 18, 10, 8));
  refused.SetStatus(absl::InvalidArgumentError("key 18: shape [4,8] expected, got [4,7]"));
  ReplyEntry& later = frame.entries.emplace_back(Request(Op::kPush, 19, 10, 9));
  later.code = absl::StatusCode::kResourceExhausted;
  later.retry_after_ms = 20;
  ReplyEntry& waiting = frame.entries.emplace_back(Request(Op::kProbe, 20, 10, 10));
  waiting.progress = Progress::kReceived;
  waiting.missing_ranks = {0, 1, 127, 128, 300, std::numeric_limits<uint32_t>::max()};
  return frame;
}

RequestFrame OptimizerFrame() {
  RequestFrame frame;
  frame.header = WorkerHeader();
  frame.entries.push_back(Request(Op::kSetOptimizer, 0, 0, 5));
  frame.optimizer.emplace();
  frame.optimizer->name = "sgd";
  frame.optimizer->parameters = {{"", 0.0},
                                 {"clip_gradient", -1.0},
                                 {"learning_rate", 0.1},
                                 {"momentum", 0.9},
                                 {"nan", std::numeric_limits<double>::quiet_NaN()},
                                 {"wd", std::numeric_limits<double>::denorm_min()}};
  frame.optimizer->multipliers = {{0, {1, 0}}, {17, {0, 0}}, {KeyIdOf("conv1.bias"), {0.5, 2.0}}};
  frame.optimizer->schedule = {
      "multifactor", {{"factor", 0.1}, {"warmup_steps", 0}}, {1, 300, 1u << 20}};
  frame.optimizer->average = Average::kContributors;
  return frame;
}

RequestFrame CommandFrame() {
  RequestFrame frame;
  frame.header = WorkerHeader();
  frame.entries.push_back(Request(Op::kCommand, 0, 0, 6));
  frame.command = Command{-7, std::string("not \xff UTF-8\0", 12)};
  return frame;
}

// An Init of the first of two fragments, a push without a row, a pull of three rows.
RequestFrame RowsFrame() {
  RequestFrame frame;
  frame.header = WorkerHeader();
  RequestEntry& init = frame.entries.emplace_back(Request(Op::kInit, 5, 0, 1));
  init.part = 60;
  init.piece.create = true;
  init.piece.rows = 2;
  init.piece.fragments = 2;
  init.piece.data = PatternBytes(2 * (8 + 12), 3);
  RequestEntry& push = frame.entries.emplace_back(Request(Op::kPush, 5, 1, 2));
  push.piece.fragment = 300;
  push.piece.fragments = 301;
  RequestEntry& pull = frame.entries.emplace_back(Request(Op::kPull, 5, 1, 3));
  pull.piece.rows = 3;
  pull.piece.data = PatternBytes(3 * 8, 8);
  RequestEntry& all = frame.entries.emplace_back(Request(Op::kPull, 5, 1, 4));
  all.piece.rows = 3;
  all.piece.rows_from = 1;
  return frame;
}

// Entries about parts of key 5.
template <typename Entry>
struct Runs {
  std::vector<Entry>* entries;
  Entry& Add(Op op, PartIndex part, Round round, RequestId request) {
    Entry& entry = entries->emplace_back();
    static_cast<EntryHead&>(entry) = Request(op, 5, round, request);
    entry.part = part;
    return entry;
  }
  // What nearly is a run.
  void AddNearly() {
    Add(Op::kPull, 0, 1, 300);
    Add(Op::kPull, 1, 1, 302);      // another distance
    Add(Op::kPull, 2, 1, 303);      // a run of two
    Add(Op::kPull, 513, 1, 814);    // and as far as it goes
    Add(Op::kPull, 513, 1, 815);    // the same part
    Add(Op::kPull, 1026, 1, 1328);  // too far
  }
};

// Pushes without a row to many stripes, a push with rows between them, a second round.
RequestFrame RunsOfRequests() {
  RequestFrame frame;
  frame.header = WorkerHeader();
  Runs<RequestEntry> runs{&frame.entries};
  for (PartIndex part = 0; part < 61; ++part) {
    RequestEntry& push = runs.Add(Op::kPush, part, 1, 100 + part);
    if (part == 7) push.piece.data = PatternBytes(20, 1);
  }
  for (PartIndex part = 0; part < 61; part += 3) runs.Add(Op::kPush, part, 2, 161 + part);
  runs.AddNearly();
  runs.Add(Op::kPull, 1027, 1, 1329).step = 20;
  runs.Add(Op::kTakeBack, 1028, 0, 1330).takes_back = 7;
  runs.Add(Op::kTakeBack, 1029, 0, 1331).takes_back = 7;  // a run of two
  runs.Add(Op::kTakeBack, 1030, 0, 1332).takes_back = 8;
  return frame;
}

ReplyFrame RunsOfReplies() {
  ReplyFrame frame;
  frame.header = WorkerHeader();
  Runs<ReplyEntry> runs{&frame.entries};
  for (PartIndex part = 1; part < 61; part += 9) {
    runs.Add(Op::kPush, part, 1, 100 + part).progress = Progress::kDone;
  }
  runs.AddNearly();
  runs.Add(Op::kPull, 1027, 1, 1329).retry_after_ms = 20;
  runs.Add(Op::kPull, 1028, 1, 1330).message = "one of its own";
  runs.Add(Op::kPull, 1029, 1, 1331).version = 1;
  runs.Add(Op::kPull, 1030, 1, 1332).version = 2;
  runs.Add(Op::kPull, 1031, 1, 1333).staleness = 1;
  runs.Add(Op::kPull, 1032, 1, 1334).life = 1;
  return frame;
}

constexpr uint64_t kMax64 = std::numeric_limits<uint64_t>::max();
constexpr uint32_t kMax32 = std::numeric_limits<uint32_t>::max();

EntryHead LargestHead() {
  EntryHead head;
  head.op = static_cast<Op>(kMax32);
  head.key = kMax64;
  head.part = kMax32;
  head.round = kMax64;
  head.request = kMax64;
  head.life = kMax64;
  return head;
}

KeySpec LargestKey() {
  KeySpec key;
  key.key = kMax64;
  key.dtype = static_cast<DType>(255);
  key.shape.assign(9, std::numeric_limits<int64_t>::min());
  key.storage = static_cast<Storage>(0x80000000u);
  key.nan_policy = static_cast<NanPolicy>(kMax32);
  key.rule = {static_cast<InitRuleKind>(kMax32), std::numeric_limits<double>::max(),
              std::numeric_limits<double>::lowest(), kMax64, kMax64};
  return key;
}

// The largest number in every field, and enums that nobody knows.
RequestFrame LargestRequest() {
  RequestFrame frame;
  frame.header = {kMax64, kMax32, kMax64, kMax64, kMax32, kMax64, kMax64};
  RequestEntry& entry = frame.entries.emplace_back();
  static_cast<EntryHead&>(entry) = LargestHead();
  entry.step = kMax64;
  entry.probed_op = static_cast<Op>(0x7fffffffu);
  entry.takes_back = kMax64;
  entry.piece.rows = kMax32;
  entry.piece.fragment = kMax32;
  entry.piece.fragments = kMax32;
  entry.piece.rows_from = kMax64;
  entry.piece.create = true;
  frame.keys.push_back(LargestKey());
  return frame;
}

ReplyFrame LargestReply() {
  ReplyFrame frame;
  frame.header = {kMax64, kMax32, kMax64, kMax64, kMax32, kMax64, kMax64};
  ReplyEntry& entry = frame.entries.emplace_back(LargestHead());
  entry.code = absl::StatusCode::kUnauthenticated;
  entry.message = std::string(kErrorTextBytesMax, 'm');
  entry.progress = static_cast<Progress>(99);
  entry.retry_after_ms = kMax32;
  entry.missing_ranks.assign(200, kMax32);
  entry.version = kMax64;
  entry.staleness = kMax64;
  frame.keys.push_back(LargestKey());
  return frame;
}

std::string RandomText(std::mt19937_64& random) {
  static const std::string kCharacters[] = {"a",
                                            "Z",
                                            ".",
                                            "/",
                                            "\n",
                                            std::string(1, '\0'),
                                            "\x7f",
                                            "\xc2\x80",
                                            "\xe2\x82\xac",
                                            "\xed\x9f\xbf",
                                            "\xf0\x9f\x98\x80",
                                            "\xf4\x8f\xbf\xbf"};
  std::string text;
  for (uint64_t n = random() % 12; n > 0; --n) text += kCharacters[random() % 12];
  return text;
}

// A number of any magnitude, 0 often.
uint64_t RandomNumber(std::mt19937_64& random) {
  const uint64_t bits = random() % 65;
  return bits == 0 ? 0 : random() >> (64 - bits);
}

}  // namespace

Payload PatternBytes(size_t size, unsigned first) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(first + i * 7);
  return Payload::CopyOf(bytes);
}

namespace {

// What both kinds of frame have a sample of.
template <typename Frame>
std::vector<std::pair<std::string, Frame>> EmptyFrames() {
  Frame nothing;
  nothing.header.protocol = 0;
  Frame empty_messages;
  empty_messages.entries.emplace_back();
  empty_messages.keys.emplace_back();
  return {{"nothing", nothing}, {"protocol_only", Frame()}, {"empty_messages", empty_messages}};
}

FrameHeader RandomHeader(std::mt19937_64& random) {
  FrameHeader header;
  header.cluster = random();
  header.protocol = static_cast<uint32_t>(RandomNumber(random));
  header.epoch = RandomNumber(random);
  header.job = RandomNumber(random);
  header.rank = static_cast<uint32_t>(RandomNumber(random));
  header.incarnation = RandomNumber(random);
  header.server_incarnation = RandomNumber(random);
  return header;
}

void FillRandomly(RequestEntry* entry, std::mt19937_64& random) {
  entry->step = RandomNumber(random);
  entry->probed_op = static_cast<Op>(RandomNumber(random));
  entry->takes_back = RandomNumber(random);
  entry->piece.rows = static_cast<uint32_t>(RandomNumber(random));
  entry->piece.fragment = static_cast<uint32_t>(RandomNumber(random));
  entry->piece.fragments = std::max(static_cast<uint32_t>(RandomNumber(random)), 1u);
  entry->piece.create = random() % 2 == 0;
  entry->piece.codec = static_cast<CodecId>(RandomNumber(random));
  entry->piece.rows_from = RandomNumber(random);
}

void FillRandomly(ReplyEntry* entry, std::mt19937_64& random) {
  entry->code = static_cast<absl::StatusCode>(random() % 17);
  entry->message = RandomText(random);
  entry->progress = static_cast<Progress>(RandomNumber(random));
  entry->retry_after_ms = static_cast<uint32_t>(RandomNumber(random));
  for (uint64_t i = random() % 4; i > 0; --i) {
    entry->missing_ranks.push_back(static_cast<WorkerRank>(RandomNumber(random)));
  }
  entry->version = RandomNumber(random);
  entry->staleness = RandomNumber(random);
}

// Without what keeps an entry from standing for others, mostly.
void MakeFitForRun(RequestEntry*, std::mt19937_64&) {}
void MakeFitForRun(ReplyEntry* entry, std::mt19937_64& random) {
  if (random() % 4 != 0) entry->message.clear();
  if (random() % 4 != 0) entry->missing_ranks.clear();
}

template <typename Entry>
std::vector<Entry> RandomEntries(std::mt19937_64& random) {
  std::vector<Entry> entries;
  for (uint64_t n = random() % 7; n > 0; --n) {
    Entry& entry = entries.emplace_back();
    entry.op = static_cast<Op>(random() % 12);
    entry.key = RandomNumber(random);
    entry.part = static_cast<PartIndex>(RandomNumber(random));
    entry.round = RandomNumber(random);
    entry.request = RandomNumber(random);
    entry.life = random() % 4 == 0 ? RandomNumber(random) : 0;
    FillRandomly(&entry, random);
    const size_t data_bytes = random() % 3 == 0 ? 0 : random() % 301;
    BytesOf(entry) = PatternBytes(data_bytes, static_cast<unsigned>(random() % 256));
    if (random() % 4 != 0) continue;
    // A run, or nearly one.
    BytesOf(entry) = Payload();
    MakeFitForRun(&entry, random);
    const Entry first = entry;
    uint32_t distance = 0;
    for (uint64_t i = random() % 20; i > 0; --i) {
      distance += static_cast<uint32_t>(1 + random() % 60);
      Entry& next = entries.emplace_back(first);
      next.part += distance;
      next.request += distance + (random() % 16 == 0 ? 1 : 0);
    }
  }
  return entries;
}

std::vector<KeySpec> RandomKeys(std::mt19937_64& random) {
  std::vector<KeySpec> keys;
  for (uint64_t n = random() % 4; n > 0; --n) {
    KeySpec& key = keys.emplace_back();
    key.key = RandomNumber(random);
    key.name = RandomText(random);
    key.dtype = static_cast<DType>(random() % 256);
    for (uint64_t i = random() % 5; i > 0; --i) {
      key.shape.push_back(static_cast<int64_t>(RandomNumber(random)));
    }
    key.storage = static_cast<Storage>(RandomNumber(random));
    key.shape_unknown = random() % 2 == 0;
    key.nan_policy = static_cast<NanPolicy>(RandomNumber(random));
    if (random() % 4 == 0) {
      key.rule = {static_cast<InitRuleKind>(RandomNumber(random)), 0.25, -2, RandomNumber(random),
                  RandomNumber(random)};
    }
    if (random() % 2 == 0)
      key.compression = {"x" + RandomText(random), {{RandomText(random), 0.25}}};
  }
  return keys;
}

}  // namespace

template <>
std::vector<std::pair<std::string, RequestFrame>> SampleFrames<RequestFrame>() {
  auto samples = EmptyFrames<RequestFrame>();
  samples.back().second.optimizer.emplace();
  samples.emplace_back("push", PushFrame());
  samples.emplace_back("many_pushes", ManyPushesFrame());
  samples.emplace_back("init", InitFrame());
  samples.emplace_back("optimizer", OptimizerFrame());
  samples.emplace_back("command", CommandFrame());
  samples.emplace_back("rows", RowsFrame());
  samples.emplace_back("runs", RunsOfRequests());
  samples.emplace_back("extremes", LargestRequest());
  return samples;
}

template <>
std::vector<std::pair<std::string, ReplyFrame>> SampleFrames<ReplyFrame>() {
  auto samples = EmptyFrames<ReplyFrame>();
  samples.emplace_back("replies", Replies());
  samples.emplace_back("runs", RunsOfReplies());
  samples.emplace_back("extremes", LargestReply());
  return samples;
}

template <>
RequestFrame RandomFrame<RequestFrame>(std::mt19937_64& random) {
  RequestFrame frame;
  frame.header = RandomHeader(random);
  frame.entries = RandomEntries<RequestEntry>(random);
  frame.keys = RandomKeys(random);
  if (random() % 3 == 0) {
    frame.optimizer.emplace();
    frame.optimizer->name = RandomText(random);
    for (uint64_t n = random() % 4; n > 0; --n) {
      const uint64_t bits = RandomNumber(random);
      double value = 0;
      std::memcpy(&value, &bits, sizeof(value));
      frame.optimizer->parameters[RandomText(random)] = value;
      frame.optimizer->multipliers[RandomNumber(random)] = {value, 1.5};
      frame.optimizer->schedule.name = "x" + RandomText(random);
      frame.optimizer->schedule.parameters[RandomText(random)] = value;
      frame.optimizer->schedule.steps.push_back(RandomNumber(random));
    }
    frame.optimizer->average = static_cast<Average>(random() % 4);
  }
  if (random() % 3 == 0) {
    frame.command = Command{static_cast<int32_t>(RandomNumber(random)), RandomText(random)};
  }
  return frame;
}

template <>
ReplyFrame RandomFrame<ReplyFrame>(std::mt19937_64& random) {
  ReplyFrame frame;
  frame.header = RandomHeader(random);
  frame.entries = RandomEntries<ReplyEntry>(random);
  frame.keys = RandomKeys(random);
  return frame;
}

Payload CutEvery(const std::string& bytes, size_t slice_bytes) {
  Payload payload;
  for (size_t at = 0; at < bytes.size(); at += slice_bytes) {
    const size_t size = std::min(slice_bytes, bytes.size() - at);
    auto memory = std::make_shared<std::vector<uint8_t>>(
        bytes.begin() + static_cast<long>(at), bytes.begin() + static_cast<long>(at + size));
    const uint8_t* data = memory->data();
    payload.Append(Slice{data, size, std::move(memory)});
  }
  return payload;
}

}  // namespace kvstore::testing
