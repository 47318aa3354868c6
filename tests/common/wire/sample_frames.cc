#include "tests/common/wire/sample_frames.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include "common/base/hash.h"

namespace kvstore::testing {
namespace {

PartEntry Request(Op op, KeyId key, Round round, RequestId request) {
  PartEntry part;
  part.op = op;
  part.key = key;
  part.round = round;
  part.request = request;
  return part;
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

Frame PushFrame() {
  Frame frame;
  frame.header = WorkerHeader();
  PartEntry& push = frame.parts.emplace_back(Request(Op::kPush, KeyIdOf(int64_t{-5}), 9, 100));
  push.part = 2;
  push.step = 12345678901;
  push.data = PatternBytes(100, 1);
  return frame;
}

// Sizes around the alignment, with empty parts between them.
Frame ManyPushesFrame() {
  Frame frame;
  frame.header = WorkerHeader();
  RequestId request = 1;
  for (const size_t size : {1, 0, 63, 64, 65, 0, 0, 127, 128, 4, 0}) {
    PartEntry& push = frame.parts.emplace_back(Request(Op::kPush, request * 3, 1, request));
    push.data = PatternBytes(size, static_cast<unsigned>(request));
    ++request;
  }
  return frame;
}

Frame InitFrame() {
  Frame frame;
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
    PartEntry& init = frame.parts.emplace_back(Request(Op::kInit, key.key, 0, i + 1));
    if (i < 3) init.data = PatternBytes(8 + i, 9);
  }
  return frame;
}

Frame ReplyFrame() {
  Frame frame;
  frame.header = WorkerHeader();
  PartEntry done = Request(Op::kPull, 17, 10, 7);
  done.progress = Progress::kDone;
  done.data = PatternBytes(40, 77);
  PartEntry refused = Request(Op::kPush, 18, 10, 8);
  refused.code = absl::StatusCode::kInvalidArgument;
  refused.message = "key 18: shape [4,8] expected, got [4,7]";
  PartEntry later = Request(Op::kPush, 19, 10, 9);
  later.code = absl::StatusCode::kResourceExhausted;
  later.retry_after_ms = 20;
  PartEntry waiting = Request(Op::kProbe, 20, 10, 10);
  waiting.probed_op = Op::kPull;
  waiting.progress = Progress::kReceived;
  waiting.missing_ranks = {0, 1, 127, 128, 300, std::numeric_limits<uint32_t>::max()};
  frame.parts = {done, refused, later, waiting};
  return frame;
}

Frame OptimizerFrame() {
  Frame frame;
  frame.header = WorkerHeader();
  frame.parts.push_back(Request(Op::kSetOptimizer, 0, 0, 5));
  frame.optimizer.emplace();
  frame.optimizer->name = "sgd";
  frame.optimizer->parameters = {{"", 0.0},
                                 {"clip_gradient", -1.0},
                                 {"learning_rate", 0.1},
                                 {"momentum", 0.9},
                                 {"nan", std::numeric_limits<double>::quiet_NaN()},
                                 {"wd", std::numeric_limits<double>::denorm_min()}};
  frame.optimizer->multipliers = {{0, {1, 0}}, {17, {0, 0}}, {KeyIdOf("conv1.bias"), {0.5, 2.0}}};
  return frame;
}

Frame CommandFrame() {
  Frame frame;
  frame.header = WorkerHeader();
  frame.parts.push_back(Request(Op::kCommand, 0, 0, 6));
  frame.command = Command{-7, std::string("not \xff UTF-8\0", 12)};
  return frame;
}

// An Init of the first of two fragments, a push without a row, a pull of three rows.
Frame RowsFrame() {
  Frame frame;
  frame.header = WorkerHeader();
  PartEntry& init = frame.parts.emplace_back(Request(Op::kInit, 5, 0, 1));
  init.part = 60;
  init.create = true;
  init.rows = 2;
  init.fragments = 2;
  init.data = PatternBytes(2 * (8 + 12), 3);
  PartEntry& push = frame.parts.emplace_back(Request(Op::kPush, 5, 1, 2));
  push.fragment = 300;
  push.fragments = 301;
  PartEntry& pull = frame.parts.emplace_back(Request(Op::kPull, 5, 1, 3));
  pull.rows = 3;
  pull.data = PatternBytes(3 * 8, 8);
  return frame;
}

// Pushes without a row to many stripes, a push with rows between them, a second round; done ones;
// what nearly is a run.
Frame RunsFrame() {
  Frame frame;
  frame.header = WorkerHeader();
  const auto add = [&](Op op, PartIndex part, Round round, RequestId request) -> PartEntry& {
    PartEntry& entry = frame.parts.emplace_back(Request(op, 5, round, request));
    entry.part = part;
    return entry;
  };
  for (PartIndex part = 0; part < 61; ++part) {
    PartEntry& push = add(Op::kPush, part, 1, 100 + part);
    if (part == 7) push.data = PatternBytes(20, 1);
  }
  for (PartIndex part = 0; part < 61; part += 3) add(Op::kPush, part, 2, 161 + part);
  for (PartIndex part = 1; part < 61; part += 9) {
    add(Op::kPush, part, 1, 100 + part).progress = Progress::kDone;
  }
  add(Op::kPull, 0, 1, 300);
  add(Op::kPull, 1, 1, 302);      // another distance
  add(Op::kPull, 2, 1, 303);      // a run of two
  add(Op::kPull, 513, 1, 814);    // and as far as it goes
  add(Op::kPull, 513, 1, 815);    // the same part
  add(Op::kPull, 1026, 1, 1328);  // too far
  add(Op::kPull, 1027, 1, 1329).retry_after_ms = 20;
  add(Op::kPull, 1028, 1, 1330).message = "one of its own";
  return frame;
}

// The largest number in every field, and enums that nobody knows.
Frame ExtremeFrame() {
  constexpr uint64_t kMax64 = std::numeric_limits<uint64_t>::max();
  constexpr uint32_t kMax32 = std::numeric_limits<uint32_t>::max();
  Frame frame;
  frame.header = {kMax64, kMax32, kMax64, kMax64, kMax32, kMax64, kMax64};
  PartEntry& part = frame.parts.emplace_back();
  part.op = static_cast<Op>(kMax32);
  part.key = kMax64;
  part.part = kMax32;
  part.round = kMax64;
  part.request = kMax64;
  part.step = kMax64;
  part.probed_op = static_cast<Op>(0x7fffffffu);
  part.code = absl::StatusCode::kUnauthenticated;
  part.message = std::string(kErrorTextBytesMax, 'm');
  part.progress = static_cast<Progress>(99);
  part.retry_after_ms = kMax32;
  part.missing_ranks.assign(200, kMax32);
  part.rows = kMax32;
  part.fragment = kMax32;
  part.fragments = kMax32;
  part.create = true;
  KeySpec& key = frame.keys.emplace_back();
  key.key = kMax64;
  key.dtype = static_cast<DType>(255);
  key.shape.assign(9, std::numeric_limits<int64_t>::min());
  key.storage = static_cast<Storage>(0x80000000u);
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

std::vector<std::pair<std::string, Frame>> SampleFrames() {
  std::vector<std::pair<std::string, Frame>> samples;
  Frame nothing;
  nothing.header.protocol = 0;
  samples.emplace_back("nothing", nothing);
  samples.emplace_back("protocol_only", Frame{});
  Frame empty_part;
  empty_part.parts.emplace_back();
  empty_part.keys.emplace_back();
  empty_part.optimizer.emplace();
  samples.emplace_back("empty_messages", empty_part);
  samples.emplace_back("push", PushFrame());
  samples.emplace_back("many_pushes", ManyPushesFrame());
  samples.emplace_back("init", InitFrame());
  samples.emplace_back("replies", ReplyFrame());
  samples.emplace_back("optimizer", OptimizerFrame());
  samples.emplace_back("command", CommandFrame());
  samples.emplace_back("rows", RowsFrame());
  samples.emplace_back("runs", RunsFrame());
  samples.emplace_back("extremes", ExtremeFrame());
  return samples;
}

Frame RandomFrame(std::mt19937_64& random) {
  Frame frame;
  frame.header = {random(),
                  static_cast<uint32_t>(RandomNumber(random)),
                  RandomNumber(random),
                  RandomNumber(random),
                  static_cast<uint32_t>(RandomNumber(random)),
                  RandomNumber(random),
                  RandomNumber(random)};
  for (uint64_t n = random() % 7; n > 0; --n) {
    PartEntry& part = frame.parts.emplace_back();
    part.op = static_cast<Op>(random() % 9);
    part.key = RandomNumber(random);
    part.part = static_cast<PartIndex>(RandomNumber(random));
    part.round = RandomNumber(random);
    part.request = RandomNumber(random);
    part.step = RandomNumber(random);
    part.probed_op = static_cast<Op>(RandomNumber(random));
    part.code = static_cast<absl::StatusCode>(random() % 17);
    part.message = RandomText(random);
    part.progress = static_cast<Progress>(RandomNumber(random));
    part.retry_after_ms = static_cast<uint32_t>(RandomNumber(random));
    for (uint64_t i = random() % 4; i > 0; --i) {
      part.missing_ranks.push_back(static_cast<WorkerRank>(RandomNumber(random)));
    }
    part.rows = static_cast<uint32_t>(RandomNumber(random));
    part.fragment = static_cast<uint32_t>(RandomNumber(random));
    part.fragments = static_cast<uint32_t>(RandomNumber(random));
    part.create = random() % 2 == 0;
    const size_t data_bytes = random() % 3 == 0 ? 0 : random() % 301;
    part.data = PatternBytes(data_bytes, static_cast<unsigned>(random() % 256));
    if (random() % 4 != 0) continue;
    // A run, or nearly one.
    part.data = Payload();
    if (random() % 4 != 0) part.message.clear();
    if (random() % 4 != 0) part.missing_ranks.clear();
    const PartEntry first = part;
    uint32_t distance = 0;
    for (uint64_t i = random() % 20; i > 0; --i) {
      distance += static_cast<uint32_t>(1 + random() % 60);
      PartEntry& next = frame.parts.emplace_back(first);
      next.part += distance;
      next.request += distance + (random() % 16 == 0 ? 1 : 0);
    }
  }
  for (uint64_t n = random() % 4; n > 0; --n) {
    KeySpec& key = frame.keys.emplace_back();
    key.key = RandomNumber(random);
    key.name = RandomText(random);
    key.dtype = static_cast<DType>(random() % 256);
    for (uint64_t i = random() % 5; i > 0; --i) {
      key.shape.push_back(static_cast<int64_t>(RandomNumber(random)));
    }
    key.storage = static_cast<Storage>(RandomNumber(random));
    key.shape_unknown = random() % 2 == 0;
  }
  if (random() % 3 == 0) {
    frame.optimizer.emplace();
    frame.optimizer->name = RandomText(random);
    for (uint64_t n = random() % 4; n > 0; --n) {
      const uint64_t bits = RandomNumber(random);
      double value = 0;
      std::memcpy(&value, &bits, sizeof(value));
      frame.optimizer->parameters[RandomText(random)] = value;
      frame.optimizer->multipliers[RandomNumber(random)] = {value, 1.5};
    }
  }
  if (random() % 3 == 0) {
    frame.command = Command{static_cast<int32_t>(RandomNumber(random)), RandomText(random)};
  }
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
