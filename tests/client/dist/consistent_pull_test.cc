// A reader's pull at one round, answer by answer.
#include "client/dist/consistent_pull.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "client/reduce/cpu_reducer.h"
#include "common/cluster/partitioner.h"
#include "tests/client/dist/operations.h"

namespace kvstore {
namespace {

using testing::Key17;
using testing::OperationOn;
using testing::RowsNamed;
using testing::Underway;

constexpr int64_t kPartElements = int64_t{kPartBytesMax} / 4;
constexpr int64_t kElements = 2 * kPartElements + 5;  // three parts

// What was asked last, by part: the version that it names.
using Asked = std::map<PartIndex, Round>;

struct Fixture {
  Fixture() {
    std::memset(output.data(), 0xff, output.bytes());
    pull = std::make_shared<ConsistentPull>(
        ConsistentPull::Operations{OperationOn(OperationKind::kPull, output, {}, {output})},
        underway.token, std::make_shared<PlainCodec>(), std::make_shared<CpuReducer>(1));
    underway.token = nullptr;
    Note(pull->Asks());
  }

  void Note(const PartAsks& asks) {
    for (const PartAsk& ask : asks) {
      CHECK(ask.request.op == Op::kPull);
      CHECK(ask.request.id.part == ask.index);
      asked[ask.request.id.part] = ask.request.version;
    }
  }

  // Every element of the answer is its version. Returns what is asked next.
  Asked Answer(PartIndex part, Round version, absl::Status status = absl::OkStatus()) {
    asked.clear();
    Completion done;
    done.id = {17, part};
    done.round = version;
    const std::vector<float> elements(PartBytes(output.bytes(), part) / 4,
                                      static_cast<float>(version));
    if (status.ok()) {
      done.data = Payload::CopyOf(std::string(reinterpret_cast<const char*>(elements.data()),
                                              elements.size() * sizeof(float)));
    }
    done.status = std::move(status);
    Note(pull->OnPart(Op::kPull, part, std::move(done)));
    return asked;
  }

  bool Untouched() const {
    const std::string bytes(static_cast<const char*>(output.data()), output.bytes());
    return bytes == std::string(output.bytes(), '\xff');
  }

  Underway underway;
  NDArray output{{kElements}};
  std::shared_ptr<ConsistentPull> pull;
  Asked asked;
};

}  // namespace

TEST_CASE("a consistent pull of parts that rest asks each once", "[dist][reader]") {
  Fixture f;
  CHECK(f.asked == Asked{{0, 0}, {1, 0}, {2, 0}});
  CHECK(f.Answer(2, 7).empty());
  CHECK(f.Answer(0, 7).empty());
  CHECK(f.Untouched());
  CHECK(f.Answer(1, 7).empty());
  f.pull = nullptr;
  CHECK(f.underway.Outcome().ok());
  for (int64_t i = 0; i < kElements; ++i) REQUIRE(f.output.data_as<float>()[i] == 7);
}

TEST_CASE("a consistent pull asks parts that are behind for the highest round that came",
          "[dist][reader]") {
  Fixture f;
  f.Answer(0, 7);
  f.Answer(1, 8);
  CHECK(f.Answer(2, 7) == Asked{{0, 8}, {2, 8}});
  CHECK(f.Answer(0, 8).empty());
  CHECK(f.Untouched());
  CHECK(f.Answer(2, 8).empty());
  f.pull = nullptr;
  CHECK(f.underway.Outcome().ok());
  for (int64_t i = 0; i < kElements; ++i) REQUIRE(f.output.data_as<float>()[i] == 8);
}

TEST_CASE("a consistent pull goes on while rounds pass, and ends when all is of one",
          "[dist][reader]") {
  Fixture f;
  f.Answer(0, 7);
  f.Answer(1, 8);
  CHECK(f.Answer(2, 9) == Asked{{0, 9}, {1, 9}});
  f.Answer(0, 11);
  CHECK(f.Answer(1, 10) == Asked{{1, 11}, {2, 11}});
  f.Answer(2, 11);
  CHECK(f.Untouched());
  CHECK(f.Answer(1, 11).empty());
  f.pull = nullptr;
  CHECK(f.underway.Outcome().ok());
  for (int64_t i = 0; i < kElements; ++i) REQUIRE(f.output.data_as<float>()[i] == 11);
}

TEST_CASE("a consistent pull fails with the first failure and writes nothing", "[dist][reader]") {
  Fixture f;
  f.Answer(0, 7);
  CHECK(f.Answer(1, 0, absl::NotFoundError("key 17: gone")).empty());
  CHECK(f.Answer(2, 8).empty());
  f.pull = nullptr;
  CHECK(f.underway.Outcome() == absl::NotFoundError("key 17: gone"));
  CHECK(f.Untouched());
}

TEST_CASE("a consistent pull writes nothing of parts of which one has not the size expected",
          "[dist][reader]") {
  Fixture f;
  f.Answer(0, 7);
  f.Answer(1, 7);
  Completion done;
  done.id = {17, 2};
  done.round = 7;
  done.data = Payload::CopyOf(std::string(3, 'x'));
  const PartAsks next = f.pull->OnPart(Op::kPull, 2, std::move(done));
  CHECK(next.empty());
  f.pull = nullptr;
  CHECK(f.underway.Outcome() ==
        absl::InternalError("key 17 part 2: 20 bytes expected, the server sent 3"));
  CHECK(f.Untouched());
}

namespace {

// Rows of tables of 6144 rows of 64: rows 1 and 2 are in the parts 1 and 2.
struct RowsFixture {
  RowsFixture() { Add(17, {{output, {1, 2}}}); }

