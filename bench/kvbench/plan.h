// Which cases the command line asks for, and which of them share a cluster.
#pragma once

#include <string>
#include <vector>

#include "bench/kvbench/cases.h"
#include "bench/kvbench/options.h"

namespace kvstore::bench {

// What "all" stands for.
std::vector<Workload> AllWorkloads(const Options& options);

// All of the cases that `options` ask for, in the order of the table.
std::vector<Case> CasesOf(const Options& options);

// The type of store that a case needs: async has one of its own.
std::string StoreTypeOf(const Options& options, const Case& measured);

// Whether two cases can run in one job: a cluster has one optimizer, one type of store and a fixed
// number of workers, and the keys of `init` would stay in it.
bool ShareJob(const Options& options, const Case& a, const Case& b);

// What is wrong with the options as a whole; empty if nothing is.
std::string ProblemOf(const Options& options);

}  // namespace kvstore::bench
