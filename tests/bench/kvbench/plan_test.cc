#include "bench/kvbench/plan.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "bench/kvbench/models.h"

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

TEST_CASE("models have as many parameters as their papers' networks", "[kvbench]") {
  // torchvision's resnet50(): 161 parameters, 25,557,032 elements.
  const std::vector<size_t> resnet = ModelElements("resnet50");
  CHECK(resnet.size() == 161);
  CHECK(std::accumulate(resnet.begin(), resnet.end(), size_t{0}) == 25557032);
  const std::vector<size_t> transformer = ModelElements("transformer");
  CHECK(transformer.size() == 2000);
  CHECK(std::accumulate(transformer.begin(), transformer.end(), size_t{0}) == 33243648);
  for (const auto* model : {&resnet, &transformer}) {
    const auto small = std::count_if(model->begin(), model->end(),
                                     [](size_t elements) { return elements < 5000; });
    CHECK(2 * static_cast<size_t>(small) > model->size());
  }
}

TEST_CASE("a model's keys have the sizes of its tensors", "[kvbench]") {
  Options options = Asking({Workload::kRound});
  options.model = "resnet50";
  const std::vector<Case> cases = CasesOf(options);
  REQUIRE(cases.size() == 1);
  CHECK(cases[0].keys == 161);
  CHECK(cases[0].window == 161);
  CHECK(KeyElements(cases[0]) == ModelElements("resnet50"));
  CHECK(BytesOf(cases[0]) == 4 * 25557032);
  CHECK(OperationBytes(cases[0]) == 4 * 25557032);
  options.workloads = {Workload::kPush};
  CHECK(ProblemOf(options) ==
        "--model: round or async expected among the workloads, which have models");
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
