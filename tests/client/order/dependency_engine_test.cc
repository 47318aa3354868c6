#include "client/order/dependency_engine.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <random>
#include <thread>

#include "common/base/hash.h"

namespace kvstore {
namespace {

// An owner with a timeout, which notes what it is asked.
class TestOwner : public OperationOwner {
 public:
  void Flush() noexcept override { ++flushes; }
  int64_t operation_timeout_ms() const override { return timeout_ms; }
  absl::Status Overdue(const std::vector<OverdueOperation>& operations, int64_t) override {
    std::string names;
    for (const auto& operation : operations) names += operation.what + ";";
    return absl::DeadlineExceededError(names);
  }

  int64_t timeout_ms = 60000;
  std::atomic<int> flushes{0};
};

// Holds the tokens of issued operations until the test finishes them.
struct Issued {
  std::vector<TokenPtr> tokens;
  size_t count = 0;

  std::function<void(const TokenPtr&)> Keep() {
    return [this](const TokenPtr& token) {
      tokens.push_back(token);
      ++count;
    };
  }
  void Finish(size_t i, const absl::Status& status = absl::OkStatus()) {
    tokens[i]->Finish(status);
    tokens[i] = nullptr;
  }
};

struct Fixture {
  DependencyEngine engine;
  std::shared_ptr<TestOwner> owner = std::make_shared<TestOwner>();
  VarPtr a = DependencyEngine::NewVar();
  VarPtr b = DependencyEngine::NewVar();
  VarPtr key = DependencyEngine::NewVar();

