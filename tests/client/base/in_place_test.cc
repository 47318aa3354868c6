#include "client/base/in_place.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>

namespace kvstore {
namespace {

struct Owner {
  explicit Owner(bool* owner_gone) : gone(owner_gone) {}
  ~Owner() { *gone = true; }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  bool* gone;
  Place<96> place;
};

struct Small {
  explicit Small(int with) : number(with) {}
  int number;
};
struct Large {
  uint8_t bytes[200] = {};
};

bool LiesIn(const Owner& owner, const void* object) {
  const auto at = reinterpret_cast<uintptr_t>(object);
  const auto begin = reinterpret_cast<uintptr_t>(&owner.place);
  return at >= begin && at < begin + sizeof owner.place;
}

}  // namespace

TEST_CASE("a shared object lies within another, which lives as long as it does", "[base]") {
  bool gone = false;
  auto owner = std::make_shared<Owner>(&gone);
  auto small = std::allocate_shared<Small>(InPlace<Small>(owner, &owner->place), 17);
  CHECK(LiesIn(*owner, small.get()));
  const std::weak_ptr<Small> weak = small;
  owner = nullptr;
  CHECK(small->number == 17);
  small = nullptr;
  CHECK(weak.expired());
  CHECK_FALSE(gone);  // what counts the references lies there, too
}

TEST_CASE("the owner goes with the last reference to the object in it", "[base]") {
  bool gone = false;
  auto owner = std::make_shared<Owner>(&gone);
  auto small = std::allocate_shared<Small>(InPlace<Small>(owner, &owner->place), 17);
  owner = nullptr;
  CHECK_FALSE(gone);
  small = nullptr;
  CHECK(gone);
}

TEST_CASE("an object that is too large for the place has memory of its own", "[base]") {
  bool gone = false;
  auto owner = std::make_shared<Owner>(&gone);
  auto large = std::allocate_shared<Large>(InPlace<Large>(owner, &owner->place));
  CHECK_FALSE(LiesIn(*owner, large.get()));
  large = nullptr;
  CHECK(owner.use_count() == 1);
}

}  // namespace kvstore
