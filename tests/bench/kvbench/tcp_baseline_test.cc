#include "bench/kvbench/tcp_baseline.h"

#include <catch2/catch.hpp>

namespace kvstore::bench {
namespace {

// Run() itself compares the bytes of both sides.
TEST_CASE("raw TCP moves every workload's bytes", "[kvbench]") {
  const Workload workload = GENERATE(Workload::kPush, Workload::kPull, Workload::kPushPull);
  const size_t bytes = GENERATE(size_t{4}, size_t{4096}, size_t{5} << 20);
  const size_t keys = 3;
  const size_t window = GENERATE(size_t{1}, size_t{3});
  CAPTURE(WorkloadName(workload), bytes, window);
  TcpBaseline tcp({workload, bytes, keys, window, 1}, 1, {});
  for (int repeat = 0; repeat < 2; ++repeat) {
    const absl::StatusOr<Sample> sample = tcp.Run(0, 0.002);
    CAPTURE(sample.status().ToString());
    REQUIRE(sample.ok());
    CHECK(sample->operations >= keys);
    CHECK(sample->payload_bytes == sample->operations * bytes * DirectionsOf(workload));
    CHECK(sample->seconds > 0);
  }
}

TEST_CASE("one message at a time has a latency", "[kvbench]") {
  TcpBaseline tcp({Workload::kLatency, 4096, 1, 1, 1}, 1, {});
  const absl::StatusOr<Sample> sample = tcp.Run(0, 0.01);
  REQUIRE(sample.ok());
  CHECK(sample->p50_us > 0);
  CHECK(sample->p99_us >= sample->p50_us);
}

TEST_CASE("a round goes over one connection per worker and server", "[kvbench]") {
  const size_t model = size_t{4} << 20;
  TcpBaseline tcp({Workload::kRound, model / 2, 2, 2, 2}, 2, {});
  const absl::StatusOr<Sample> sample = tcp.Run(0, 0.01);
  REQUIRE(sample.ok());
  // Each of the four moves its half of a worker's model at least once, both ways.
  CHECK(sample->payload_bytes >= 2 * 2 * model);
  CHECK(sample->operations == sample->payload_bytes / (2 * 2 * model));
}

TEST_CASE("small keys and rows go in one message, which counts as many operations", "[kvbench]") {
  const Workload workload = GENERATE(Workload::kSmall, Workload::kInit, Workload::kRowSparse);
  const uint64_t bytes = workload == Workload::kRowSparse ? 256 + 8 : 256;  // and an id
  const uint64_t directions = DirectionsOf(workload);
  TcpBaseline tcp({workload, 256, 100, 100, 1}, 1, {});
  const absl::StatusOr<Sample> sample = tcp.Run(0, 0.01);
  REQUIRE(sample.ok());
  CHECK(sample->operations % 100 == 0);
  CHECK(sample->operations >= 100);
  CHECK(sample->payload_bytes == sample->operations * bytes * directions);
}

TEST_CASE("an unknown congestion control is an error that names it", "[kvbench]") {
  TcpBaseline tcp({Workload::kPush, 4096, 1, 1, 1}, 1, {{}, "no-such-control"});
  const absl::Status status = tcp.Run(0, 0.01).status();
  CHECK(absl::IsUnavailable(status));
  CHECK(std::string(status.message()).find("'no-such-control'") != std::string::npos);
}

}  // namespace
}  // namespace kvstore::bench
