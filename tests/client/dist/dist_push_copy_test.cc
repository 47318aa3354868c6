// When a pushed array is the program's again: at the end of its round where its very bytes are
// sent, earlier where the SDK has made something else of them.
#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/expect_error.h"
#include "tests/support/meeting.h"
#include "tests/support/must.h"
#include "tests/support/row_arrays.h"

namespace kvstore {
namespace {

// A way of pushing [1, 2] as key 1, whose value has two rows of one element.
struct Way {
  std::string name;
  bool push_copy = false;
  bool rows = false;  // the key is row_sparse
  std::vector<std::pair<std::string, std::string>> compression;
  std::vector<NDArray> values;
};

// [1, 2] times `factor`.
NDArray Numbers(float factor) {
  const NDArray array({2, 1});
  for (int i = 0; i < 2; ++i) array.data_as<float>()[i] = static_cast<float>(i + 1) * factor;
  return array;
}

std::vector<Way> Ways() {
  const RowMap rows = {{0, {1}}, {1, {2}}};
  return {{"push-copy", true, false, {}, {Numbers(1)}},
          {"the sum of two", false, false, {}, {Numbers(0.5), Numbers(0.5)}},
          {"fp16", false, false, {{"type", "fp16"}}, {Numbers(1)}},
          {"rows", false, true, {}, {RowArray({2, 1}, rows)}},
          {"rows into a dense key", false, false, {}, {RowArray({2, 1}, rows)}}};
}

}  // namespace

TEST_CASE("a pushed array may be written again once the SDK has its own copy", "[dist][push]") {
  for (const Way& way : Ways()) {
    CAPTURE(way.name);
    DistClusterOptions options;
    options.workers = 2;
    options.servers = 2;
    options.push_copy = way.push_copy;
    DistCluster cluster(options);
    Meeting meeting(2);
    const auto thrown = cluster.Run([&](KVStore& store, int rank) {
      const Dims shape = {2, 1};
      if (!way.compression.empty()) store.SetGradientCompression(way.compression);
      store.Init(Ints{1}, {way.rows ? NDArray::RowSparse(shape) : NDArray(shape)});
      const NDArray mine = Filled(shape, 10);
      if (rank == 0) {
        store.Push(Ints(way.values.size(), 1), way.values);
        for (const NDArray& value : way.values) {
          value.WaitToWrite();  // although the round waits for worker 1
          for (int i = 0; i < 2; ++i) value.data_as<float>()[i] = 1000;
        }
        meeting.Arrive();
      } else {
        meeting.Arrive();
        store.Push(Ints{1}, {mine});
      }
      MUST_EQUAL(PullFrom(store, 1, shape), Floats({11, 12}));
    });
    CHECK(thrown == NothingThrown(2));
  }
}

TEST_CASE("an array whose bytes are sent is in use until its round is over", "[dist][push]") {
  DistClusterOptions options;
  options.workers = 2;
  options.operation_timeout_ms = 300;
  DistCluster cluster(options);
  Meeting meeting(2);
  const auto thrown = cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {NDArray({2})});
    const NDArray value = Filled(2, 1);
    if (rank == 0) {
      store.Push(Ints{1}, {value});
      MUST_THROW(value.WaitToWrite(), kDeadlineExceeded, "worker 1");
      meeting.Arrive();
    } else {
      meeting.Arrive();
      store.Push(Ints{1}, {value});
    }
    while (true) {
      try {
        return value.WaitToWrite();
      } catch (const Error& error) {  // in 300 ms, which may be little here
        MUST(error.code() == ErrorCode::kDeadlineExceeded);
      }
    }
  });
  CHECK(thrown == NothingThrown(2));
}

TEST_CASE("a failure of a push that was copied is thrown by a later wait for its array",
          "[dist][push]") {
  DistClusterOptions options;
  options.push_copy = true;
  DistCluster cluster(options);
  const auto thrown = cluster.Run([&](KVStore& store, int) {
    store.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5));
    const NDArray ints({4}, DataType::kInt32);
    store.Init(Ints{1}, {ints});
    store.Push(Ints{1}, {ints});
    while (store.status(1) == "OK") std::this_thread::yield();
    MUST_THROW(ints.WaitToWrite(), kInvalidArgument, "got i32");
    store.WaitAll();
  });
  CHECK(thrown == NothingThrown(1));
}

}  // namespace kvstore
