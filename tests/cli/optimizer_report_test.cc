#include "cli/optimizer_report.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

v1::NumbersReport Report() {
  v1::NumbersReport report;
  report.set_optimizer("sgd");
  (*report.mutable_parameters())["momentum"] = 0.9;
  (*report.mutable_parameters())["learning_rate"] = 0.1;
  report.set_schedule("cosine");
  report.set_times_set(1);
  v1::NumbersReport::Change* const change = report.add_changes();
  change->set_from_step(500);
  (*change->mutable_numbers())["learning_rate"] = 0.01;
  return report;
}

v1::NumbersReport Held() {
  v1::NumbersReport report = Report();
  report.mutable_held()->set_from_step(900);
  (*report.mutable_held()->mutable_numbers())["wd"] = 0;
  return report;
}

}  // namespace

TEST_CASE("the optimizers of the servers are a line each", "[cli]") {
  OptimizerAnswers answers;
  answers.emplace(0, Report());
  answers.emplace(1, Report());
  CHECK(OptimizersAsTable(answers) ==
        "SERVER  OPTIMIZER  PARAMETERS                      SCHEDULE  CHANGES\n"
        "0       sgd        learning_rate=0.1 momentum=0.9  cosine    from step 500: "
        "learning_rate=0.01\n"
        "1       sgd        learning_rate=0.1 momentum=0.9  cosine    from step 500: "
        "learning_rate=0.01\n");
  CHECK(DifferencesOf(answers).empty());
  CHECK(RefusalsOf(answers).empty());
}

TEST_CASE("servers that differ, or do not answer, are named", "[cli]") {
  OptimizerAnswers answers;
  answers.emplace(0, Report());
  answers.emplace(1, Held());
  answers.emplace(2, absl::UnavailableError("h:1: no answer"));
  v1::NumbersReport torn = Report();
  torn.set_shards_that_differ(2);
  answers.emplace(3, torn);
  const std::string text = OptimizersAsTable(answers);
  CHECK_THAT(text, Contains("from step 500: learning_rate=0.01; held, from step 900: wd=0\n"));
  CHECK_THAT(text, Contains("\nserver 1 has another optimizer, or other numbers, than server 0\n"));
  CHECK_THAT(text, Contains("\nserver 3: 2 of its shards have another optimizer"));
  CHECK_THAT(text, Contains("\nserver 2: h:1: no answer\n"));
  CHECK(RefusalsOf(answers) == "server 2: h:1: no answer");
}

TEST_CASE("the JSON of optimizers has their numbers by name", "[cli]") {
  OptimizerAnswers answers;
  answers.emplace(0, Held());
  answers.emplace(1, absl::UnavailableError("h:1: no answer"));
  CHECK(
      OptimizersAsJson(answers) ==
      "{\"servers\":[{\"server\":0,\"optimizer\":\"sgd\",\"parameters\":{\"learning_rate\":0.1,"
      "\"momentum\":0.9},\"schedule\":\"cosine\",\"own_updater\":\"\",\"changes\":[{\"from_step\":"
      "500,\"numbers\":{\"learning_rate\":0.01}}],\"held\":{\"from_step\":900,\"numbers\":{\"wd\":"
      "0}},\"times_set\":1}],\"differences\":[],\"errors\":[\"server 1: h:1: no answer\"]}\n");
}

}  // namespace kvstore
