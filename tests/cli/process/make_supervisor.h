// A Supervisor for one test. It blocks signals in the process for good, which the next one finds
// so.
#pragma once

#include <catch2/catch.hpp>
#include <memory>

#include "cli/process/supervisor.h"

namespace kvstore {

inline std::unique_ptr<Supervisor> MakeSupervisor() {
  auto supervisor = Supervisor::Create();
  REQUIRE(supervisor.ok());
  return *std::move(supervisor);
}

}  // namespace kvstore
