#include "bench/kvbench/plan.h"

#include <catch2/catch.hpp>

namespace kvstore::bench {
namespace {

Options Asking(std::vector<Workload> workloads) {
  Options options;
  options.workloads = std::move(workloads);
  return options;
}

TEST_CASE("cases share a job when one cluster can serve them", "[kvbench]") {
  Options options;
  options.workloads = AllWorkloads(options);
  std::vector<std::string> jobs;
  const std::vector<Case> cases = CasesOf(options);
  for (size_t i = 0; i < cases.size(); ++i) {
    if (i > 0 && ShareJob(options, cases[i - 1], cases[i])) continue;
    jobs.emplace_back(WorkloadName(cases[i].workload));
  }
  CHECK(jobs ==
        std::vector<std::string>{"push", "round", "async", "small", "small", "init", "rowsparse"});
  CHECK(StoreTypeOf(options, cases[0]) == "dist_sync");
}

TEST_CASE("values are whole elements, and integers are summed", "[kvbench]") {
  Options options = Asking({Workload::kRound});
  options.dtype = DataType::kInt64;
  options.model_bytes = 1003;
  options.keys = 10;
  const std::vector<Case> cases = CasesOf(options);
  REQUIRE(cases.size() == 1);
  CHECK(cases[0].value_bytes == 96);
  CHECK(cases[0].optimizer == Optimizer::kSum);
}

TEST_CASE("what cannot be measured is refused in words", "[kvbench]") {
  Options options = Asking({Workload::kRound});
  CHECK(ProblemOf(options).empty());
  options.dtype = DataType::kBool;
  CHECK(ProblemOf(options).find("--dtype bool") == 0);

  options = Asking({Workload::kAsync});
  options.store = "local";
  CHECK(ProblemOf(options) == "async: a dist store expected, got --store local");

  options = Asking({Workload::kRound, Workload::kSmall});
  options.scheduler = "host:1";
  CHECK(ProblemOf(options).find("workloads of one job expected, got round with sgd and small with "
                                "assign") != std::string::npos);
}

TEST_CASE("all leaves out what the store or the dtype cannot do", "[kvbench]") {
  Options options;
  options.store = "local";
  options.dtype = DataType::kBool;
  options.workloads = AllWorkloads(options);
  CHECK(ProblemOf(options).empty());
}

}  // namespace
}  // namespace kvstore::bench
