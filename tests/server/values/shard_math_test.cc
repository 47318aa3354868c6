// What a program's updater changes about a shard's arithmetic.
#include "server/values/shard_math.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

class Switch final : public ProgramUpdater {
 public:
  bool is_set() const override { return on; }
  absl::Status Update(const KeySpec&, PartId, MutableBufferPtr, MutableBufferPtr) override {
    return absl::OkStatus();
  }
  bool on = true;
};

TEST_CASE("while the program has an updater it is the only one, and it has no rows", "[engine]") {
  Switch program;
  ShardMath math(&program);
  CHECK(math.has_own_updater());
  KeySpec key;
  key.key = 7;
  key.dtype = DType::kFloat32;
  key.shape = {4, 2};
  key.storage = Storage::kRowSparse;
  CHECK(math.Update(key, {7, 0}, nullptr, nullptr, nullptr) ==
        absl::UnimplementedError("key 7: a dense key expected, this server runs its program's "
                                 "updater, which has no rows"));
  program.on = false;
  CHECK_FALSE(math.has_own_updater());
}

}  // namespace
}  // namespace kvstore
