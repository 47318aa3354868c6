// The verbs, request by request: what they ask, and how they end, over either cut.
#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/dist/await_init_operation.h"
#include "client/dist/init_operation.h"
#include "client/dist/pull_operation.h"
#include "client/dist/push_operation.h"
#include "client/reduce/cpu_reducer.h"
#include "common/cluster/partitioner.h"
#include "common/rows/row_cut.h"
#include "tests/client/dist/operations.h"

namespace kvstore {
namespace {

using testing::AsksOf;
using testing::ContributionOf;
using testing::Counting;
using testing::OperationOn;
using testing::RowsNamed;
using testing::Underway;

constexpr int64_t kPartElements = int64_t{kPartBytesMax} / 4;

// A completion of the request that has this id.
Completion Done(const PartAsk& ask, absl::Status status = absl::OkStatus(), RequestId number = 1) {
  Completion completion;
  completion.id = ask.request.id;
  completion.status = std::move(status);
  completion.request = number;
  return completion;
}

Payload ZeroBytes(size_t size) { return Payload::CopyOf(std::string(size, '\0')); }

NDArray ValueOf(bool row_sparse) {
  return row_sparse ? RowsNamed(6144, 64, {0, 5}) : NDArray({2 * kPartElements});
}

// A codec that shows that it was used: turns every byte around, on the way there and back.
class FlippingCodec final : public PartCodec {
 public:
  const CompressionConfig& config() const override { return none_; }
  bool Encodes(const KeyOperation&) const override { return true; }
  Encoding Prepare(const KeyOperation&, std::vector<PartPiece>* pieces) override {
    for (PartPiece& each : *pieces) each.piece.data = Flipped(each.piece.data);
    return [this, parts = pieces->back().part + 1](Encoded encoded) {
      encoded_ = true;
      encoded(parts);
    };
  }
  bool encoded() const { return encoded_; }
  void Forget(KeyId) override {}
  absl::StatusOr<Payload> Decode(const KeyOperation&, PartIndex, size_t,
                                 Payload received) override {
    if (received.empty()) return absl::DataLossError("bytes expected, got none");
    return Flipped(received);
  }

 private:
  static Payload Flipped(const Payload& bytes) {
    std::string text = bytes.ToString();
    for (char& c : text) c = static_cast<char>(~c);
    return Payload::CopyOf(text);
  }

