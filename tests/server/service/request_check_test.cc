// Every refusal that request_check.h promises, and that its message names key, expected and got.
#include "server/service/request_check.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <limits>
#include <string>

#include "common/cluster/partitioner.h"
#include "common/model/command.h"
#include "common/wire/norm_note.h"
#include "common/wire/state_page.h"

namespace kvstore {
namespace {

constexpr Round kTooLarge = Round{1} << 63;

Payload Bytes(size_t size) { return Payload(std::make_shared<Buffer>(size)); }

// A frame of one entry.
RequestFrame Request(Op op, KeyId key = 17) {
  RequestFrame frame;
  RequestEntry& entry = frame.entries.emplace_back();
  entry.op = op;
  entry.key = key;
  entry.request = 5;
  return frame;
}

RequestFrame Push() {
  RequestFrame frame = Request(Op::kPush);
  frame.entries[0].round = 1;
  frame.entries[0].piece.data = Bytes(8);
  return frame;
}

RequestFrame Probe(Op probed) {
  RequestFrame frame = Request(Op::kProbe);
  frame.entries[0].probed_op = probed;
  frame.entries[0].round = 1;
  return frame;
}

RequestFrame Init(const std::string& name, DType dtype, Shape shape) {
  const KeyId key = name.empty() ? KeyIdOf(int64_t{17}) : KeyIdOf(std::string_view(name));
  RequestFrame frame = Request(Op::kInit, key);
  KeySpec& spec = frame.keys.emplace_back();
  spec.key = key;
  spec.name = name;
  spec.dtype = dtype;
  spec.shape = std::move(shape);
  return frame;
}

absl::Status Check(const RequestFrame& frame) { return CheckEntry(frame, frame.entries.at(0)); }

void CheckOk(const RequestFrame& frame) {
  const absl::Status request = CheckRequest(frame);
  const absl::Status entry = Check(frame);
  CHECK(request.ToString() == "OK");
  CHECK(entry.ToString() == "OK");
}

void CheckRefused(const absl::Status& status, const std::string& message,
                  absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  CHECK(absl::StatusCodeToString(status.code()) == absl::StatusCodeToString(code));
  CHECK(std::string(status.message()) == message);
}

TEST_CASE("honest requests pass", "[request_check]") {
  CheckOk(Push());
  CheckOk(Request(Op::kPull));
  CheckOk(Request(Op::kLeave));
  CheckOk(Probe(Op::kPush));
  CheckOk(Probe(Op::kPull));
  CheckOk(Probe(Op::kInit));
  CheckOk(Init("conv1.weight", DType::kFloat32, {4, 8}));
  for (int dtype = 1; dtype <= 9; ++dtype) CheckOk(Init("", static_cast<DType>(dtype), {}));
  for (const Op op : {Op::kSetOptimizer, Op::kCheckOptimizer, Op::kSetNumbers}) {
    RequestFrame optimizer = Request(op);
    optimizer.entries[0].step = 1;
    optimizer.optimizer.emplace();
    CheckOk(optimizer);
  }
}

TEST_CASE("a frame of another protocol is refused with the supported range", "[request_check]") {
  for (const uint32_t protocol : {0u, 2u, 99u}) {
    RequestFrame frame = Push();
    frame.header.protocol = protocol;
    CheckRefused(CheckRequest(frame), "protocol 1 to 1 expected, got " + std::to_string(protocol),
                 absl::StatusCode::kFailedPrecondition);
  }
}

TEST_CASE("a frame without entries or with too many is refused", "[request_check]") {
  RequestFrame frame;
  CheckRefused(CheckRequest(frame), "a frame with at least 1 entry expected, got none");
  frame.entries.resize(kEntriesPerFrameMax);
  CHECK(CheckRequest(frame).ok());
  frame.entries.emplace_back();
  CheckRefused(CheckRequest(frame),
               "a frame with at most 4096 entries and keys expected, got 4097 and 0");
}

TEST_CASE("a frame that describes a key twice is refused", "[request_check]") {
  RequestFrame frame = Init("", DType::kFloat32, {2});
  frame.keys.emplace_back().key = 16;
  CHECK(CheckRequest(frame).ok());
  frame.keys.push_back(frame.keys[0]);
  CheckRefused(CheckRequest(frame), "key 17: one KeySpec in the frame expected, got several");
}

TEST_CASE("unknown ops are refused", "[request_check]") {
  for (const uint32_t op : {0u, 17u, 0xffffffffu}) {
    CheckRefused(
        Check(Request(static_cast<Op>(op))),
        "OP? of key 17: op 1 (INIT) to 16 (WRITE_STATE) expected, got " + std::to_string(op));
  }
}

TEST_CASE("rounds lie between 1 and 2^63 - 1, requests from 1", "[request_check]") {
  const Op op = GENERATE(Op::kInit, Op::kPush, Op::kPull, Op::kProbe, Op::kLeave);
  RequestFrame frame = Request(op);
  frame.entries[0].round = kTooLarge;
  CheckRefused(
      Check(frame),
      std::string(OpName(op)) + " of key 17: a round below 2^63 expected, got 9223372036854775808");
  frame.entries[0].round = 1;
  frame.entries[0].request = 0;
  CheckRefused(Check(frame), std::string(OpName(op)) +
                                 " of key 17: a request number of at least 1 expected, got 0");
  RequestFrame push = Push();
  push.entries[0].round = kTooLarge - 1;
  CheckOk(push);
  push.entries[0].round = 0;
  CheckRefused(Check(push), "PUSH of key 17: a round of at least 1 expected, got 0");
}

TEST_CASE("a take-back names the Init that it takes back", "[request_check]") {
  RequestFrame take_back = Request(Op::kTakeBack);
  CheckRefused(Check(take_back), "TAKE_BACK of key 17: takes_back of at least 1 expected, got 0");
  take_back.entries[0].takes_back = 4;
  CheckOk(take_back);
}

TEST_CASE("a push has the bytes of a part", "[request_check]") {
  RequestFrame push = Push();
  push.entries[0].piece.data = Bytes(kPartBytesMax);
  CheckOk(push);
  push.entries[0].piece.data = Bytes(kPartBytesMax + 1);
  CheckRefused(Check(push), "PUSH of key 17: at most 1048576 bytes expected, got 1048577");
}

TEST_CASE("rows have ids, and there are not too many of them", "[request_check]") {
  RequestFrame push = Push();
  push.entries[0].piece.rows = 2;
  push.entries[0].piece.data = Bytes(16 + 3);
  CheckOk(push);
  push.entries[0].piece.data = Bytes(15);
  CheckRefused(Check(push), "PUSH of key 17: 16 bytes of ids at least expected for 2 rows, got 15");
  push.entries[0].piece.rows = 0;
  push.entries[0].piece.data = Payload();  // a contribution without rows
  CheckOk(push);
  push.entries[0].piece.rows = (1 << 18) + 1;
  CheckRefused(Check(push), "PUSH of key 17: at most 262144 rows expected, got 262145");

  RequestFrame pull = Request(Op::kPull);
  pull.entries[0].piece.rows = 2;
  pull.entries[0].piece.data = Bytes(16);
  CheckOk(pull);
  pull.entries[0].piece.data = Bytes(17);
  CheckRefused(Check(pull), "PULL of key 17: 16 bytes of ids expected for 2 rows, got 17");
}

TEST_CASE("rows without a gap have no ids", "[request_check]") {
  RequestFrame push = Push();
  push.entries[0].piece.rows = 2;
  push.entries[0].piece.rows_from = 18;
  push.entries[0].piece.data = Bytes(3);
  CheckOk(push);
  RequestFrame pull = Request(Op::kPull);
  pull.entries[0].piece.rows = 2;
  pull.entries[0].piece.rows_from = 18;
  CheckOk(pull);
  pull.entries[0].piece.data = Bytes(16);
  CheckRefused(Check(pull), "PULL of key 17: 0 bytes of ids expected for 2 rows, got 16");
  pull.entries[0].piece.data = Payload();
  pull.entries[0].piece.rows = 0;
  CheckRefused(Check(pull), "PULL of key 17: rows expected from 17 on, got none");
}

TEST_CASE("a fragment is one of those that there are", "[request_check]") {
  RequestFrame push = Push();
  push.entries[0].piece.fragments = 3;
  push.entries[0].piece.fragment = 2;
  CheckOk(push);
  push.entries[0].piece.fragment = 3;
  CheckRefused(Check(push), "PUSH of key 17: a fragment below 3 expected, got 3");
  push.entries[0].piece.fragments = 4096;
  CheckOk(push);
  push.entries[0].piece.fragments = 4097;
  CheckRefused(Check(push), "PUSH of key 17: at most 4096 fragments expected, got 4097");
  push.entries[0].piece.fragments = 1;
  push.entries[0].piece.fragment = 1;
  CheckRefused(Check(push), "PUSH of key 17: a fragment below 1 expected, got 1");
}

TEST_CASE("only what may come in fragments has them", "[request_check]") {
  RequestFrame pull = Request(Op::kPull);
  pull.entries[0].piece.fragments = 2;
  CheckRefused(Check(pull), "PULL of key 17: at most 1 fragment expected, got 2");
}

TEST_CASE("requests that carry no bytes are refused with some", "[request_check]") {
  const Op op = GENERATE(Op::kProbe, Op::kLeave, Op::kSetOptimizer, Op::kCheckOptimizer,
                         Op::kSetNumbers, Op::kTakeBack);
  RequestFrame frame = Request(op);
  frame.entries[0].step = 1;
  frame.entries[0].probed_op = Op::kPull;
  frame.entries[0].takes_back = 1;
  frame.optimizer.emplace();
  CheckOk(frame);
  frame.entries[0].piece.data = Bytes(3);
  CheckRefused(Check(frame), std::string(OpName(op)) + " of key 17: no bytes expected, got 3");
}

TEST_CASE("a probe asks after an INIT, PUSH, PULL, TAKE_BACK, DELETE, RESET or WRITE_STATE",
          "[request_check]") {
  CheckRefused(Check(Probe(Op::kProbe)),
               "PROBE of key 17: probed_op INIT, PUSH, PULL, TAKE_BACK, DELETE, RESET or "
               "WRITE_STATE expected, got PROBE (4)");
  CheckRefused(Check(Probe(static_cast<Op>(70))),
               "PROBE of key 17: probed_op INIT, PUSH, PULL, TAKE_BACK, DELETE, RESET or "
               "WRITE_STATE expected, got OP? (70)");
  RequestFrame probe = Probe(Op::kPush);
  probe.entries[0].round = 0;
  CheckRefused(Check(probe), "PROBE of key 17: a round of at least 1 expected, got 0");
  for (const Op probed : {Op::kInit, Op::kPull, Op::kTakeBack}) {
    probe.entries[0].probed_op = probed;
    CheckOk(probe);
  }
}

TEST_CASE("SET_OPTIMIZER and CHECK_OPTIMIZER without an optimizer are refused", "[request_check]") {
  CheckRefused(Check(Request(Op::kSetOptimizer)),
               "SET_OPTIMIZER: an optimizer in the frame expected, got none");
  CheckRefused(Check(Request(Op::kCheckOptimizer)),
               "CHECK_OPTIMIZER: an optimizer in the frame expected, got none");
}

TEST_CASE("SET_NUMBERS without numbers, or from no step on, is refused", "[request_check]") {
  RequestFrame frame = Request(Op::kSetNumbers);
  CheckRefused(Check(frame), "SET_NUMBERS: an optimizer in the frame expected, got none");
  frame.optimizer.emplace();
  CheckRefused(Check(frame), "SET_NUMBERS: a step of at least 1 expected, got 0");
}

TEST_CASE("states are read and written by notes that are whole", "[request_check]") {
  RequestFrame read = Request(Op::kReadState);
  CheckRefused(Check(read),
               "READ_STATE of key 17: state of an updater: where a page begins, in 16 bytes, "
               "expected, got 0");
  read.entries[0].piece.data = EncodeStateCursor({});
  CheckOk(read);
  RequestFrame write = Request(Op::kWriteState);
  CheckRefused(Check(write),
               "WRITE_STATE of key 17: state of an updater: a page expected, got 0 bytes");
  StatePage page;
  page.data = Bytes(2 << 20);  // of a row of 1 MiB of f16, in f32
  write.entries[0].piece.data = EncodeStatePage(page);
  CheckOk(write);
  write.entries[0].piece.data = Bytes(kStateBytesMax + 1);
  CheckRefused(Check(write), "WRITE_STATE of key 17: at most 2101248 bytes expected, got 2101249");
}

TEST_CASE("INIT without its KeySpec is refused", "[request_check]") {
  RequestFrame frame = Request(Op::kInit);
  CheckRefused(Check(frame),
               "INIT of key 17: its KeySpec expected among the 0 in the frame, got none");
  frame.keys.resize(2);
  CheckRefused(Check(frame),
               "INIT of key 17: its KeySpec expected among the 2 in the frame, got none");
}

TEST_CASE("key names are 1 to 256 bytes of [A-Za-z0-9_./:-]", "[request_check]") {
  CheckOk(Init("azAZ09_./:-", DType::kFloat32, {1}));
  CheckOk(Init(std::string(256, 'k'), DType::kFloat32, {1}));
  CheckRefused(Check(Init(std::string(257, 'k'), DType::kFloat32, {1})),
               "INIT of key '" + std::string(256, 'k') +
                   "'... (257 bytes): a name of 1 to 256 bytes expected, got 257");
  const std::string allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:-";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string name = "a" + std::string(1, static_cast<char>(byte));
    CAPTURE(byte);
    const bool ok = byte != 0 && allowed.find(static_cast<char>(byte)) != std::string::npos;
    CHECK(Check(Init(name, DType::kFloat32, {1})).ok() == ok);
  }
}

TEST_CASE("hostile names are escaped in the message", "[request_check]") {
  CheckRefused(Check(Init(std::string("a\0\n\x1b[31m", 8), DType::kFloat32, {1})),
               "INIT of key 'a\\x00\\x0a\\x1b[31m': a name of [A-Za-z0-9_./:-] expected, got byte "
               "0x00 at 1");
}

TEST_CASE("a string key is the hash of its name", "[request_check]") {
  RequestFrame frame = Init("w", DType::kFloat32, {1});
  frame.keys[0].key = 1;
  frame.entries[0].key = 1;
  CheckRefused(Check(frame),
               fmt::format("INIT of key 'w': key {:#018x} (the name's hash) expected, got "
                           "0x0000000000000001",
                           KeyIdOf(std::string_view("w"))));
}

TEST_CASE("unknown dtypes are refused", "[request_check]") {
  for (const int dtype : {0, 10, 255}) {
    CheckRefused(
        Check(Init("w", static_cast<DType>(dtype), {1})),
        "INIT of key 'w': a dtype from 1 (f32) to 9 (bool) expected, got " + std::to_string(dtype));
  }
}

TEST_CASE("shapes have at most 8 dimensions, none below 0, and at most 2^40 elements",
          "[request_check]") {
  CheckOk(Init("w", DType::kFloat64, {int64_t{1} << 20, int64_t{1} << 20}));
  CheckOk(Init("w", DType::kFloat64, {1, 1, 1, 1, 1, 1, 1, 1}));
  CheckRefused(Check(Init("w", DType::kFloat32, {1, 1, 1, 1, 1, 1, 1, 1, 1})),
               "INIT of key 'w': at most 8 dimensions expected, got 9");
  CheckRefused(Check(Init("w", DType::kFloat32, {int64_t{1} << 32, int64_t{1} << 32})),
               "INIT of key 'w': at most 2^40 elements expected, got shape "
               "[4294967296,4294967296]");
  CheckOk(Init("w", DType::kFloat32, {4, 0}));
  CheckRefused(Check(Init("w", DType::kFloat32, {0, int64_t{1} << 41})),
               "INIT of key 'w': at most 2^40 elements expected, got shape [0,2199023255552]");
  for (const int64_t dim : {int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
    CheckRefused(Check(Init("w", DType::kFloat32, {4, dim})),
                 "INIT of key 'w': dimensions of at least 0 expected, got shape [4," +
                     std::to_string(dim) + "]");
  }
}

TEST_CASE("INIT's bytes are those of the part", "[request_check]") {
  // 2.5 parts.
  RequestFrame frame = Init("w", DType::kFloat32, {5, int64_t{1} << 17});
  for (const PartIndex part : {0u, 1u, 2u}) {
    frame.entries[0].part = part;
    frame.entries[0].piece.data = Payload();
    CheckOk(frame);
    frame.entries[0].piece.data = Bytes(part < 2 ? kPartBytesMax : kPartBytesMax / 2);
    CheckOk(frame);
  }
  CheckRefused((frame.entries[0].part = 1, Check(frame)),
               "INIT of key 'w': 1048576 bytes expected for part 1 of f32 of shape [5,131072], "
               "got 524288");
  frame.entries[0].part = 3;
  CheckRefused(Check(frame),
               "INIT of key 'w': a part below 3 expected for f32 of shape [5,131072], got 3");
  frame.entries[0].part = std::numeric_limits<PartIndex>::max();
  CHECK(Check(frame).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a worker that only waits gives no shape and no bytes", "[request_check]") {
  RequestFrame frame = Init("w", DType::kUnspecified, {});
  frame.keys[0].shape_unknown = true;
  frame.entries[0].part = 5000;
  CheckOk(frame);
  frame.entries[0].piece.data = Bytes(4);
  CheckRefused(Check(frame), "INIT of key 'w': no bytes expected, got 4");
  frame.entries[0].piece.data = Payload();
  frame.keys[0].name = "\x7f";
  CHECK_FALSE(Check(frame).ok());
}

TEST_CASE("a command has an id for controllers and a body that fits a frame", "[request_check]") {
  RequestFrame frame = Request(Op::kCommand, 0);
  CheckRefused(Check(frame), "COMMAND: a command in the frame expected, got none");
  for (const int32_t id : {0, 6, 7, std::numeric_limits<int32_t>::max()}) {
    frame.command = Command{id, std::string(kCommandBodyBytesMax, 'x')};
    CheckOk(frame);
  }
  frame.command->body += "x";
  CheckRefused(Check(frame),
               "command 2147483647: a body of at most 1048576 bytes expected, got 1048577");
  frame.command = Command{7, "grow"};
  frame.entries[0].piece.data = Bytes(4);
  CheckRefused(Check(frame), "COMMAND of key 0: no bytes expected, got 4");
  frame.entries[0].piece.data = Payload();
  frame.command->id = -7;
  CheckRefused(Check(frame), "a command id of at least 0 expected, got -7");
  frame.command->id = 3;
  CheckRefused(Check(frame),
               "command 3: MXNet's kSyncMode is no command here: the type of the "
               "store says it (dist_sync, dist_async)");
  frame.command->id = 4;
  CheckRefused(Check(frame),
               "command 4: MXNet's kSetGradientCompression is no command here: "
               "it is a call of every worker");
  frame.command->id = 5;
  CheckRefused(Check(frame),
               "command 5: MXNet's kSetProfilerParams is no command here: "
               "SetServerProfilerCommand is the call for it");
}

TEST_CASE("an order to the profiler is one that there is", "[request_check]") {
  RequestFrame frame = Request(Op::kProfile, 0);
  CheckRefused(Check(frame), "PROFILE: a command in the frame expected, got none");
  for (const Command& order : {Command{0, ""}, Command{0, "filename:a:b/c.json,profile_all:1"},
                               Command{1, "1"}, Command{2, "0"}, Command{3, ""}}) {
    frame.command = order;
    CheckOk(frame);
  }
  frame.command = Command{4, "1"};
  CheckRefused(Check(frame), "profiler: a command of 0 (kSetConfig) to 3 (kDump) expected, got 4");
  frame.command = Command{1, "maybe"};
  CheckRefused(Check(frame), "profiler kState: 1 or 0 expected, got 'maybe'");
}

TEST_CASE("norms are a note about a push", "[request_check]") {
  RequestFrame frame = Request(Op::kNorms);
  frame.entries[0].round = 1;
  CheckRefused(Check(frame), "NORMS of key 17: norms: 80 bytes expected, got 0");
  NormNote note;
  note.parts = 2;
  frame.entries[0].piece.data = EncodeNormNote(note);
  CheckOk(frame);
  frame.entries[0].round = 0;
  CheckRefused(Check(frame), "NORMS of key 17: a round of at least 1 expected, got 0");
}

TEST_CASE("a rule is one that the value can come to be by", "[request_check]") {
  RequestFrame frame = Init("w", DType::kFloat32, {4, 8});
  frame.entries[0].piece.data = Payload();
  frame.entries[0].piece.create = true;
  frame.keys[0].rule = {InitRuleKind::kNormal, 0, 0.1, 7, 0};
  CheckOk(frame);
  frame.keys[0].rule.b = -1;
  CheckRefused(Check(frame),
               "INIT of key 'w': rule normal: a deviation of at least 0 expected, got -1");
  frame.keys[0].rule = {static_cast<InitRuleKind>(9), 0, 0, 0, 0};
  CheckRefused(Check(frame), "INIT of key 'w': a rule from 0 (none) to 4 (normal) expected, got 9");
  frame.keys[0].rule = {InitRuleKind::kZeros, 0, 0, 0, 5};
  CheckRefused(Check(frame),
               "INIT of key 'w': rows_max 5: a row_sparse key whose rows come to be by "
               "rule expected, got another");
}

TEST_CASE("a row_sparse value has at most 2^40 rows, and 2^60 elements", "[request_check]") {
  RequestFrame frame = Init("w", DType::kFloat32, {4, 8});
  frame.entries[0].piece.data = Payload();
  frame.entries[0].piece.create = true;
  frame.keys[0].storage = Storage::kRowSparse;
  constexpr int64_t kMost = int64_t{1} << 40;
  frame.keys[0].shape = {kMost, 64};
  CheckOk(frame);
  frame.keys[0].shape = {kMost + 1, 64};
  CheckRefused(Check(frame),
               "INIT of key 'w': at most 2^40 elements expected, got shape "
               "[1099511627777,64]");
  frame.keys[0].shape = {kMost, 1 << 21};
  CheckRefused(Check(frame),
               "INIT of key 'w': at most 2^60 elements of a row_sparse value expected, "
               "got shape [1099511627776,2097152]");
}

TEST_CASE("a compression is one that there is", "[request_check]") {
  RequestFrame frame = Init("w", DType::kFloat32, {1});
  frame.keys[0].compression = {"2bit", {{"threshold", 0.25}}};
  CheckOk(frame);
  frame.keys[0].compression.parameters["threshold"] = -1;
  CheckRefused(Check(frame),
               "INIT of key 'w': compression '2bit': threshold: a finite number > 0 (within f32) "
               "expected, got -1");
  frame.keys[0].compression = {"gzip\n", {}};
  CheckRefused(Check(frame),
               "INIT of key 'w': unknown compression 'gzip?'; expected one of 2bit, 1bit, fp16, "
               "bf16, topk, randomk, dithering, onebit_scaled");
  frame.keys[0].compression = {"", {{"threshold", 1}}};
  CheckRefused(Check(frame),
               "INIT of key 'w': unknown compression ''; expected one of 2bit, 1bit, fp16, bf16, "
               "topk, randomk, dithering, onebit_scaled");
}

TEST_CASE("storage is dense or row_sparse", "[request_check]") {
  RequestFrame frame = Init("w", DType::kFloat32, {1});
  frame.keys[0].storage = Storage::kDense;
  CheckOk(frame);
  frame.keys[0].storage = Storage::kRowSparse;
  CheckOk(frame);
  frame.keys[0].storage = static_cast<Storage>(9);
  CheckRefused(Check(frame),
               "INIT of key 'w': storage 1 (dense) or 2 (row_sparse) expected, got 9");
}

TEST_CASE("rows of a row_sparse value have elements", "[request_check]") {
  RequestFrame frame = Init("w", DType::kFloat32, {0, 3});
  frame.keys[0].storage = Storage::kRowSparse;
  CheckOk(frame);
  frame.keys[0].shape = {3, 2, 0};
  CheckRefused(Check(frame),
               "INIT of key 'w': row_sparse rows of at least 1 element expected, got shape "
               "[3,2,0]");
}

TEST_CASE("a row_sparse value has stripes, and rows that fit an entry", "[request_check]") {
  RequestFrame frame = Init("w", DType::kFloat32, {1000, 300});  // over 1 MiB
  frame.keys[0].storage = Storage::kRowSparse;
  frame.entries[0].piece.create = true;
  frame.entries[0].part = 60;
  CheckOk(frame);
  frame.entries[0].piece.rows = 1;
  frame.entries[0].piece.data = Bytes(8 + 1200);
  CheckOk(frame);
  frame.entries[0].part = 61;
  CheckRefused(Check(frame),
               "INIT of key 'w': a stripe below 61 expected for f32 of shape [1000,300], got 61");
  frame.entries[0].part = 0;
  frame.keys[0].shape = {2, 1 << 18};
  CheckRefused(Check(frame),
               "INIT of key 'w': rows of at most 1048568 bytes expected, got f32 of shape "
               "[2,262144]: 1048576 bytes");
  frame.keys[0].shape = {};
  CheckRefused(Check(frame),
               "INIT of key 'w': a row_sparse shape of at least 1 dimension expected, got []");
  frame.keys[0].shape_unknown = true;
  CheckRefused(Check(frame), "INIT of key 'w': a shape expected of whoever creates, got none");
}

TEST_CASE("a reader may ask what a key is and pull it, nothing else", "[request_check]") {
  const auto by_reader = [](RequestFrame frame) {
    frame.header.rank = kReaderRank;
    return frame;
  };
  const auto refused = [](const std::string& problem) { return problem + " of a reader, got "; };
  RequestFrame question = Init("", DType::kUnspecified, {});
  question.keys[0].shape_unknown = true;
  CheckOk(by_reader(question));
  CheckOk(by_reader(Init("", DType::kFloat32, {2})));  // what it knows already
  CheckOk(by_reader(Request(Op::kPull)));
  RequestFrame pull = Request(Op::kPull);
  pull.entries[0].round = 3;  // that it waits for
  CheckOk(by_reader(pull));
  RequestFrame probe = Probe(Op::kPull);
  probe.entries[0].round = 0;
  CheckOk(by_reader(probe));

  const absl::StatusCode code = absl::StatusCode::kFailedPrecondition;
  const std::string reads = refused("INIT, PULL or PROBE expected");
  CheckRefused(Check(by_reader(Push())), "PUSH of key 17: " + reads + "PUSH", code);
  CheckRefused(Check(by_reader(Probe(Op::kPush))), "PROBE of key 17: " + reads + "PUSH", code);
  for (const Op op : {Op::kDelete, Op::kReset}) {
    const std::string name(OpName(op));
    CheckRefused(Check(by_reader(Request(op))), name + " of key 17: " + reads + name + "", code);
  }
  CheckRefused(Check(by_reader(Request(Op::kLeave))), "LEAVE: " + reads + "LEAVE", code);
  RequestFrame init = Init("", DType::kFloat32, {2});
  init.entries[0].piece.data = Bytes(8);
  CheckRefused(Check(by_reader(init)),
               "INIT of key 17: " + refused("a question about the key expected") + "a value", code);
  init.entries[0].piece.data = {};
  init.entries[0].piece.create = true;
  CheckRefused(Check(by_reader(init)),
               "INIT of key 17: " + refused("a question about the key expected") + "a value", code);
}

TEST_CASE("who has the certificate of one worker sends no frames of another", "[request]") {
  RequestFrame frame = Push();
  frame.header.rank = 3;
  CHECK(CheckRequest(frame, 3).ok());
  const absl::Status status = CheckRequest(frame, 2);
  CHECK(status.code() == absl::StatusCode::kPermissionDenied);
  CHECK(status.message() ==
        "frames of worker 2 expected, whose certificate the sender has, got one of worker 3");
  frame.header.rank = kReaderRank;
  CHECK(CheckRequest(frame, 2).ok());
}

}  // namespace
}  // namespace kvstore
