// Where a dist store's sums are made: later, in their order, and not after the store's end.
#include "client/dist/reduction_queue.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "client/dist/answer.h"
#include "client/reduce/cpu_reducer.h"
#include "tests/client/dist/operations.h"

namespace kvstore {
namespace {

using testing::Counting;
using testing::OperationOn;
using testing::Underway;

using Answered = Answer<std::optional<absl::StatusOr<Contribution>>>;

// The contribution, wherever it is made.
absl::StatusOr<Contribution> Reduced(ReductionQueue& reductions,
                                     const std::shared_ptr<KeyOperation>& operation,
                                     const TokenPtr& token) {
  const auto answer = std::make_shared<Answered>();
  reductions.Reduce(operation, token, {}, [answer](absl::StatusOr<Contribution> contribution) {
    answer->Give(std::move(contribution));
  });
  return *answer->Wait();
}

}  // namespace

TEST_CASE("a sum is made on the queue's thread", "[dist]") {
  Underway underway;
  CpuReducer reducer(2);
  ReductionQueue reductions(&reducer);
  const NDArray value = Counting({3});
  const auto operation = OperationOn(OperationKind::kPush, value, {value, Counting({3}, 10)});
  const auto answer = std::make_shared<Answer<bool>>();
  reductions.Reduce(operation, underway.token, {},
                    [&reductions, answer](const absl::StatusOr<Contribution>& contribution) {
                      answer->Give(contribution.ok() && reductions.InThread());
                    });
  CHECK(answer->Wait());
  CHECK(!reductions.InThread());
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
  CpuReducer reducer(1);
  ReductionQueue reductions(&reducer);
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
    reductions.Reduce(operation, token, {}, [&, token](const absl::StatusOr<Contribution>&) {
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

TEST_CASE("what comes to a queue that was stopped is cancelled", "[dist]") {
  Underway underway;
  CpuReducer reducer(1);
  ReductionQueue reductions(&reducer);
  reductions.Stop();
  const NDArray value = Counting({3});
  const auto sum =
      Reduced(reductions, OperationOn(OperationKind::kPush, value, {value, value}), underway.token);
  CHECK(sum.status().code() == absl::StatusCode::kCancelled);
}

}  // namespace kvstore