  const CompressionConfig none_{};
  bool encoded_ = false;
};

// What an Init asks that brings the operation's value.
PartAsks InitAsksOf(InitOperation& init, const KeyOperation& operation, const TokenPtr& token) {
  const Contribution value = ContributionOf(operation, token);
  return init.Asks(*AnyCut(operation.spec), &value, {});
}

std::shared_ptr<const Reducer> OnCpu() { return std::make_shared<const CpuReducer>(1); }

}  // namespace

TEST_CASE("a push asks for every part and ends when the last is over", "[dist]") {
  const bool row_sparse = GENERATE(false, true);
  CAPTURE(row_sparse);
  Underway underway;
  const NDArray value = ValueOf(row_sparse);
  const auto operation = OperationOn(OperationKind::kPush, value, {value});
  operation->priority = 3;
  operation->step = 9;
  const AnyCut cut(operation->spec);
  PlainCodec codec;
  auto push = std::make_shared<PushOperation>(operation, underway.token);
  PartAsks requests =
      AsksOf(*push, *cut, ContributionOf(*operation, underway.token), nullptr, codec);
  underway.token = nullptr;
  REQUIRE(requests.size() == cut->parts());
  for (size_t i = 0; i < requests.size(); ++i) {
    CHECK(requests[i].request.op == Op::kPush);
    CHECK(requests[i].request.id.key == 17);
    CHECK(requests[i].request.id.part == i);
    CHECK(requests[i].request.priority == 3);
    CHECK(requests[i].request.step == 9);
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    CHECK(push->OnPart(Op::kPush, i, Done(requests[i])).empty());
  }
  push = nullptr;
  requests.clear();  // what was lent of the array is back
  CHECK(underway.Outcome().ok());
}

TEST_CASE("a push that fails its key keeps the refusal's code, and says what has become of the key",
          "[dist]") {
  Underway underway;
  const NDArray value({3 * kPartElements});
  const auto operation = OperationOn(OperationKind::kPush, value, {value});
  PlainCodec codec;
  const AnyCut cut(operation->spec);
  auto push = std::make_shared<PushOperation>(operation, underway.token);
  PartAsks requests =
      AsksOf(*push, *cut, ContributionOf(*operation, underway.token), nullptr, codec);
  underway.token = nullptr;
  push->OnPart(Op::kPush, 1, Done(requests[1], absl::InvalidArgumentError("refused")));
  Completion failed =
      Done(requests[0], absl::FailedPreconditionError("key 17 has failed: refused"));
  failed.key_failed = true;
  push->OnPart(Op::kPush, 0, failed);
  push->OnPart(Op::kPush, 2, Done(requests[2]));
  push = nullptr;
  requests.clear();
  CHECK(underway.Outcome() == absl::InvalidArgumentError("key 17 has failed: refused"));
}

TEST_CASE("an operation fails with the first failure, when all of its requests are over",
          "[dist]") {
  Underway underway;
  const NDArray value({3 * kPartElements});
  const auto operation = OperationOn(OperationKind::kPush, value, {value});
  PlainCodec codec;
  auto push = std::make_shared<PushOperation>(operation, underway.token);
  PartAsks requests = AsksOf(*push, *AnyCut(operation->spec),
                             ContributionOf(*operation, underway.token), nullptr, codec);
  underway.token = nullptr;
  push->OnPart(Op::kPush, 2, Done(requests[2]));
  push->OnPart(Op::kPush, 0, Done(requests[0], absl::NotFoundError("first")));
  push->OnPart(Op::kPush, 1, Done(requests[1], absl::AbortedError("second")));
  push = nullptr;
  CHECK(!underway.Complete());  // the array is lent still
  requests.clear();
  CHECK(underway.Outcome() == absl::NotFoundError("first"));
}

TEST_CASE("a push encodes and a pull decodes what passes through the codec, an Init does not",
          "[dist]") {
  Underway underway;
  const NDArray value = Counting({2});
  const NDArray output({2});
  const auto operation = OperationOn(OperationKind::kPushPull, value, {value}, {output});
  const AnyCut cut(operation->spec);
  const auto codec = std::make_shared<FlippingCodec>();
  const Contribution contribution = ContributionOf(*operation, underway.token);
  const auto push = std::make_shared<PushOperation>(operation, underway.token);
  const PartAsks pushed = AsksOf(*push, *cut, contribution, nullptr, *codec);
  CHECK(!codec->encoded());  // there is room for it, and it may still be given up
  REQUIRE(push->encodes());
  PartIndex end = 0;
  push->Encode([&end](PartIndex parts) { end = parts; });
  CHECK(codec->encoded());
  CHECK(end == 1);
  CHECK(!push->encodes());  // once
  std::string bytes = pushed[0].request.piece.data.ToString();
  CHECK(bytes != std::string(value.data_as<char>(), 8));
  const auto pull =
      std::make_shared<PullOperation>(operation, underway.token, cut, nullptr, codec, OnCpu());
  const PartAsks pulls = AsksOf(*pull);
  Completion reply = Done(pulls[0]);
  reply.data = pushed[0].request.piece.data;
  pull->OnPart(Op::kPull, 0, reply);
  CHECK(std::memcmp(output.data(), value.data(), 8) == 0);

  const auto init = std::make_shared<InitOperation>(
      OperationOn(OperationKind::kInit, value, {value}), underway.token);
  CHECK(init->Asks(*cut, &contribution, codec->config())[0].request.piece.data.ToString() ==
        std::string(value.data_as<char>(), 8));
}

TEST_CASE("a reply that the codec refuses fails the pull", "[dist]") {
  Underway underway;
  const NDArray output({2});
  const auto operation = OperationOn(OperationKind::kPull, output, {}, {output});
  auto pull = std::make_shared<PullOperation>(operation, std::exchange(underway.token, nullptr),
                                              AnyCut(operation->spec), nullptr,
                                              std::make_shared<FlippingCodec>(), OnCpu());
  PartAsks requests = AsksOf(*pull);
  pull->OnPart(Op::kPull, 0, Done(requests[0]));
  pull = nullptr;
  requests.clear();
  CHECK(underway.Outcome() == absl::DataLossError("bytes expected, got none"));
}

TEST_CASE("a reply of another size than was asked for is the server's error", "[dist]") {
  Underway underway;
  const auto codec = std::make_shared<PlainCodec>();
  SECTION("dense") {
    const NDArray output({2});
    const auto operation = OperationOn(OperationKind::kPull, output, {}, {output});
    auto pull = std::make_shared<PullOperation>(operation, std::exchange(underway.token, nullptr),
                                                AnyCut(operation->spec), nullptr, codec, OnCpu());
    Completion reply = Done(AsksOf(*pull)[0]);
    reply.data = ZeroBytes(12);
    pull->OnPart(Op::kPull, 0, reply);
    pull = nullptr;
    const absl::Status outcome = underway.Outcome();
    CHECK(outcome.code() == absl::StatusCode::kInternal);
    CHECK(outcome.message() ==
          "key 17 part 0: 8 bytes expected for shape [2] of f32, the server sent 12");
  }
  SECTION("row_sparse: rather no rows than some") {
    const NDArray output = NDArray::RowSparse({6144, 64});
    const auto operation = OperationOn(OperationKind::kPullRows, output, {}, {output});
    operation->row_ids = {{NDArray(), {1, 2}}};
    auto pull = std::make_shared<PullOperation>(operation, std::exchange(underway.token, nullptr),
                                                AnyCut(operation->spec), nullptr, codec, OnCpu());
    PartAsks requests = AsksOf(*pull);
    REQUIRE(requests.size() == 2);
    CHECK(output.indices() == std::vector<int64_t>{1, 2});
    Completion good = Done(requests[0]);
    good.data = ZeroBytes(256);
    pull->OnPart(Op::kPull, 0, good);
    Completion bad = Done(requests[1]);
    bad.data = ZeroBytes(255);
    pull->OnPart(Op::kPull, 1, bad);
    CHECK(output.indices().empty());
    pull = nullptr;
    requests.clear();
    CHECK(underway.Outcome().message() ==
          "key 17 part 2: 256 bytes expected for 1 rows of shape [6144,64] of f32, the server sent "
          "255");
  }
}

TEST_CASE("a pull into the array that is pushed writes each part when it is back", "[dist]") {
  Underway underway;
  const NDArray array = Counting({2 * kPartElements});
  const auto operation = OperationOn(OperationKind::kPushPull, array, {array}, {array});
  const AnyCut cut(operation->spec);
  const auto codec = std::make_shared<PlainCodec>();
  const auto lent = std::make_shared<LentParts>(underway.token, cut->parts());
  auto push = std::make_shared<PushOperation>(operation, underway.token);
  PartAsks pushed =
      AsksOf(*push, *cut, ContributionOf(*operation, underway.token), lent.get(), *codec);
  auto pull = std::make_shared<PullOperation>(operation, std::exchange(underway.token, nullptr),
                                              cut, lent, codec, OnCpu());
  const PartAsks pulls = AsksOf(*pull);
  for (size_t part = 0; part < 2; ++part) {
    push->OnPart(Op::kPush, part, Done(pushed[part]));
    Completion reply = Done(pulls[part]);
    reply.data = ZeroBytes(kPartBytesMax);
    pull->OnPart(Op::kPull, part, reply);
  }
  const float* const first = array.data_as<float>();
  CHECK(first[1] == 1);
  pushed[0].request.piece.data = Payload();  // the transport's reference to part 0 goes
  CHECK(first[1] == 0);
  CHECK(first[kPartElements] == static_cast<float>(kPartElements));
  push = nullptr;
  pull = nullptr;
  CHECK(!underway.Complete());
  pushed.clear();
  CHECK(first[kPartElements] == 0);
}

TEST_CASE("rank 0's Init that is refused takes all of its parts back", "[dist]") {
  const bool row_sparse = GENERATE(false, true);
  CAPTURE(row_sparse);
  Underway underway;
  const NDArray value = ValueOf(row_sparse);
  const auto operation = OperationOn(OperationKind::kInit, value, {value});
  auto init = std::make_shared<InitOperation>(operation, underway.token);
  PartAsks requests = InitAsksOf(*init, *operation, underway.token);
  underway.token = nullptr;
  PartAsks take_backs;
  for (size_t i = 0; i < requests.size(); ++i) {
    CHECK(requests[i].request.op == Op::kInit);
    CHECK(requests[i].request.piece.create);
    CHECK(requests[i].request.key->shape == operation->spec.shape.get());
    CHECK(take_backs.empty());
    absl::Status status;
    if (i == 1) status = absl::ResourceExhaustedError("full");
    take_backs = init->OnPart(Op::kInit, i, Done(requests[i], status, 100 + i));
  }
  REQUIRE(take_backs.size() == requests.size());
  requests.clear();
  for (size_t i = 0; i < take_backs.size(); ++i) {
    CHECK(take_backs[i].request.op == Op::kTakeBack);
    CHECK(take_backs[i].request.takes_back == 100 + i);
    absl::Status status;
    if (i == 0) status = absl::UnavailableError("gone");
    CHECK(init->OnPart(Op::kTakeBack, i, Done(take_backs[i], status)).empty());
  }
  init = nullptr;
  take_backs.clear();
  CHECK(underway.Outcome() == absl::ResourceExhaustedError("full; part 0 is not taken back: gone"));
}

TEST_CASE("an Init that went well takes nothing back", "[dist]") {
  Underway underway;
  const NDArray value({1});
  const auto operation = OperationOn(OperationKind::kInit, value, {value});
  auto init = std::make_shared<InitOperation>(operation, underway.token);
  {
    const auto requests = InitAsksOf(*init, *operation, underway.token);
    underway.token = nullptr;
    CHECK(init->OnPart(Op::kInit, 0, Done(requests[0])).empty());
  }
  init = nullptr;
  CHECK(underway.Outcome().ok());
}

TEST_CASE("an Init that waits learns the key of part 0, then waits for the others", "[dist]") {
  const bool row_sparse = GENERATE(false, true);
  CAPTURE(row_sparse);
  Underway underway;
  auto operation = OperationOn(OperationKind::kInit, NDArray({1}), {NDArray()});
  operation->spec = ValueSpec();
  auto await = std::make_shared<AwaitInitOperation>(
      operation, std::exchange(underway.token, nullptr), CompressionConfig());
  PartAsks first = await->Asks();
  REQUIRE(first.size() == 1);
  CHECK(first[0].request.key->shape_unknown);
  CHECK(!first[0].request.piece.create);
  CHECK(first[0].request.piece.data.empty());
  KeySpec told;
  told.key = 17;
  told.dtype = DType::kFloat16;
  told.shape = {10000, 200};
  told.storage = row_sparse ? Storage::kRowSparse : Storage::kDense;
  Completion answer = Done(first[0]);
  answer.key = std::make_shared<KeySpec>(told);
  PartAsks others = await->OnPart(Op::kInit, 0, answer);
  CHECK(operation->learned);
  CHECK(operation->spec.known);
  CHECK(operation->spec.bytes == 4000000);
  CHECK(operation->spec.row_sparse == row_sparse);
  REQUIRE(others.size() == (row_sparse ? kStripes : 4) - 1);
  for (size_t i = 0; i < others.size(); ++i) {
    CHECK(others[i].request.id.part == i + 1);
    CHECK(others[i].request.key->shape == told.shape);
    CHECK(await->OnPart(Op::kInit, i, Done(others[i])).empty());
  }
  await = nullptr;
  first.clear();
  others.clear();
  CHECK(underway.Outcome().ok());
}

TEST_CASE("an Init that waits believes no description that is none", "[dist]") {
  Underway underway;
  auto operation = OperationOn(OperationKind::kInit, NDArray({1}), {NDArray()});
  operation->spec = ValueSpec();
  auto await = std::make_shared<AwaitInitOperation>(
      operation, std::exchange(underway.token, nullptr), CompressionConfig());
  Completion answer = Done(await->Asks()[0]);
  std::string expected = "key 17: the server did not describe it";
  SECTION("none") {}
  SECTION("a row_sparse scalar") {
    KeySpec told;
    told.dtype = DType::kFloat32;
    told.storage = Storage::kRowSparse;
    answer.key = std::make_shared<KeySpec>(told);
    expected = "key 17: an array expected, the server describes dtype " +
               std::to_string(static_cast<int>(DType::kFloat32)) + ", shape [], storage 2";
  }
  SECTION("no dtype") {
    KeySpec told;
    told.shape = {3};
    told.storage = Storage::kDense;
    answer.key = std::make_shared<KeySpec>(told);
    expected = "key 17: an array expected, the server describes dtype " +
               std::to_string(static_cast<int>(DType::kUnspecified)) + ", shape [3], storage 1";
  }
  CHECK(await->OnPart(Op::kInit, 0, answer).empty());
  CHECK(!operation->learned);
  await = nullptr;
  CHECK(underway.Outcome() == absl::InternalError(expected));
}

}  // namespace kvstore
