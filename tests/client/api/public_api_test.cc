// A program as users write it: the public headers, the shared library, and nothing else.
#include <catch2/catch.hpp>
#include <regex>
#include <stdexcept>

#include "kvstore/kvstore.h"

TEST_CASE("a program that sees the shared library only can train", "[public]") {
  const std::unique_ptr<kvstore::KVStore> store = kvstore::KVStore::CreateUnique("local");
  std::vector<float> weight = {1, 2}, gradient = {10, 20};
  kvstore::NDArray w = kvstore::NDArray::FromBlob(weight.data(), {2});
  const kvstore::NDArray g = kvstore::NDArray::FromBlob(gradient.data(), {2});
  store->Init(std::vector<std::string>{"w"}, {w});
  store->SetOptimizer(kvstore::OptimizerSpec("sgd").Set("learning_rate", 0.5));
  store->Push(std::vector<std::string>{"w"}, {g});
  store->Pull(std::vector<std::string>{"w"}, {&w});
  w.WaitToRead();
  CHECK(weight == std::vector<float>{-4, -8});
}

TEST_CASE("errors of the shared library are caught by type and as standard exceptions",
          "[public]") {
  try {
    kvstore::KVStore::CreateUnique("foo");
    FAIL("an unknown type was accepted");
  } catch (const kvstore::Error& error) {
    CHECK(error.code() == kvstore::ErrorCode::kInvalidArgument);
  }
  CHECK_THROWS_AS(kvstore::NDArray({-1}), std::runtime_error);
}

TEST_CASE("the version is three numbers", "[public]") {
  CHECK(std::regex_match(kvstore::Version(), std::regex(R"(\d+\.\d+\.\d+)")));
}
