// OptimizerReport: what `kvctl optimizer` shows, from the answers of the servers. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

// By rank; of a server that did not answer, or refused, the error.
using OptimizerAnswers = std::map<uint32_t, absl::StatusOr<v1::NumbersReport>>;

// "server 1: why" of every server that did not answer, or refused, one a line; empty: none.
std::string RefusalsOf(const OptimizerAnswers& answers);
// What differs between the servers that answered: "server 1 has another optimizer than server 0: ",
// or within one; empty: nothing.
std::string DifferencesOf(const OptimizerAnswers& answers);

// A line for each server, and what is wrong below.
std::string OptimizersAsTable(const OptimizerAnswers& answers);
// The same as one JSON object on one line; fields are added, never renamed:
//   servers  [{server, optimizer, parameters {name: number}, schedule, own_updater,
//              changes [{from_step, numbers {name: number}}],
//              held {from_step, numbers} or null, times_set}]
//   differences, errors [text]
std::string OptimizersAsJson(const OptimizerAnswers& answers);

}  // namespace kvstore
