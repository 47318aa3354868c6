#include "cli/daemon_line.h"

#include <catch2/catch.hpp>
#include <string>

namespace kvstore {
namespace {

DaemonLineKind Kind(bool is_scheduler, const std::string& line) {
  return ReadDaemonLine(is_scheduler, line).kind;
}

TEST_CASE("a job's start and end are events when the scheduler tells them", "[cli]") {
  const std::string stamp = "2026-11-28T14:41:02.950 ";
  const DaemonLine start = ReadDaemonLine(true, stamp + "I kvscheduler: job 1 starts: dist_sync");
  CHECK(start.kind == DaemonLineKind::kEvent);
  CHECK(start.text == "job 1 starts: dist_sync");
  CHECK(Kind(true, stamp + "W kvscheduler: job 1 failed: lost server 0") ==
        DaemonLineKind::kWarning);
  CHECK(Kind(false, stamp + "I kvstored: job 1 epoch 1: dist_sync") == DaemonLineKind::kDetail);
  CHECK(Kind(false, stamp + "W kvstored: job 1 failed: lost server 0") == DaemonLineKind::kDetail);
}

TEST_CASE("levels are told apart", "[cli]") {
  const std::string stamp = "2026-11-28T14:41:02.950 ";
  CHECK(Kind(true, stamp + "T kvscheduler: x") == DaemonLineKind::kDetail);
  CHECK(Kind(true, stamp + "D kvscheduler: x") == DaemonLineKind::kDetail);
  CHECK(Kind(true, stamp + "I kvscheduler: registered server 1") == DaemonLineKind::kDetail);
  CHECK(Kind(false, stamp + "W kvstored: x") == DaemonLineKind::kWarning);
  CHECK(Kind(false, stamp + "E kvstored: x") == DaemonLineKind::kError);
  CHECK(Kind(false, stamp + "C kvstored: x") == DaemonLineKind::kError);
  CHECK(Kind(true, "kvscheduler listening on 127.0.0.1:7070") == DaemonLineKind::kDetail);
  CHECK(Kind(false, "kvstored listening on 127.0.0.1:7071") == DaemonLineKind::kDetail);
}

TEST_CASE("a line that is no line of a daemon's log is shown as it is", "[cli]") {
  for (const char* line :
       {"", "job 1 starts", "2026-11-28T14:41:02.950", "2026-11-28T14:41:02.950 ",
        "2026-11-28T14:41:02.950 X kvstored: x", "2026-11-28T14:41:02.950 I kvstored",
        "2026-11-28 14:41:02.950 I kvstored: x", "E1128 14:41:02.950 grpc: x"}) {
    CAPTURE(line);
    const DaemonLine read = ReadDaemonLine(true, line);
    CHECK(read.kind == DaemonLineKind::kOther);
    CHECK(read.text == line);
  }
}

}  // namespace
}  // namespace kvstore
