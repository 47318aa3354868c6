// The names of tensors that an updater keeps beside a value for each worker that has pushed to it:
// "previous@3" is what "previous" is for rank 3. They follow the updater's other tensors, ascending
// by rank.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/cluster/identity.h"

namespace kvstore {

// Of how many workers a value keeps such a tensor at most.
inline constexpr size_t kWorkerTensorsMax = 240;

std::string WorkerTensorName(std::string_view name, WorkerRank rank);

// The rank whose tensor that is; nothing: none of that name.
std::optional<WorkerRank> WorkerOfTensor(std::string_view name, std::string_view tensor);

// How many of the names are those of tensors that are no worker's, if `names` are these and, behind
// them, workers' tensors called `by_worker` (empty: there are none); else nothing.
std::optional<size_t> TensorsOfNoWorker(const std::vector<std::string>& names,
                                        std::string_view by_worker);

// Whether `names` are `expected`, and behind them tensors of any workers.
bool AreTensors(const std::vector<std::string>& names, const std::vector<std::string>& expected,
                std::string_view by_worker);

}  // namespace kvstore
