// What a core tells a WorkRecorder: the very things it does, in their order, each about its part,
// round and worker.
#include "server/core/work_recorder.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/server/core/shard_under_test.h"

namespace kvstore::testing {
namespace {

class Notes final : public WorkRecorder {
 public:
  void set_on(bool on) { on_ = on; }
  int64_t Now() const noexcept override { return ++moment_; }
  void Did(const WorkItem& item, int64_t since) noexcept override {
    CHECK(since > 0);
    CHECK(item.key->key == kKey);
    Note("", item);
  }
  void Joined(const WorkItem& item, int64_t) noexcept override { Note("joins ", item); }
  std::vector<std::string> Take() { return std::exchange(notes_, {}); }

 private:
  void Note(const char* how, const WorkItem& item) {
    constexpr const char* kNames[] = {"push", "fold", "update", "pull", "wait"};
    std::string text =
        fmt::format("{}{} round {}", how, kNames[static_cast<int>(item.work)], item.round);
    if (item.rank != kOfNoWorker) text += fmt::format(" of {}", item.rank);
    if (item.contribution != 0) text += fmt::format(", contribution {}", item.contribution);
    notes_.push_back(text);
  }
  mutable int64_t moment_ = 0;
  std::vector<std::string> notes_;
};

using Texts = std::vector<std::string>;

TEST_CASE("a round is told as it is made: folds in rank order, one update of all, the answers",
          "[core][profiler]") {
  Notes notes;
  notes.set_on(true);
  Shard shard(2, {}, "dist_sync", &notes);
  shard.Init(0, 1, 1);
  CHECK(notes.Take().empty());
  shard.Push(1, 1, 11);  // before its turn: parked
  CHECK(notes.Take() == Texts{"push round 1 of 1"});
  shard.Pull(1, 1);
  CHECK(notes.Take().empty());
  shard.Push(0, 1, 10);
  CHECK(notes.Take() == Texts{"fold round 1 of 0, contribution 1",  //
                              "fold round 1 of 1, contribution 1",  //
                              "update round 1",                     //
                              "joins update round 1 of 0, contribution 1",
                              "joins update round 1 of 1, contribution 1",  //
                              "wait round 1 of 1",                          // its push
                              "pull round 1 of 1",                          //
                              "wait round 1 of 1",                          // its pull
                              "wait round 1 of 0",                          //
                              "push round 1 of 0"});
  shard.Pull(0, 1);
  CHECK(notes.Take() == Texts{"pull round 1 of 0"});
}

TEST_CASE("an asynchronous push is folded and applied by itself", "[core][profiler]") {
  Notes notes;
  notes.set_on(true);
  Shard shard(2, {}, "dist_async", &notes);
  shard.Init(0, 1, 1);
  shard.SetOptimizer(0, "sum", 2);
  shard.Push(1, 1, 11);
  CHECK(notes.Take() == Texts{"fold round 1 of 1, contribution 1",
                              "update round 1 of 1, contribution 1", "wait round 1 of 1",
                              "push round 1 of 1"});
}

TEST_CASE("a recorder that is off hears nothing, and of a wait that began then neither",
          "[core][profiler]") {
  Notes notes;
  Shard shard(2, {}, "dist_sync", &notes);
  shard.Init(0, 1, 1);
  shard.Push(0, 1, 10);
  shard.Pull(0, 1);
  CHECK(notes.Take().empty());
  notes.set_on(true);
  shard.Push(1, 1, 11);
  for (const std::string& note : notes.Take()) {
    CAPTURE(note);
    CHECK(note != "wait round 1 of 0");
  }
}

}  // namespace
}  // namespace kvstore::testing
