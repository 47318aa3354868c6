#include "common/base/flat_map.h"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "tests/support/failing_new.h"

namespace kvstore {
namespace {

using Numbers = FlatMap<int, std::unique_ptr<int>>;

std::map<int, int> In(const Numbers& numbers) {
  std::map<int, int> in;
  for (const auto& [key, value] : numbers) in[key] = *value;
  return in;
}

}  // namespace

TEST_CASE("a flat map is as it was when there is no memory for another entry", "[base][memory]") {
  Numbers numbers;
  std::map<int, int> expected;
  int refused = 0;
  for (int key = 0; key < 1000; ++key) {
    auto value = std::make_unique<int>(3 * key);
    try {
      const testing::FailingNth failing(0, testing::FailingNth::kAll);
      numbers.emplace(key, std::move(value));
    } catch (const std::bad_alloc&) {
      ++refused;
      CHECK((In(numbers) == expected));
      numbers.emplace(key, std::make_unique<int>(3 * key));
    }
    expected[key] = 3 * key;
    if (key % 3 == 0) {
      numbers.erase(key / 2);
      expected.erase(key / 2);
    }
  }
  CHECK((In(numbers) == expected));
  CHECK(refused >= 8);  // at 1, 3, 7, 14, 28, ... entries at the least
  CHECK(refused < 100);
}

TEST_CASE("a flat map has the room that was made, whatever it holds", "[base][memory]") {
  for (int before = 0; before < 40; ++before) {
    for (int more = 1; more < 40; ++more) {
      CAPTURE(before, more);
      Numbers numbers;
      for (int i = 0; i < before; ++i) numbers.emplace(i, std::make_unique<int>(i));
      std::vector<std::unique_ptr<int>> values;
      for (int i = 0; i < more; ++i) values.push_back(std::make_unique<int>(i));
      numbers.MakeRoomFor(static_cast<size_t>(more));
      const testing::FailingNth failing(0, testing::FailingNth::kAll);
      for (int i = 0; i < more; ++i) {
        numbers.emplace(before + i, std::move(values[static_cast<size_t>(i)]));
      }
    }
  }
}

TEST_CASE("a flat map with room makes its entries without memory", "[base][memory]") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  Numbers numbers;
  std::map<int, int> expected;
  for (int turn = 0; turn < 200; ++turn) {
    const int count = static_cast<int>(random() % 50);
    std::vector<std::unique_ptr<int>> values;
    for (int i = 0; i < count; ++i) values.push_back(std::make_unique<int>(turn));
    numbers.MakeRoomFor(static_cast<size_t>(count));
    {
      const testing::FailingNth failing(0, testing::FailingNth::kAll);
      for (int i = 0; i < count; ++i)
        numbers.emplace(100 * turn + i, std::move(values[static_cast<size_t>(i)]));
    }
    for (int i = 0; i < count; ++i) expected[100 * turn + i] = turn;
    numbers.EraseIf([&](const auto& entry) { return entry.first % 100 >= count / 2; });
    for (auto it = expected.begin(); it != expected.end();) {
      it = it->first % 100 >= count / 2 ? expected.erase(it) : std::next(it);
    }
    CHECK((In(numbers) == expected));
  }
}

}  // namespace kvstore
