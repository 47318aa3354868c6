#include "client/api/key_table.h"

#include <catch2/catch.hpp>
#include <memory>

namespace kvstore {

TEST_CASE("keys whose ids collide are refused, not merged", "[keys]") {
  KeyTable table(&DependencyEngine::Process());
  auto one = std::make_shared<Key>(), two = std::make_shared<Key>();
  one->is_int = two->is_int = false;
  one->name = "one";
  one->label = "key 'one'";
  two->name = "two";
  two->label = "key 'two'";
  one->id = two->id = 77;
  table.Add(one, {});
  const absl::Status status = table.CheckNew(*two);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message() == "key 'two' and key 'one' have the same hash: rename one of them");
  CHECK(table.CheckNew(*one).code() == absl::StatusCode::kAlreadyExists);
}

}  // namespace kvstore
