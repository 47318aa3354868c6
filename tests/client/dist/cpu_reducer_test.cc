// Where the values of several devices become one contribution.
#include "client/dist/cpu_reducer.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <optional>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/dist/answer.h"
#include "tests/client/dist/operations.h"

namespace kvstore {
namespace {

using testing::Counting;
using testing::OperationOn;
using testing::RowsNamed;
using testing::Underway;

using Answered = Answer<std::optional<absl::StatusOr<Contribution>>>;

// The contribution, wherever it is made.
absl::StatusOr<Contribution> Reduced(Reducer& reducer,
                                     const std::shared_ptr<KeyOperation>& operation,
                                     const TokenPtr& token) {
  const auto answer = std::make_shared<Answered>();
  reducer.Reduce(operation, token, [answer](absl::StatusOr<Contribution> contribution) {
    answer->Give(std::move(contribution));
  });
  return *answer->Wait();
}

std::vector<float> FloatsAt(const uint8_t* data, size_t count) {
  std::vector<float> floats(count);
  std::memcpy(floats.data(), data, count * sizeof(float));
  return floats;
}

}  // namespace

TEST_CASE("one dense value of a dense key is lent as it is", "[dist]") {
  Underway underway;
  const CpuReducer reducer;
  const NDArray value = Counting({5});
  const auto contribution =
      reducer.AsIs(*OperationOn(OperationKind::kPush, value, {value}), underway.token);
  REQUIRE(contribution.has_value());
  CHECK(contribution->lent);
  CHECK(contribution->data == value.data_as<uint8_t>());
  CHECK(contribution->owner == underway.token);
}

TEST_CASE("what must be summed, copied or sorted is not sent as it is", "[dist]") {
  Underway underway;
  const CpuReducer reducer;
  const NDArray dense({4, 2});
  const NDArray sparse = RowsNamed(4, 2, {1, 3});
  const auto as_is = [&](const NDArray& like, std::vector<NDArray> values) {
    const auto operation =
        OperationOn(OperationKind::kPush, like, Arrays(values.begin(), values.end()));
    return reducer.AsIs(*operation, underway.token).has_value();
  };
  CHECK(!as_is(dense, {dense, dense}));
  CHECK(!as_is(dense, {sparse}));
  CHECK(!as_is(sparse, {sparse}));
  CHECK(!as_is(sparse, {dense}));
}

TEST_CASE("several values are summed, and none of them is lent", "[dist]") {
  Underway underway;
  CpuReducer reducer;
  const NDArray value = Counting({3});
  const auto sum =
      Reduced(reducer, OperationOn(OperationKind::kPush, value, {value, Counting({3}, 10), value}),
              underway.token);
  REQUIRE(sum.ok());
  CHECK(!sum->lent);
  CHECK((FloatsAt(sum->data, 3) == std::vector<float>{10, 13, 16}));
}

TEST_CASE("values of either storage become one contribution to a key of either storage", "[dist]") {
  Underway underway;
  CpuReducer reducer;
  const NDArray dense({4, 2});
  const NDArray sparse = RowsNamed(4, 2, {1, 3});
  SECTION("a dense key gets zeros where a row_sparse value has no rows") {
    const auto one =
        Reduced(reducer, OperationOn(OperationKind::kPush, dense, {sparse}), underway.token);
    REQUIRE(one.ok());
    CHECK((FloatsAt(one->data, 8) == std::vector<float>{0, 0, 1, 1, 0, 0, 3, 3}));
    CHECK(!one->lent);
  }
  SECTION("a row_sparse key gets the rows that any of the values has") {
    const auto sum = Reduced(
        reducer, OperationOn(OperationKind::kPush, sparse, {sparse, RowsNamed(4, 2, {2, 3})}),
        underway.token);
    REQUIRE(sum.ok());
    std::vector<std::pair<int64_t, float>> rows;
    for (size_t i = 0; i < sum->rows.count; ++i) {
      rows.emplace_back(sum->rows.ids[i], FloatsAt(sum->rows.data + i * 8, 1)[0]);
    }
    std::sort(rows.begin(), rows.end());
    CHECK((rows == std::vector<std::pair<int64_t, float>>{{1, 1}, {2, 2}, {3, 6}}));
  }
}

TEST_CASE("a sum under way holds its operation's order until it was taken", "[dist]") {
  // A second operation on the same key is issued only then.
  DependencyEngine engine;
  class Owner : public OperationOwner {
   public:
    void Flush() noexcept override {}
    int64_t operation_timeout_ms() const override { return 60000; }
    absl::Status Overdue(const std::vector<OverdueOperation>&, int64_t) override {
      return absl::DeadlineExceededError("overdue");
    }
  };
  const auto owner = std::make_shared<Owner>();
  const VarPtr key = DependencyEngine::NewVar();
  CpuReducer reducer;
  const NDArray value = Counting({3});
  const auto operation = OperationOn(OperationKind::kPush, value, {value, value});
  const auto may_end = std::make_shared<Answer<bool>>();
  std::atomic<bool> taken{false};
  std::atomic<bool> second_came_early{false};
  std::vector<OperationSpec> specs(2);
  for (OperationSpec& spec : specs) {
    spec.owner = owner;
    spec.verb = "push";
    spec.uses = {{key, Access::kOrder}};
  }
  specs[0].issue = [&](const TokenPtr& token) {
    reducer.Reduce(operation, token, [&, token](const absl::StatusOr<Contribution>&) {
      may_end->Wait();
      taken = true;
      token->Finish(absl::OkStatus());
    });
  };
  specs[1].issue = [&](const TokenPtr& token) {
    if (!taken) second_came_early = true;
    token->Finish(absl::OkStatus());
  };
  engine.Run(engine.Append(std::move(specs)));
  may_end->Give(true);
  CHECK(engine.Wait({key}, DependencyEngine::WaitFor::kAll).ok());
  CHECK(taken);
  CHECK(!second_came_early);
}

TEST_CASE("what comes to a reducer that was stopped is cancelled", "[dist]") {
  Underway underway;
  CpuReducer reducer;
  reducer.Stop();
  const NDArray value = Counting({3});
  const auto sum =
      Reduced(reducer, OperationOn(OperationKind::kPush, value, {value, value}), underway.token);
  CHECK(sum.status().code() == absl::StatusCode::kCancelled);
}

}  // namespace kvstore
