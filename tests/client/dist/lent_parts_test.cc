// Parts that are lent while what comes for them waits.
#include "client/dist/lent_parts.h"

#include <catch2/catch.hpp>
#include <utility>

#include "tests/client/dist/operations.h"

namespace kvstore {

using testing::Underway;

TEST_CASE("what comes for a part that is back is written at once", "[dist]") {
  Underway underway;
  LentParts lent(underway.token, 2);
  lent.Lend(0).reset();
  bool written = false;
  lent.WhenReturned(0, [&] { written = true; });
  CHECK(written);
  written = false;
  lent.WhenReturned(1, [&] { written = true; });  // never lent
  CHECK(written);
}

TEST_CASE("what comes for a part that is lent is written when its last reference goes", "[dist]") {
  Underway underway;
  LentParts lent(underway.token, 2);
  std::shared_ptr<const void> part = lent.Lend(0);
  std::shared_ptr<const void> another = part;  // the transport's
  const std::shared_ptr<const void> other_part = lent.Lend(1);
  bool written = false;
  lent.WhenReturned(0, [&] { written = true; });
  part.reset();
  CHECK(!written);
  another.reset();
  CHECK(written);
}

TEST_CASE("an operation is not complete before what came for a lent part is written", "[dist]") {
  Underway underway;
  bool written = false;
  std::shared_ptr<const void> part;
  {
    LentParts lent(std::exchange(underway.token, nullptr), 1);
    part = lent.Lend(0);
    lent.WhenReturned(0, [&] {
      written = true;
      CHECK(!underway.Complete());
    });
  }
  CHECK(!underway.Complete());
  part.reset();
  CHECK(written);
  CHECK(underway.Complete());
}

}  // namespace kvstore
