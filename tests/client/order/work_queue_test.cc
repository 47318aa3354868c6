#include "client/order/work_queue.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <climits>
#include <future>
#include <thread>
#include <vector>

namespace kvstore {
namespace {

// A queue whose thread is held in its first task, so that what comes later is sorted before it
// runs.
class HeldQueue {
 public:
  HeldQueue() : queue("test") {
    queue.Add(1u << 20, 1000, [this](bool) { held_.get_future().wait(); });
  }
  // Lets the tasks run and returns their names in the order in which they ran.
  std::vector<int> Order() {
    std::promise<void> last;
    queue.Add(1u << 21, INT_MIN, [&](bool) { last.set_value(); });
    held_.set_value();
    last.get_future().wait();
    return order;
  }
  void Add(KeyId key, int priority, int name) {
    queue.Add(key, priority, [this, name](bool) { order.push_back(name); });
  }

  WorkQueue queue;
  std::vector<int> order;

 private:
  std::promise<void> held_;
};

}  // namespace

TEST_CASE("among keys a higher priority goes first and equal ones keep their order", "[queue]") {
  HeldQueue held;
  held.Add(1, 0, 10);
  held.Add(2, 5, 20);
  held.Add(3, -5, 30);
  held.Add(4, 5, 40);
  held.Add(5, 0, 50);
  CHECK(held.Order() == std::vector<int>{20, 40, 10, 50, 30});
}

TEST_CASE("tasks of one key run in their order and lend their priority to those before them",
          "[queue]") {
  HeldQueue held;
  held.Add(1, 0, 10);
  held.Add(2, 3, 20);
  held.Add(1, 7, 11);
  CHECK(held.Order() == std::vector<int>{10, 11, 20});
}

TEST_CASE("a low priority waits a bounded number of turns", "[queue]") {
  HeldQueue held;
  held.Add(1, -1, -1);
  for (int i = 0; i < 100; ++i) held.Add(100 + i, 1, i);
  const std::vector<int> order = held.Order();
  const auto low = std::find(order.begin(), order.end(), -1);
  CHECK(low - order.begin() < static_cast<long>(WorkQueue::kAgingInterval));
}

TEST_CASE("a stopped queue ends the task that runs and tells the others that they do not",
          "[queue]") {
  std::promise<void> entered, go;
  std::vector<bool> ran;
  WorkQueue queue("test");
  queue.Add(1, 0, [&](bool run) {
    entered.set_value();
    go.get_future().wait();
    ran.push_back(run);
  });
  entered.get_future().wait();
  queue.Add(1, 0, [&](bool run) { ran.push_back(run); });
  queue.Add(2, 0, [&](bool run) { ran.push_back(run); });
  auto stopped = std::async(std::launch::async, [&] { queue.Stop(); });
  // Stop has begun when a task is refused on the spot.
  std::atomic<bool> refused{false};
  while (!refused) {
    queue.Add(3, 0, [&](bool run) { refused = !run; });
    std::this_thread::yield();
  }
  go.set_value();
  stopped.get();
  CHECK(ran == std::vector<bool>{true, false, false});
}

TEST_CASE("a task runs where it is asked for only if no other one runs or waits", "[queue]") {
  std::promise<void> entered, go;
  WorkQueue queue("test");
  bool ran = false;
  REQUIRE(queue.RunIfIdle([&] {
    ran = queue.InTask();
    CHECK_FALSE(queue.RunIfIdle([] {}));  // one runs
  }));
  CHECK(ran);
  CHECK_FALSE(queue.InTask());

  queue.Add(1, 0, [&](bool) {
    entered.set_value();
    go.get_future().wait();
  });
  entered.get_future().wait();
  CHECK_FALSE(queue.RunIfIdle([] {}));
  CHECK_FALSE(queue.InTask());  // it is one on another thread
  go.set_value();
}

TEST_CASE("what is added while a task runs elsewhere runs after it, on the queue's thread",
          "[queue]") {
  std::promise<std::thread::id> where;
  std::atomic<bool> over{false};
  std::atomic<bool> early{false};
  WorkQueue queue("test");
  REQUIRE(queue.RunIfIdle([&] {
    queue.Add(1, 0, [&](bool) {
      early = !over;
      where.set_value(std::this_thread::get_id());
    });
    std::this_thread::yield();
    over = true;
  }));
  CHECK(where.get_future().get() != std::this_thread::get_id());
  CHECK_FALSE(early);
}

TEST_CASE("Stop waits for a task that runs on another thread", "[queue]") {
  WorkQueue queue("test");
  std::promise<void> entered, go;
  std::atomic<bool> over{false};
  auto running = std::async(std::launch::async, [&] {
    queue.RunIfIdle([&] {
      entered.set_value();
      go.get_future().wait();
      over = true;
    });
  });
  entered.get_future().wait();
  bool late = false;
  auto stopped = std::async(std::launch::async, [&] {
    queue.Stop();
    late = !over;
  });
  // Stop has begun when a task is refused on the spot.
  std::atomic<bool> refused{false};
  while (!refused) {
    queue.Add(3, 0, [&](bool run) { refused = !run; });
    std::this_thread::yield();
  }
  go.set_value();
  stopped.get();
  CHECK_FALSE(late);
  CHECK_FALSE(queue.RunIfIdle([] {}));
}

}  // namespace kvstore
