#include "bench/kvbench/worker_protocol.h"

#include <catch2/catch.hpp>

namespace kvstore::bench {
namespace {

// What arrives at the other side.
Line Sent(const Line& line) {
  const absl::StatusOr<Line> parsed = ParseLine(FormatLine(line));
  REQUIRE(parsed.ok());
  return *parsed;
}

TEST_CASE("commands and samples survive the line", "[kvbench]") {
  PrepareCommand prepare;
  Case& measured = prepare.measured;
  measured.workload = Workload::kSmall;
  measured.value_bytes = 4096;
  measured.keys = 11;
  measured.window = 5;
  measured.workers = 3;
  measured.dtype = DataType::kBFloat16;
  measured.optimizer = Optimizer::kSgd;
  measured.height = 1000;
  measured.compression = "2bit,threshold=0.5";
  measured.model = "resnet50";
  prepare.first_key = 70;
  prepare.seed = 99;
  prepare.server_pids = {411, 412};
  const absl::StatusOr<PrepareCommand> prepared = PrepareFromLine(Sent(LineOf(prepare)));
  REQUIRE(prepared.ok());
  CHECK(prepared->measured.workload == Workload::kSmall);
  CHECK(prepared->measured.value_bytes == 4096);
  CHECK(prepared->measured.keys == 11);
  CHECK(prepared->measured.window == 5);
  CHECK(prepared->measured.workers == 3);
  CHECK(prepared->measured.dtype == DataType::kBFloat16);
  CHECK(prepared->measured.optimizer == Optimizer::kSgd);
  CHECK(prepared->measured.height == 1000);
  CHECK(prepared->measured.compression == "2bit,threshold=0.5");
  CHECK(prepared->measured.model == "resnet50");
  CHECK(prepared->first_key == 70);
  CHECK(prepared->seed == 99);
  CHECK(prepared->server_pids == std::vector<pid_t>{411, 412});

  const absl::StatusOr<RunCommand> run = RunFromLine(Sent(LineOf(RunCommand{0.1, 2.5, 12})));
  REQUIRE(run.ok());
  CHECK(run->warmup_s == 0.1);
  CHECK(run->seconds == 2.5);
  CHECK(run->rounds == 12);

  const absl::StatusOr<Sample> sample =
      SampleFromLine(Sent(LineOf(Sample{1.0 / 3, 7, 1 << 30, 0.25, -1, {300, 200}, 81.5, 124})));
  REQUIRE(sample.ok());
  CHECK(sample->seconds == 1.0 / 3);
  CHECK(sample->operations == 7);
  CHECK(sample->payload_bytes == 1 << 30);
  CHECK(sample->client_cpu_s == 0.25);
  CHECK(sample->server_cpu_s == -1);
  CHECK(sample->client_bytes.moved == 300);
  CHECK(sample->client_bytes.copied == 200);
  CHECK(sample->p50_us == 81.5);
  CHECK(sample->p99_us == 124);
}

TEST_CASE("a refusal keeps its text on one line", "[kvbench]") {
  const Line line = Sent({"wrong", {}, "key 3: element 4\nof 5: 1 expected, got 2"});
  CHECK(line.verb == "wrong");
  CHECK(line.text == "key 3: element 4 of 5: 1 expected, got 2");
}

TEST_CASE("a line that misses a field is refused by name", "[kvbench]") {
  Line line = LineOf(RunCommand{0.1, 2.5, 12});
  line.fields.erase("seconds");
  CHECK(std::string(RunFromLine(line).status().message()) ==
        "'run': field seconds expected, got none");
  line.fields["seconds"] = "soon";
  CHECK(std::string(RunFromLine(line).status().message()) ==
        "'run': seconds: a number expected, got 'soon'");
  CHECK_FALSE(ParseLine("run seconds").ok());
  CHECK_FALSE(ParseLine("").ok());
}

}  // namespace
}  // namespace kvstore::bench
