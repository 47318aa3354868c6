// SetServerProfilerCommand: what every store makes of it. What is in the files is checked where
// there are real processes (tests/integration/test_profile.py).
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

using Command = KVStoreServerProfilerCommand;
namespace fs = std::filesystem;

// A folder with a colon in its name, gone at the end.
class Folder {
 public:
  Folder() {
    static std::atomic<int> made{0};
    path_ = fs::temp_directory_path() /
            ("kvs:profile-" + std::to_string(getpid()) + "-" + std::to_string(++made));
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

std::string TextOf(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST_CASE("orders to the profiler that make no sense are refused on every store", "[profiler]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    MUST_THROW(store.SetServerProfilerCommand(Command::kSetConfig, "filename"), kInvalidArgument,
               "name:value,name:value expected, got 'filename'");
    MUST_THROW(store.SetServerProfilerCommand(Command::kSetConfig, "file:x"), kInvalidArgument,
               "one of filename, profile_all, ");
    MUST_THROW(store.SetServerProfilerCommand(Command::kState, "run"), kInvalidArgument,
               "profiler kState: 1 or 0 expected, got 'run'");
    MUST_THROW(store.SetServerProfilerCommand(static_cast<Command>(9), "1"), kInvalidArgument,
               "0 (kSetConfig) to 3 (kDump) expected, got 9");
  });
}

TEST_CASE("every server writes what it did, from kState 1 on; without servers it is nothing",
          "[profiler]") {
  for (const StoreKind& kind : StoresHere(Store)) {
    CAPTURE(kind.Name());
    const Folder folder;
    const std::string file = (folder / "a.json").string();
    const std::vector<std::string> threw = RunOn(kind, [&](Worker& worker) {
      KVStore& store = worker.store();
      worker.SetOptimizer(OptimizerSpec("sum"));
      store.Init(Ints{1}, {Array({0})});
      const auto push = [&] {
        store.Push(Ints{1}, {Array({1})});
        store.WaitAll();
        worker.Meet();
      };
      push();
      store.SetServerProfilerCommand(Command::kSetConfig, "filename:" + file + ",profile_all:1");
      store.SetServerProfilerCommand(Command::kState, "1");
      worker.Meet();  // rank 0's order holds before anybody pushes
      push();
      push();
      store.SetServerProfilerCommand(Command::kPause, "1");
      worker.Meet();
      push();
      store.SetServerProfilerCommand(Command::kPause, "0");
      worker.Meet();
      push();
      store.SetServerProfilerCommand(Command::kDump, "1");
      worker.Meet();
    });
    for (const std::string& what : threw) CHECK(what.empty());
    size_t pushes = 0;
    size_t updates = 0;
    for (uint32_t rank = 0; rank < kind.servers; ++rank) {
      const std::string text = TextOf(folder / ("rank" + std::to_string(rank) + "_a.json"));
      CHECK(Count(text, R"("name":"process_name")") == 1);
      pushes += Count(text, R"("name":"push")");
      updates += Count(text, R"("name":"update")");
    }
    if (!kind.dist()) {
      CHECK(fs::is_empty(fs::path(file).parent_path()));
      continue;
    }
    // Three of the five pushes of each worker were recorded, but a repeat of one may be, too.
    const size_t expected = 3 * kind.workers;
    CHECK(pushes >= expected);
    CHECK(updates == (kind.rounds ? 3 : expected));
  }
}

TEST_CASE("a folder that is not there, or a file that cannot be written, is said by the server",
          "[profiler]") {
  for (const StoreKind& kind : StoresHere(DistStore)) {
    CAPTURE(kind.Name());
    const Folder folder;
    fs::create_directories(folder / "rank0_taken");  // a folder has the file's name
    const std::vector<std::string> threw = RunOn(kind, [&](Worker& worker) {
      if (worker.rank() != 0) return;
      KVStore& store = worker.store();
      MUST_THROW(store.SetServerProfilerCommand(Command::kSetConfig,
                                                "filename:" + (folder / "none/a.json").string()),
                 kFailedPrecondition, "none' expected, there is none");
      store.SetServerProfilerCommand(Command::kSetConfig,
                                     "filename:" + (folder / "taken").string());
      MUST_THROW(store.SetServerProfilerCommand(Command::kDump, ""), kFailedPrecondition,
                 "rank0_taken: cannot be written: ");
      MUST_THROW(store.SetServerProfilerCommand(Command::kDump, ""), kFailedPrecondition,
                 "server 0 (");
    });
    for (const std::string& what : threw) CHECK(what.empty());
  }
}

}  // namespace
}  // namespace kvstore
