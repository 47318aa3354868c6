// What rows take of the budget: those that exist, and those that are under way.
#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "server/values/tensor_values.h"
#include "tests/server/core/shard_under_test.h"

namespace kvstore {
namespace {

constexpr uint64_t kRowBytes = 1024;  // a page each

// A row_sparse key of 1000 rows of 256 f32, in one stripe.
KeySpec Table(uint64_t rows_max = 0) {
  KeySpec spec = testing::SpecOf(testing::kKey);
  spec.dtype = DType::kFloat32;
  spec.shape = {1000, 256};
  spec.storage = Storage::kRowSparse;
  spec.rule = {InitRuleKind::kZeros, 0, 0, 0, rows_max};
  return spec;
}

Piece RowsOf(const std::vector<int64_t>& ids) {
  std::string bytes(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int64_t));
  bytes.append(ids.size() * kRowBytes, '\0');
  Piece piece;
  piece.rows = static_cast<uint32_t>(ids.size());
  piece.data = Payload::CopyOf(bytes);
  return piece;
}

// One shard with real values. Requests are numbered as they come.
class Shard {
 public:
  Shard(uint32_t workers, uint64_t budget, const std::string& type = "dist_sync")
      : core(OptionsOf(budget), ShardAddress{0, 0}, &values) {
    core.OnRouting(testing::kCluster, testing::kServerIncarnation,
                   testing::RoutingOf(workers, 1, 1, type));
  }

  // The status of the request itself, however many others it answers.
  absl::Status Send(WorkerRank rank, Op op, Round round, Piece piece, const KeySpec* spec = nullptr,
                    RequestId request = 0) {
    RequestEntry entry;
    entry.op = op;
    entry.key = testing::kKey;
    entry.round = round;
    entry.request = request != 0 ? request : ++requests;
    entry.piece = std::move(piece);
    entry.piece.create = spec != nullptr;
    RequestFrame frame = testing::Shard::FrameOf(rank, entry);
    if (spec != nullptr) frame.keys.push_back(*spec);
    if (op == Op::kSetOptimizer) frame.optimizer = optimizer;
    ServerOutbox out;
    core.OnFrame(0, rank + 1, frame, &out);
    for (const ServerFrame& sent : out) {
      if (sent.frame.header.rank != rank) continue;
      for (const ReplyEntry& reply : sent.frame.entries) {
        if (reply.request == entry.request) return absl::Status(reply.code, reply.message);
      }
    }
    return absl::OkStatus();
  }
  absl::Status Init(const KeySpec& spec) { return Send(0, Op::kInit, 0, {}, &spec); }
  absl::Status Push(WorkerRank rank, Round round, const std::vector<int64_t>& ids,
                    RequestId request = 0) {
    return Send(rank, Op::kPush, round, RowsOf(ids), nullptr, request);
  }
  uint64_t rows() const { return core.Status().value_bytes / kRowBytes; }

  TensorValues values;
  ServerCore core;
  RequestId requests = 0;
  OptimizerConfig optimizer{"sum", {}};  // that a kSetOptimizer sets

 private:
  static ServerCoreOptions OptionsOf(uint64_t budget) {
    ServerCoreOptions options;
    options.value_bytes_max = budget;
    return options;
  }
};

}  // namespace

TEST_CASE("room for the rows of a push is kept from when it is taken until its round is made",
          "[core][rows]") {
  Shard shard(2, 100 * kRowBytes);
  REQUIRE(shard.Init(Table()).ok());
  REQUIRE(shard.Send(0, Op::kSetOptimizer, 0, {}).ok());
  CHECK(shard.rows() == 0);
  REQUIRE(shard.Push(0, 1, {1, 2, 3}).ok());
  CHECK(shard.rows() == 3);
  REQUIRE(shard.Push(0, 2, {4}).ok());  // parked: its round is not the next one
  CHECK(shard.rows() == 4);
  REQUIRE(shard.Push(1, 1, {2, 3, 9}).ok());  // counted by itself until the round is made, which is
  CHECK(shard.rows() == 4 + 1);               // now: 1, 2, 3, 9, and the parked 4
  REQUIRE(shard.Push(1, 2, {1, 2}).ok());
  CHECK(shard.rows() == 5);
  REQUIRE(shard.Push(0, 3, {1, 2, 9}).ok());  // all of them are there
  CHECK(shard.rows() == 5);
}

TEST_CASE("a push whose rows go over the budget fails its round, which changes nothing",
          "[core][rows]") {
  const auto type = GENERATE(as<std::string>(), "dist_sync", "dist_async");
  CAPTURE(type);
  Shard shard(1, 4 * kRowBytes, type);
  REQUIRE(shard.Init(Table()).ok());
  REQUIRE(shard.Send(0, Op::kSetOptimizer, 0, {}).ok());
  REQUIRE(shard.Push(0, 1, {1, 2, 3}).ok());
  CHECK(shard.Push(0, 2, {3, 4, 5}) ==
        absl::ResourceExhaustedError("key 17 part 0: 5120 bytes needed, 0 of 4096 are in use"));
  CHECK(shard.rows() == 3);
  REQUIRE(shard.Push(0, 3, {3, 4}).ok());
  CHECK(shard.rows() == 4);
  REQUIRE(shard.Push(0, 4, {1, 2, 3, 4}).ok());  // rows that are there need no room
}

