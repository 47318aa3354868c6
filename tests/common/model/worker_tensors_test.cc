#include "common/model/worker_tensors.h"

#include <catch2/catch.hpp>

namespace kvstore {

using Names = std::vector<std::string>;

TEST_CASE("a worker's tensor is named by its rank, and by nothing else", "[model]") {
  CHECK(WorkerTensorName("previous", 0) == "previous@0");
  for (const WorkerRank rank : {0u, 7u, 10u, 4294967294u}) {
    CHECK(WorkerOfTensor("previous", WorkerTensorName("previous", rank)) == rank);
  }
  for (const char* const other :
       {"previous", "previous@", "previous@01", "previous@1x", "previous@-1", "previous@4294967295",
        "previous@99999999999999999999", "previous_1", "momentum@1", "xprevious@1", ""}) {
    CAPTURE(other);
    CHECK_FALSE(WorkerOfTensor("previous", other).has_value());
  }
}

TEST_CASE("tensors of workers stand behind the others, ascending by rank", "[model]") {
  const Names momentum = {"momentum"};
  CHECK(TensorsOfNoWorker({"momentum", "previous@2", "previous@10"}, "previous") == 1u);
  CHECK(TensorsOfNoWorker({"momentum"}, "previous") == 1u);
  CHECK(TensorsOfNoWorker({"previous@0"}, "previous") == 0u);
  CHECK(AreTensors({"momentum", "previous@2"}, momentum, "previous"));
  CHECK(AreTensors(momentum, momentum, "previous"));
  CHECK(AreTensors(momentum, momentum, ""));
  CHECK_FALSE(AreTensors({"momentum", "previous@2"}, momentum, ""));
  CHECK_FALSE(AreTensors({"previous@2"}, momentum, "previous"));
  CHECK_FALSE(AreTensors({"mean", "previous@2"}, momentum, "previous"));
  // Not in their order, twice, or something else among them.
  CHECK_FALSE(TensorsOfNoWorker({"previous@10", "previous@2"}, "previous").has_value());
  CHECK_FALSE(TensorsOfNoWorker({"previous@2", "previous@2"}, "previous").has_value());
  CHECK_FALSE(TensorsOfNoWorker({"previous@2", "momentum"}, "previous").has_value());
  Names many;
  for (WorkerRank rank = 0; rank < kWorkerTensorsMax; ++rank) {
    many.push_back(WorkerTensorName("previous", rank));
  }
  CHECK(TensorsOfNoWorker(many, "previous") == 0u);
  many.push_back(WorkerTensorName("previous", kWorkerTensorsMax));
  CHECK_FALSE(TensorsOfNoWorker(many, "previous").has_value());
}

}  // namespace kvstore
