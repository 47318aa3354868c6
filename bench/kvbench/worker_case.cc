#include "bench/kvbench/worker_case.h"

#include "bench/kvbench/pattern.h"
#include "bench/kvbench/row_sets.h"

namespace kvstore::bench {
namespace {

// A store holds a million keys.
constexpr uint64_t kCreatedMax = 900000;

}  // namespace

std::unique_ptr<WorkerCase> MakeWorkerCase(const PrepareCommand& command, KVStore* store) {
  const Workload workload = command.measured.workload;
  if (workload == Workload::kInit) return MakeCreation(command, store);
  if (workload == Workload::kRowSparse) return MakeSparseRounds(command, store);
  return InRounds(workload) ? MakeRounds(command, store) : MakeExchange(command, store);
}

uint64_t RoundsMax(const Case& measured) {
  if (measured.workload == Workload::kInit) return kCreatedMax / measured.keys;
  if (measured.workload == Workload::kRowSparse) return RowSets::rounds_max(measured.workers);
  return RoundPattern{{}, measured.workers, measured.optimizer, measured.dtype}.rounds_max();
}

}  // namespace kvstore::bench