TEST_CASE("a repeat of a push is not counted again", "[core][rows]") {
  Shard shard(2, 4 * kRowBytes);
  REQUIRE(shard.Init(Table()).ok());
  REQUIRE(shard.Push(0, 1, {1, 2, 3}, 77).ok());
  for (int again = 0; again < 3; ++again) {
    CHECK(shard.Push(0, 1, {1, 2, 3}, 77).ok());
    CHECK(shard.rows() == 3);
  }
  REQUIRE(shard.Push(1, 1, {}).ok());
  CHECK(shard.rows() == 3);
  CHECK(shard.Push(0, 1, {1, 2, 3}, 77).ok());  // a late one, after its round
  CHECK(shard.rows() == 3);
}

TEST_CASE("rows that an update drops give their room back", "[core][rows]") {
  Shard shard(1, 4 * kRowBytes);
  REQUIRE(shard.Init(Table()).ok());
  REQUIRE(shard.Push(0, 1, {1, 2}).ok());  // without an optimizer the sum becomes the value
  REQUIRE(shard.Push(0, 2, {3, 4}).ok());
  CHECK(shard.rows() == 2);
  REQUIRE(shard.Push(0, 3, {5, 6}).ok());
  CHECK(shard.rows() == 2);
}

TEST_CASE("rows above the key's rows_max are refused, whatever the budget is", "[core][rows]") {
  Shard shard(2, 1000 * kRowBytes);
  REQUIRE(shard.Init(Table(/*rows_max=*/3)).ok());
  REQUIRE(shard.Send(0, Op::kSetOptimizer, 0, {}).ok());
  REQUIRE(shard.Push(0, 1, {1, 2}, 77).ok());
  CHECK(shard.Push(1, 1, {8, 9}).code() == absl::StatusCode::kResourceExhausted);
  CHECK(shard.Push(0, 1, {1, 2}, 77).code() == absl::StatusCode::kResourceExhausted);  // its, too
  CHECK(shard.rows() == 0);
  REQUIRE(shard.Push(0, 2, {1, 2}).ok());
  REQUIRE(shard.Push(1, 2, {9}).ok());
  CHECK(shard.rows() == 3);
  // The lowest rank's refusal is everybody's, whoever came first.
  REQUIRE(shard.Push(1, 3, {4}, 78).ok());
  REQUIRE(shard.Push(1, 4, {1}).ok());
  const absl::Status refused = shard.Push(0, 3, {5, 6});
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(shard.Push(1, 3, {4}, 78) == refused);
  REQUIRE(shard.Push(0, 4, {1, 2, 9}).ok());
  CHECK(shard.rows() == 3);
}

TEST_CASE("a key that is deleted gives back what was kept for its pushes", "[core][rows]") {
  Shard shard(2, 4 * kRowBytes);
  REQUIRE(shard.Init(Table()).ok());
  REQUIRE(shard.Push(0, 1, {1, 2, 3}).ok());
  REQUIRE(shard.Send(0, Op::kDelete, 0, {}).ok());
  CHECK(shard.core.Status().value_bytes == 0);
}

TEST_CASE("room for what is kept of a worker is kept from its first push on", "[core]") {
  constexpr uint64_t kBytes = 1000 * sizeof(float);
  KeySpec spec = testing::SpecOf(testing::kKey);
  spec.dtype = DType::kFloat32;
  spec.shape = {1000};
  const Piece ones{0, Payload::CopyOf(std::string(kBytes, '\0'))};
  // A value, a sum, and what two workers have seen.
  Shard shard(3, 4 * kBytes, "dist_async");
  REQUIRE(shard.Send(0, Op::kInit, 0, ones, &spec).ok());
  shard.optimizer = {"dcasgd", {{"per_worker", 1}}};
  REQUIRE(shard.Send(0, Op::kSetOptimizer, 0, {}).ok());
  CHECK(shard.core.Status().value_bytes == 2 * kBytes);
  REQUIRE(shard.Send(2, Op::kPush, 2, ones).ok());  // waits for its first one
  CHECK(shard.core.Status().value_bytes == 3 * kBytes);
  REQUIRE(shard.Send(2, Op::kPush, 1, ones).ok());
  CHECK(shard.core.Status().value_bytes == 3 * kBytes);
  REQUIRE(shard.Send(0, Op::kPush, 1, ones).ok());
  CHECK(shard.core.Status().value_bytes == 4 * kBytes);
  CHECK(shard.Send(1, Op::kPush, 1, ones).code() == absl::StatusCode::kResourceExhausted);
  REQUIRE(shard.Send(0, Op::kPush, 2, ones).ok());  // what is there is enough
  CHECK(shard.core.Status().value_bytes == 4 * kBytes);
  shard.optimizer = {"sum", {}};
  REQUIRE(shard.Send(0, Op::kSetOptimizer, 0, {}).ok());
  CHECK(shard.core.Status().value_bytes == 2 * kBytes);
  CHECK(shard.Send(1, Op::kPush, 2, ones).ok());
}

TEST_CASE("an optimizer that knows what each worker has seen is refused where all are summed",
          "[core]") {
  Shard shard(2, 1 << 20);
  shard.optimizer = {"dcasgd", {{"per_worker", 1}}};
  CHECK(shard.Send(0, Op::kSetOptimizer, 0, {}) ==
        absl::InvalidArgumentError(
            "optimizer 'dcasgd' with per_worker: an asynchronous store expected, whose updates are "
            "by one worker's push each, got a synchronous one, whose updates are by the sum of all "
            "workers'"));
  CHECK(shard.values.updates_by_worker() == false);
  shard.optimizer = {"dcasgd", {}};
  CHECK(shard.Send(0, Op::kSetOptimizer, 0, {}).ok());
}

}  // namespace kvstore