  void Do(const std::vector<OperationSpec::Use>& uses, std::function<void(const TokenPtr&)> issue,
          std::string_view verb = "op") {
    std::vector<OperationSpec> specs(1);
    specs[0].owner = owner;
    specs[0].verb = verb;
    specs[0].subject = std::make_shared<OperationSubject>(OperationSubject{"17", ""});
    specs[0].uses.assign(uses.begin(), uses.end());
    specs[0].issue = std::move(issue);
    engine.Run(engine.Append(std::move(specs)));
  }
};

}  // namespace

TEST_CASE("readers of an array share it, a writer waits for them and they for it", "[engine]") {
  Fixture f;
  Issued issued;
  f.Do({{f.a, Access::kRead}}, issued.Keep());
  f.Do({{f.a, Access::kRead}}, issued.Keep());
  f.Do({{f.a, Access::kWrite}}, issued.Keep());
  f.Do({{f.a, Access::kRead}}, issued.Keep());
  CHECK(issued.count == 2);
  issued.Finish(0);
  CHECK(issued.count == 2);
  issued.Finish(1);
  CHECK(issued.count == 3);  // the writer, alone
  issued.Finish(2);
  CHECK(issued.count == 4);
  issued.Finish(3);
}

TEST_CASE("an operation that reads and writes the same array runs", "[engine]") {
  Fixture f;
  Issued issued;
  f.Do({{f.a, Access::kRead}, {f.a, Access::kWrite}, {f.a, Access::kRead}}, issued.Keep());
  f.Do({{f.a, Access::kRead}}, issued.Keep());
  REQUIRE(issued.count == 1);
  issued.Finish(0);
  CHECK(issued.count == 2);
  issued.Finish(1);
}

TEST_CASE(
    "operations of a key are issued in program order although an earlier one waits for an array",
    "[engine]") {
  Fixture f;
  Issued blocker, issued;
  f.Do({{f.a, Access::kWrite}}, blocker.Keep());
  f.Do({{f.key, Access::kOrder}, {f.a, Access::kRead}}, issued.Keep());
  f.Do({{f.key, Access::kOrder}, {f.b, Access::kRead}}, issued.Keep());
  CHECK(issued.count == 0);  // the second is free to go but for the order of its key
  blocker.Finish(0);
  // Both are issued: the order ends with the issue, not with the completion.
  CHECK(issued.count == 2);
  issued.Finish(1);
  issued.Finish(0);
}

TEST_CASE("the order of a key holds until whoever finishes issuing lets go of it", "[engine]") {
  Fixture f;
  Issued issued;
  std::shared_ptr<const void> order;
  f.Do({{f.key, Access::kOrder}}, [&](const TokenPtr& token) {
    order = token->HoldOrder();
    issued.Keep()(token);
  });
  f.Do({{f.key, Access::kOrder}}, issued.Keep());
  CHECK(issued.count == 1);
  SECTION("before the operation completes") {
    order = nullptr;
    CHECK(issued.count == 2);
    issued.Finish(0);
  }
  SECTION("after it") {
    issued.Finish(0);
    CHECK(issued.count == 1);
    order = nullptr;
    CHECK(issued.count == 2);
  }
  issued.Finish(1);
}

TEST_CASE("an operation completes when the last reference to its token goes", "[engine]") {
  Fixture f;
  Issued issued;
  TokenPtr borrowed;
  f.Do({{f.a, Access::kWrite}}, [&](const TokenPtr& token) {
    borrowed = token;
    token->Finish(absl::OkStatus());
  });
  f.Do({{f.a, Access::kWrite}}, issued.Keep());
  CHECK(issued.count == 0);
  borrowed = nullptr;
  CHECK(issued.count == 1);
  issued.Finish(0);
  CHECK(f.engine.TakeFailure(f.a, true).ok());
}

TEST_CASE("a token that nobody finished fails its operation", "[engine]") {
  Fixture f;
  f.Do(
      {{f.a, Access::kWrite}}, [](const TokenPtr&) {}, "Push of key 17");
  const KeyedStatus failure = f.engine.TakeFailure(f.a, false);
  CHECK(failure.status.code() == absl::StatusCode::kInternal);
  CHECK(failure.status.message() == "Push of key 17 was dropped");
}

TEST_CASE("followers of a completion are issued after the running issue function returned",
          "[engine]") {
  Fixture f;
  // 10,000 operations, each of which completes inside its issue function: no recursion.
  int depth = 0, depth_max = 0, runs = 0;
  constexpr int kOperations = 10000;
  Issued first;
  f.Do({{f.a, Access::kWrite}}, first.Keep());
  for (int i = 0; i < kOperations; ++i) {
    f.Do({{f.a, Access::kWrite}}, [&](const TokenPtr& token) {
      depth_max = std::max(depth_max, ++depth);
      token->Finish(absl::OkStatus());
      ++runs;
      --depth;
    });
  }
  CHECK(runs == 0);
  first.Finish(0);
  CHECK(runs == kOperations);
  CHECK(depth_max == 1);
}

TEST_CASE("the owner is flushed once after a run of issued operations", "[engine]") {
  Fixture f;
  std::vector<OperationSpec> specs(100);
  for (OperationSpec& spec : specs) {
    spec.owner = f.owner;
    spec.uses = {{DependencyEngine::NewVar(), Access::kWrite}};
    spec.issue = [](const TokenPtr& token) { token->Finish(absl::OkStatus()); };
  }
  f.engine.Run(f.engine.Append(std::move(specs)));
  CHECK(f.owner->flushes == 1);
}

TEST_CASE("a failure is handed out once, whichever of its Vars is asked", "[engine]") {
  Fixture f;
  Issued issued;
  f.Do({{f.a, Access::kRead}, {f.b, Access::kWrite}, {f.key, Access::kOrder}}, issued.Keep());
  issued.Finish(0, absl::NotFoundError("gone"));
  // A failed reader concerns those who want to write.
  CHECK(f.engine.TakeFailure(f.a, /*readers=*/false).ok());
  const KeyedStatus failure = f.engine.TakeFailure(f.a, /*readers=*/true);
  CHECK(failure.status == absl::NotFoundError("gone"));
  CHECK(failure.key == "17");
  CHECK(f.engine.TakeFailure(f.b, true).ok());
  CHECK(f.engine.TakeFailure(f.key, true).ok());
  // It is kept for those who ask how the key is.
  CHECK(f.engine.LastFailure(f.key) == absl::NotFoundError("gone"));
  CHECK(f.engine.LastFailure(f.b) == absl::NotFoundError("gone"));
  CHECK(f.engine.LastFailure(f.a).ok());
}

// An array goes on one thread while another asks the key: both have the same failed operations.
TEST_CASE("a Var may go while another Var of its failed operations is asked", "[engine]") {
  Fixture f;
  int told = 0;
  for (int round = 0; round < 100; ++round) {
    const VarPtr key = DependencyEngine::NewVar();
    std::vector<VarPtr> arrays(64);
    for (VarPtr& array : arrays) {
      array = DependencyEngine::NewVar();
      f.Do({{key, Access::kOrder}, {array, Access::kWrite}},
           [](const TokenPtr& token) { token->Finish(absl::NotFoundError("gone")); });
    }
    std::promise<void> begin;
    std::thread other([&, began = begin.get_future()] {
      began.wait();
      arrays.clear();
    });
    begin.set_value();
    while (!f.engine.TakeFailure(key, /*readers=*/true).ok()) ++told;
    other.join();
  }
  CHECK(told == 6400);
}

TEST_CASE("many failures are handed out in order, and the memory for them is bounded", "[engine]") {
  Fixture f;
  for (int i = 0; i < 1000; ++i) {
    f.Do({{f.key, Access::kOrder}},
         [i](const TokenPtr& token) { token->Finish(absl::NotFoundError(std::to_string(i))); });
  }
  int taken = 0;
  for (KeyedStatus failure = f.engine.TakeFailure(f.key, true); !failure.ok();
       failure = f.engine.TakeFailure(f.key, true)) {
    CHECK(failure.status.message() == std::to_string(taken));
    ++taken;
  }
  CHECK(taken == 64);
  CHECK(f.engine.LastFailure(f.key).message() == "999");
}

TEST_CASE("the first failure of an operation stands", "[engine]") {
  Fixture f;
  f.Do({{f.a, Access::kWrite}}, [](const TokenPtr& token) {
    token->Finish(absl::OkStatus());
    token->Finish(absl::NotFoundError("first"));
    token->Finish(absl::InternalError("second"));
    token->Finish(absl::OkStatus());
  });
  CHECK(f.engine.TakeFailure(f.a, true).status.message() == "first");
}

TEST_CASE("reads that an operation gives back early are free, and nobody waits for it there",
          "[engine]") {
  Fixture f;
  Issued push, writer;
  f.Do({{f.key, Access::kOrder}, {f.a, Access::kRead}, {f.b, Access::kWrite}}, push.Keep());
  f.Do({{f.a, Access::kWrite}}, writer.Keep());
  auto read_over = std::async(
      std::launch::async, [&] { return f.engine.Wait({f.a}, DependencyEngine::WaitFor::kAll); });
  // One wait for both Vars goes on: it is for what is written, too.
  auto both_over = std::async(std::launch::async, [&] {
    return f.engine.Wait({f.a, f.b}, DependencyEngine::WaitFor::kAll);
  });
  CHECK(writer.count == 0);
  push.tokens[0]->GiveBackReads();
  push.tokens[0]->GiveBackReads();  // nothing is left to give
  CHECK(writer.count == 1);
  writer.Finish(0);
  CHECK(f.engine.Wait({f.a}, DependencyEngine::WaitFor::kAll).ok());
  CHECK(read_over.get().ok());
  CHECK(f.engine.HasWriter(f.b));
  CHECK(both_over.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  push.Finish(0, absl::InternalError("late"));
  CHECK(both_over.get().ok());
  // It is still a failure of what was pushed.
  CHECK(f.engine.TakeFailure(f.a, /*readers=*/true).status.message() == "late");
  CHECK(f.engine.TakeFailure(f.b, /*readers=*/true).ok());
}

TEST_CASE("an operation that reads and writes an array gives nothing of it back early",
          "[engine]") {
  Fixture f;
  Issued issued;
  f.Do({{f.a, Access::kRead}, {f.a, Access::kWrite}}, issued.Keep());
  f.Do({{f.a, Access::kRead}}, issued.Keep());
  issued.tokens[0]->GiveBackReads();
  CHECK(issued.count == 1);
  issued.Finish(0);
  CHECK(issued.count == 2);
  issued.Finish(1);
}

TEST_CASE("Wait returns when the operations appended before it are complete", "[engine]") {
  Fixture f;
  Issued reader, writer;
  f.Do({{f.a, Access::kRead}}, reader.Keep());
  // A reader is no reason to wait for those who want to read.
  CHECK(f.engine.Wait({f.a}, DependencyEngine::WaitFor::kWriters).ok());
  auto all = std::async(std::launch::async,
                        [&] { return f.engine.Wait({f.a}, DependencyEngine::WaitFor::kAll); });
  reader.Finish(0);
  CHECK(all.get().ok());

  f.Do({{f.a, Access::kWrite}, {f.b, Access::kTrack}}, writer.Keep());
  auto read = std::async(std::launch::async, [&] {
    return f.engine.Wait({f.a, f.b}, DependencyEngine::WaitFor::kWriters);
  });
  writer.Finish(0);
  CHECK(read.get().ok());
}

TEST_CASE("an overdue wait names what it waits for, leaves it alive, and may be repeated",
          "[engine]") {
  Fixture f;
  f.owner->timeout_ms = 5;
  Issued issued;
  f.Do({{f.a, Access::kWrite}}, issued.Keep(), "Pull of key 1");
  f.Do({{f.a, Access::kRead}, {f.key, Access::kOrder}}, issued.Keep(), "Push of key 2");
  // The push is not issued: what it waits for is named.
  CHECK(f.engine.Wait({f.key}, DependencyEngine::WaitFor::kAll) ==
        absl::DeadlineExceededError("Pull of key 1;"));
  CHECK(f.engine.Wait({f.a}, DependencyEngine::WaitFor::kAll) ==
        absl::DeadlineExceededError("Pull of key 1;"));
  f.owner->timeout_ms = 60000;
  issued.Finish(0);
  CHECK(f.engine.Wait({f.a}, DependencyEngine::WaitFor::kWriters).ok());
  CHECK(f.engine.Wait({f.key}, DependencyEngine::WaitFor::kAll) ==
        absl::DeadlineExceededError("Push of key 2;"));
  issued.Finish(1);
  CHECK(f.engine.Wait({f.key}, DependencyEngine::WaitFor::kAll).ok());
}

TEST_CASE("an overdue wait names all that hold a long queue up, each once", "[engine]") {
  Fixture f;
  f.owner->timeout_ms = 5;
  Issued holders, queued;
  f.Do({{f.a, Access::kRead}}, holders.Keep(), "Push of key 1");
  f.Do({{f.b, Access::kWrite}}, holders.Keep(), "Pull of key 2");
  // Has its place at `a`, and waits for `b`.
  f.Do({{f.a, Access::kRead}, {f.b, Access::kRead}}, queued.Keep(), "Push of key 3");
  constexpr int kQueued = 5000;
  for (int i = 0; i < kQueued; ++i) {
    f.Do({{f.a, Access::kWrite}, {f.key, Access::kOrder}}, queued.Keep(), "Pull of key 4");
  }
  CHECK(queued.count == 0);
  for (const VarPtr& var : {f.key, f.a}) {
    const absl::Status status = f.engine.Wait({var}, DependencyEngine::WaitFor::kAll);
    const std::string names(status.message());
    CHECK((names == "Push of key 1;Pull of key 2;" || names == "Pull of key 2;Push of key 1;"));
  }
  for (size_t i = 0; i < 2; ++i) holders.Finish(i);
  for (size_t i = 0; i < kQueued + 1; ++i) queued.Finish(i);
  CHECK(f.engine.WaitAtMost(f.a, 60000));
}

TEST_CASE("between operations it is told which Vars none of them uses", "[engine]") {
  Fixture f;
  Issued issued;
  const auto free = [&f](const VarPtr& var) {
    bool is_so = false;
    f.engine.RunBetween([&](DependencyEngine::IsFree is_free) { is_so = is_free(var); });
    return is_so;
  };
  f.Do({{f.a, Access::kWrite}}, issued.Keep());
  f.Do({{f.key, Access::kOrder}, {f.a, Access::kRead}, {f.b, Access::kTrack}}, issued.Keep());
  CHECK_FALSE(free(f.a));
  CHECK_FALSE(free(f.b));
  CHECK_FALSE(free(f.key));  // queued, and waiting for `a`
  issued.Finish(0);
  CHECK_FALSE(free(f.a));  // the second has it
  issued.Finish(1);
  CHECK(free(f.a));
  CHECK(free(f.b));
  CHECK(free(f.key));
}

TEST_CASE("what runs between operations excludes those of other threads", "[engine]") {
  Fixture f;
  constexpr int kEach = 20000;
  int count = 0;  // guarded by the order alone
  std::thread other([&] {
    for (int i = 0; i < kEach; ++i) {
      f.Do({{f.a, Access::kWrite}}, [&](const TokenPtr& token) {
        ++count;
        token->Finish(absl::OkStatus());
      });
    }
  });
  int between = 0;
  while (between < kEach) {
    f.engine.RunBetween([&](DependencyEngine::IsFree is_free) {
      if (!is_free(f.a)) return;
      ++count;
      ++between;
    });
  }
  other.join();
  CHECK(count == 2 * kEach);
}

TEST_CASE("WaitAtMost gives up quietly", "[engine]") {
  Fixture f;
  Issued issued;
  CHECK(f.engine.WaitAtMost(f.a, 0));
  f.Do({{f.a, Access::kRead}}, issued.Keep());
  CHECK_FALSE(f.engine.WaitAtMost(f.a, 5));
  issued.Finish(0);
  CHECK(f.engine.WaitAtMost(f.a, 60000));
}

namespace {

// Threads that carry out issued operations in a random order.
class Pool {
 public:
  Pool(uint64_t seed, int threads) : random_(seed) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
  }
  ~Pool() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.NotifyAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }
  void Add(std::function<void()> work) {
    MutexLock lock(mutex_);
    work_.push_back(std::move(work));
    changed_.NotifyOne();
  }

 private:
  void Loop() {
    while (true) {
      std::function<void()> work;
      {
        MutexLock lock(mutex_);
        while (work_.empty() && !stopping_) changed_.Wait(mutex_);
        if (work_.empty()) return;
        std::swap(work_[random_() % work_.size()], work_.back());
        work = std::move(work_.back());
        work_.pop_back();
      }
      work();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ = false;
  std::mt19937_64 random_;
  std::vector<std::function<void()>> work_;
  std::vector<std::thread> threads_;
};

// One operation of the random program: it reads some arrays, and each array it writes becomes a
// hash of the operation, of what it read, and of what was there.
struct RandomOperation {
  std::vector<size_t> reads, writes;
  size_t key = 0;

  uint64_t Read(size_t number, const std::vector<uint64_t>& arrays) const {
    uint64_t seen = Mix64(number);
    for (const size_t array : reads) seen = Mix64(seen ^ arrays[array]);
    return seen;
  }
  void Write(uint64_t seen, std::vector<uint64_t>* arrays) const {
    for (const size_t array : writes) (*arrays)[array] = Mix64((*arrays)[array] + seen);
  }
};

}  // namespace

TEST_CASE("random programs leave what they leave when run in sequence", "[engine]") {
  const uint64_t seed = GENERATE(range<uint64_t>(1, 21));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const size_t array_count = 1 + random() % 6;
  const size_t key_count = 1 + random() % 4;
  std::vector<RandomOperation> program(400);
  for (RandomOperation& operation : program) {
    for (size_t n = random() % 3; n > 0; --n) operation.reads.push_back(random() % array_count);
    // In place, and the same array twice, are both meant to happen.
    for (size_t n = random() % 3; n > 0; --n) operation.writes.push_back(random() % array_count);
    operation.key = random() % key_count;
  }

  std::vector<uint64_t> expected(array_count, 0);
  std::vector<std::vector<size_t>> expected_issues(key_count);
  for (size_t i = 0; i < program.size(); ++i) {
    program[i].Write(program[i].Read(i, expected), &expected);
    expected_issues[program[i].key].push_back(i);
  }

  std::vector<uint64_t> arrays(array_count, 0);
  std::vector<std::vector<size_t>> issues(key_count);
  DependencyEngine engine;
  const auto owner = std::make_shared<TestOwner>();
  std::vector<VarPtr> array_vars, key_vars;
  const VarPtr all = DependencyEngine::NewVar();
  for (size_t i = 0; i < array_count; ++i) array_vars.push_back(DependencyEngine::NewVar());
  for (size_t i = 0; i < key_count; ++i) key_vars.push_back(DependencyEngine::NewVar());
  {
    Pool pool(seed, 3);
    std::vector<OperationSpec> batch;
    for (size_t i = 0; i < program.size(); ++i) {
      const RandomOperation& operation = program[i];
      OperationSpec spec;
      spec.owner = owner;
      spec.uses.push_back({key_vars[operation.key], Access::kOrder});
      spec.uses.push_back({all, Access::kTrack});
      for (const size_t a : operation.reads) spec.uses.push_back({array_vars[a], Access::kRead});
      for (const size_t a : operation.writes) spec.uses.push_back({array_vars[a], Access::kWrite});
      spec.issue = [&, i](const TokenPtr& token) {
        issues[program[i].key].push_back(i);
        pool.Add([&, i, token] {
          const uint64_t seen = program[i].Read(i, arrays);
          if (i % 3 == 0) token->GiveBackReads();
          program[i].Write(seen, &arrays);
          token->Finish(absl::OkStatus());
        });
      };
      batch.push_back(std::move(spec));
      if (random() % 4 == 0) {
        engine.Run(engine.Append(std::exchange(batch, {})));
        if (random() % 8 == 0) {
          CHECK(engine.Wait({array_vars[0]}, DependencyEngine::WaitFor::kWriters).ok());
        }
      }
    }
    engine.Run(engine.Append(std::move(batch)));
    CHECK(engine.Wait({all}, DependencyEngine::WaitFor::kAll).ok());
  }
  CHECK(arrays == expected);
  CHECK(issues == expected_issues);
}

TEST_CASE("operations of several threads on the same arrays exclude each other and all complete",
          "[engine]") {
  const uint64_t seed = GENERATE(range<uint64_t>(1, 6));
  CAPTURE(seed);
  constexpr size_t kArrays = 4, kThreads = 4, kOperations = 300;
  DependencyEngine engine;
  const auto owner = std::make_shared<TestOwner>();
  std::vector<VarPtr> vars;
  for (size_t i = 0; i < kArrays; ++i) vars.push_back(DependencyEngine::NewVar());
  const VarPtr all = DependencyEngine::NewVar();
  std::vector<uint64_t> writes(kArrays, 0);  // not atomic: the engine is the lock
  std::vector<std::atomic<uint64_t>> expected(kArrays);
  {
    Pool pool(seed, 3);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(seed * 100 + t);
        for (size_t i = 0; i < kOperations; ++i) {
          // Two arrays in either order: without one step per Append this would lock up.
          const size_t x = random() % kArrays, y = random() % kArrays;
          ++expected[x];
          if (x != y) ++expected[y];
          std::vector<OperationSpec> specs(1);
          specs[0].owner = owner;
          specs[0].uses = {{vars[x], Access::kWrite}, {vars[y], Access::kWrite}};
          specs[0].uses.push_back({all, Access::kTrack});
          specs[0].issue = [&, x, y](const TokenPtr& token) {
            pool.Add([&, x, y, token] {
              ++writes[x];
              if (x != y) ++writes[y];
              token->Finish(absl::OkStatus());
            });
          };
          engine.Run(engine.Append(std::move(specs)));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(engine.Wait({all}, DependencyEngine::WaitFor::kAll).ok());
  }
  for (size_t i = 0; i < kArrays; ++i) CHECK(writes[i] == expected[i].load());
}

}  // namespace kvstore