  using Outputs = std::vector<std::pair<NDArray, std::vector<int64_t>>>;
  void Add(KeyId key, const Outputs& outputs) {
    const auto operation = OperationOn(OperationKind::kPullRows, output, {});
    auto named = std::make_shared<Key>(*Key17());
    named->id = key;
    operation->key = named;
    for (const auto& [array, ids] : outputs) {
      operation->outputs.push_back(array);
      operation->row_ids.push_back({NDArray(), ids});
    }
    operations.push_back(operation);
  }

  // What is asked, with the row ids of each.
  PartAsks Begin() {
    pull =
        std::make_shared<ConsistentPull>(operations, underway.token, std::make_shared<PlainCodec>(),
                                         std::make_shared<CpuReducer>(1));
    PartAsks asks = pull->Asks();
    if (!asks.empty()) underway.token = nullptr;
    return asks;
  }

  // Every element of the rows is the version of the answer.
  PartAsks Answer(size_t index, Round version, size_t rows,
                  const absl::Status& status = absl::OkStatus()) {
    Completion done;
    done.id = {17, static_cast<PartIndex>(index)};
    done.round = version;
    done.status = status;
    const std::vector<float> elements(rows * 64, static_cast<float>(version));
    done.data = Payload::CopyOf(std::string(reinterpret_cast<const char*>(elements.data()),
                                            elements.size() * sizeof(float)));
    return pull->OnPart(Op::kPull, index, std::move(done));
  }

  Underway underway;
  NDArray output = RowsNamed(6144, 64, {5});
  ConsistentPull::Operations operations;
  std::shared_ptr<ConsistentPull> pull;
};

std::vector<int64_t> IdsOf(const PartAsk& ask) {
  // One row is a list without a gap.
  REQUIRE(ask.request.piece.rows == 1);
  REQUIRE(ask.request.piece.data.empty());
  return {static_cast<int64_t>(ask.request.piece.rows_from) - 1};
}

}  // namespace

TEST_CASE("a consistent pull of rows asks a part that is behind for the same rows again",
          "[dist][reader]") {
  RowsFixture f;
  PartAsks asks = f.Begin();
  REQUIRE(asks.size() == 2);
  CHECK(asks[0].request.id == PartId{17, 1});
  CHECK(IdsOf(asks[0]) == std::vector<int64_t>{1});
  CHECK(IdsOf(asks[1]) == std::vector<int64_t>{2});
  CHECK(f.Answer(0, 7, 1).empty());
  PartAsks again = f.Answer(1, 8, 1);
  REQUIRE(again.size() == 1);
  CHECK(again[0].request.id == PartId{17, 1});
  CHECK(again[0].request.version == 8);
  CHECK(IdsOf(again[0]) == std::vector<int64_t>{1});
  CHECK(f.Answer(0, 8, 1).empty());
  asks.clear();  // they hold the pull
  again.clear();
  f.pull = nullptr;
  CHECK(f.underway.Outcome().ok());
  CHECK(f.output.indices() == std::vector<int64_t>{1, 2});
  for (size_t i = 0; i < 128; ++i) REQUIRE(f.output.data_as<float>()[i] == 8);
}

TEST_CASE("a consistent pull of rows that fails leaves none in any output", "[dist][reader]") {
  RowsFixture f;
  const NDArray other = RowsNamed(6144, 64, {5});
  f.Add(18, {{other, {3}}});
  REQUIRE(f.Begin().size() == 3);
  CHECK(f.Answer(0, 7, 1).empty());
  absl::Status failure;
  SECTION("a part is refused") {
    failure = absl::NotFoundError("key 18: gone");
    CHECK(f.Answer(2, 0, 0, failure).empty());
    CHECK(f.Answer(1, 7, 1).empty());
  }
  SECTION("a part has not the size expected") {
    failure = absl::InternalError("key 17 part 2: 256 bytes expected, the server sent 512");
    CHECK(f.Answer(2, 7, 1).empty());
    CHECK(f.Answer(1, 7, 2).empty());
  }
  f.pull = nullptr;
  CHECK(f.underway.Outcome() == failure);
  CHECK(f.output.indices().empty());
  CHECK(other.indices().empty());
}

TEST_CASE("an array that a consistent pull names for several keys gets the rows of the last",
          "[dist][reader]") {
  RowsFixture f;
  const NDArray own = RowsNamed(6144, 64, {});
  f.Add(18, {{f.output, {9}}, {own, {9}}, {f.output, {3, 4}}});
  PartAsks asks = f.Begin();
  REQUIRE(asks.size() == 3);  // nothing of key 17
  for (size_t i = 0; i < 3; ++i) {
    CHECK(asks[i].request.id.key == 18);
    f.Answer(i, 7, 1);
  }
  asks.clear();
  f.pull = nullptr;
  CHECK(f.underway.Outcome().ok());
  CHECK(f.output.indices() == std::vector<int64_t>{3, 4});
  CHECK(own.indices() == std::vector<int64_t>{9});
  for (size_t i = 0; i < 128; ++i) REQUIRE(f.output.data_as<float>()[i] == 7);
}

TEST_CASE("a consistent pull of no rows asks nothing", "[dist][reader]") {
  RowsFixture f;
  f.operations.clear();
  f.Add(17, {{f.output, {}}});
  f.Add(18, {{RowsNamed(6144, 64, {}), {}}});
  CHECK(f.Begin().empty());
  CHECK(f.output.indices().empty());
  f.underway.token->Finish(absl::OkStatus());
  f.underway.token = nullptr;
}

}  // namespace kvstore
