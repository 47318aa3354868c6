// Every call of the public API on a local store, with each of its allocations failing in turn.
#include "tests/support/every_allocation.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kvstore/kvstore.h"
#include "tests/support/arrays.h"
#include "tests/support/failing_new.h"

namespace kvstore {
namespace {

using testing::FailingNth;

std::unique_ptr<KVStore> Make() { return KVStore::CreateUnique(); }

// What is left over of a push that was refused must be as it was: else the bits differ.
std::unique_ptr<KVStore> MakeCompressed() {
  auto store = KVStore::CreateUnique();
  store->SetGradientCompression({{"type", "2bit"}, {"threshold", "1.5"}});
  return store;
}

}  // namespace

TEST_CASE("a call without memory changes nothing and may be called again", "[memory]") {
  const int fails = GENERATE(1, FailingNth::kAll);
  for (const testing::Named& named : testing::Calls())
    testing::FailEachAllocation(Make, named, "", fails);
}

TEST_CASE("an operation without memory on the store's thread ends with an error", "[memory]") {
  const int fails = GENERATE(1, FailingNth::kAll);
  for (const testing::Named& named : testing::Calls())
    testing::FailEachAllocation(Make, named, "kvs-local", fails);
}

TEST_CASE("a long call without memory queues nothing, or says that it is queued in part",
          "[memory]") {
  constexpr int kKeys = 600;  // more than are queued at a time
  // Small dense values need no memory once the call has begun: they are not queued. Rows are.
  const bool rows = GENERATE(false, true);
  CAPTURE(rows);
  const auto value = [rows](float number) {
    return rows ? RowArray({1, 1}, {{0, {number}}}) : Array({number});
  };
  Ints keys;
  std::vector<NDArray> zeros, ones, pulled;
  for (int key = 0; key < kKeys; ++key) {
    keys.push_back(key);
    zeros.push_back(value(0));
    ones.push_back(value(1));
    pulled.push_back(rows ? NDArray(Dims{1, 1}) : Array({-1}));
  }
  std::vector<NDArray*> outputs;
  for (NDArray& output : pulled) outputs.push_back(&output);
  bool failed = true;
  int in_part = 0;
  for (int spared = 0; failed; ++spared) {
    CAPTURE(spared);
    const auto store = Make();
    store->Init(keys, zeros);
    std::optional<ErrorCode> code;
    {
      const FailingNth failing(spared, 1);
      code = testing::CodeOf([&] { store->Push(keys, ones); });
      failed = failing.failed() > 0;
    }
    const auto one_failed = testing::CodeOf([&] { store->WaitAll(); });
    store->Pull(keys, outputs);
    store->WaitAll();
    const auto pushed = std::count_if(pulled.begin(), pulled.end(),
                                      [](const NDArray& v) { return Read(v)[0] == 1; });
    if (!code) {
      CHECK(pushed == (one_failed ? kKeys - 1 : kKeys));
    } else if (*code == ErrorCode::kUnknown) {
      CHECK(pushed > 0);
      CHECK(pushed < kKeys);
      ++in_part;
    } else {
      CHECK(*code == ErrorCode::kResourceExhausted);
      CHECK(pushed == 0);
    }
  }
  CHECK((in_part > 0) == rows);
}

TEST_CASE("a compressed push without memory leaves nothing over, and may be made again",
          "[memory][codec]") {
  const int fails = GENERATE(1, FailingNth::kAll);
  for (const testing::Named& named : testing::Calls()) {
    if (std::string(named.name).rfind("Push", 0) != 0) continue;
    testing::FailEachAllocation(MakeCompressed, named, "", fails);
    testing::FailEachAllocation(MakeCompressed, named, "kvs-local", fails);
  }
}

TEST_CASE("a store that cannot be made for want of memory may be made later", "[memory]") {
  const int fails = GENERATE(1, FailingNth::kAll);
  bool failed = true;
  for (int spared = 0; failed; ++spared) {
    CAPTURE(spared, fails);
    std::unique_ptr<KVStore> store;
    std::optional<ErrorCode> code;
    {
      const FailingNth failing(spared, fails);
      code = testing::CodeOf([&] { store = KVStore::CreateUnique(); });
      failed = failing.failed() > 0;
    }
    CHECK(code.has_value() == (store == nullptr));
    if (code) CHECK(*code == ErrorCode::kResourceExhausted);
  }
}

TEST_CASE("a store is destroyed without memory", "[memory]") {
  const int fails = GENERATE(1, FailingNth::kAll);
  bool failed = true;
  for (int spared = 0; failed; ++spared) {
    CAPTURE(spared, fails);
    testing::World world(KVStore::CreateUnique());
    world.store->Push(Ints{1}, {world.a});
    world.store->Push(Ints{1}, {world.b});
    const FailingNth failing(spared, fails);
    world.store.reset();
    failed = failing.failed() > 0;
  }
}

TEST_CASE("an array for which there is no memory leaves the caller's bytes to the caller",
          "[memory]") {
  const int fails = GENERATE(1, FailingNth::kAll);
  std::vector<float> bytes(8);
  bool failed = true;
  for (int spared = 0; failed; ++spared) {
    CAPTURE(spared, fails);
    int deleted = 0;
    Dims blob_shape = {8}, zeros_shape = {8}, rows_shape = {testing::kRows, testing::kWidth};
    std::optional<ErrorCode> blob, zeros, rows;
    {
      NDArray array;
      {
        const FailingNth failing(spared, fails);
        blob = testing::CodeOf([&] {
          array = NDArray::FromBlob(bytes.data(), std::move(blob_shape), DataType::kFloat32,
                                    Context(), [&deleted](void*) { ++deleted; });
        });
        failed = failing.failed() > 0;
      }
      CHECK(blob.has_value() == array.empty());
      CHECK(deleted == 0);
    }
    CHECK(deleted == (blob ? 0 : 1));
    {
      const FailingNth failing(spared, fails);
      zeros =
          testing::CodeOf([&] { const NDArray made(std::move(zeros_shape), DataType::kFloat32); });
      failed |= failing.failed() > 0;
    }
    {
      const FailingNth failing(spared, fails);
      rows =
          testing::CodeOf([&] { const NDArray made = NDArray::RowSparse(std::move(rows_shape)); });
      failed |= failing.failed() > 0;
    }
    for (const auto& code : {blob, zeros, rows}) {
      if (code) CHECK(*code == ErrorCode::kResourceExhausted);
    }
  }
}

}  // namespace kvstore
