// What a program's updater changes about the values of a shard.
#include "server/values/tensor_values.h"

#include <catch2/catch.hpp>

#include "common/base/headroom.h"

namespace kvstore {
namespace {

class Switch final : public ProgramUpdater {
 public:
  bool is_set() const override { return on; }
  absl::Status Update(const ProgramUpdate&) override { return absl::OkStatus(); }
  bool on = true;
};

TEST_CASE("while the program has an updater it is the only one, and it has no rows", "[engine]") {
  Switch program;
  TensorValues values(&program);
  CHECK(values.has_own_updater());
  KeySpec key;
  key.key = 7;
  key.dtype = DType::kFloat32;
  key.shape = {4, 2};
  key.storage = Storage::kRowSparse;
  const std::unique_ptr<PartValue> value = values.Make(key, {7, 0});
  value->Fold(0, {});
  CHECK(value->Update(0, {}) ==
        absl::UnimplementedError("key 7: a dense key expected, this server runs the updater of its "
                                 "program, which has no rows"));
  program.on = false;
  CHECK_FALSE(values.has_own_updater());
}

TEST_CASE("memory for states is asked for on behalf of every shard of the process",
          "[engine][memory]") {
  KeepHeadroom();
  const TensorValues alone, one_of_four(nullptr, 4);
  CHECK(alone.CheckMemory(1000).ok());
  CHECK(one_of_four.CheckMemory(1000).ok());
  // A quarter of all addresses that a process has: for four shards there are not enough.
  CHECK(one_of_four.CheckMemory(uint64_t{1} << 45) ==
        absl::ResourceExhaustedError("memory for 140737488355328 bytes more expected, "
                                     "35184372088832 for each shard, the system has no more"));
}

}  // namespace
}  // namespace kvstore
