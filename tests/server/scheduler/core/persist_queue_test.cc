#include "server/scheduler/core/persist_queue.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "common/cluster/identity.h"

namespace kvstore {
namespace {

class Disk {
 public:
  // A call that leaves behind a state, or none.
  void Call(int number, std::optional<Term> state) {
    std::optional<v1::SchedulerState> persist;
    if (state) persist.emplace().set_term(*state);
    queue.Add(std::move(persist), [this, number] { told.push_back(number); });
  }
  // The state that is to be written now; 0: none.
  Term Next() {
    const auto state = queue.NextWrite();
    return state ? state->term() : 0;
  }

  PersistQueue queue;
  std::vector<int> told;
};

using Told = std::vector<int>;

TEST_CASE("a call is told when its state is on disk, and one without a state at once",
          "[scheduler][persist]") {
  Disk disk;
  disk.Call(1, std::nullopt);
  CHECK(disk.told == Told{1});
  CHECK(disk.Next() == 0);
  disk.Call(2, 10);
  CHECK(disk.Next() == 10);
  disk.Call(3, std::nullopt);  // not before the one ahead of it
  CHECK(disk.told == Told{1});
  disk.queue.Written();
  CHECK(disk.told == Told{1, 2, 3});
  CHECK(disk.Next() == 0);
}

TEST_CASE("calls that come during a write share the next one, of the newest state",
          "[scheduler][persist]") {
  Disk disk;
  disk.Call(1, 10);
  CHECK(disk.Next() == 10);
  for (int call = 2; call <= 1000; ++call) disk.Call(call, 10 + call);
  CHECK(disk.Next() == 0);  // one at a time
  disk.queue.Written();
  CHECK(disk.told == Told{1});
  CHECK(disk.Next() == 1010);
  disk.Call(1001, std::nullopt);
  CHECK(disk.told == Told{1});
  disk.queue.Written();
  CHECK(disk.told.size() == 1001);
  CHECK(std::is_sorted(disk.told.begin(), disk.told.end()));
  CHECK(disk.Next() == 0);
}

}  // namespace
}  // namespace kvstore
