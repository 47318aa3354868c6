// Every call of the public API, with each of its allocations failing in turn: a call that is
// refused has changed nothing and may be made again, and the final bits are those of an undisturbed
// run.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvstore/kvstore.h"
#include "tests/support/arrays.h"
#include "tests/support/failing_new.h"
#include "tests/support/row_arrays.h"

namespace kvstore::testing {

inline constexpr int64_t kRows = 6;
inline constexpr int64_t kWidth = 4;

// A store with two dense keys and a row_sparse one, and the arrays of its calls.
struct World {
  explicit World(std::unique_ptr<KVStore> made) : store(std::move(made)) {
    store->SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1).Set("momentum", 0.5));
    store->Init(Ints{1, 2}, {Filled(8, 1), Filled(8, 2)});
    store->Init(Ints{3}, {RowArray({kRows, kWidth}, {{0, {1, 2, 3, 4}}, {5, {5, 6, 7, 8}}})});
    store->Push(Ints{1, 2}, {Filled(8, 1), Filled(8, 1)});
    store->WaitAll();
  }

  // All that can be seen, as numbers.
  std::vector<float> Seen() {
    std::vector<float> seen;
    const auto add = [&](const std::vector<float>& more) {
      seen.insert(seen.end(), more.begin(), more.end());
    };
    for (const int key : {1, 2}) add(PullFrom(*store, key, 8));
    NDArray all(Dims{kRows, kWidth});
    store->Pull(Ints{3}, {&all});
    add(Read(all));
    add(Read(out));
    for (const auto& [row, values] : RowsIn(rows_out)) {
      seen.push_back(static_cast<float>(row));
      add(values);
    }
    return seen;
  }

  std::unique_ptr<KVStore> store;
  NDArray a = Filled(8, -1), b = Filled(8, -2), out = Filled(8, 0);
  NDArray rows_in = RowArray({kRows, kWidth}, {{2, {1, 1, 1, 1}}, {5, {2, 2, 2, 2}}});
  NDArray rows_out = NDArray::RowSparse({kRows, kWidth});
  NDArray ids = Ids({5, 2, 5});
};

// A call whose arguments are made before, so that what fails is the SDK's.
struct Named {
  const char* name;
  std::function<std::function<void()>(World&)> prepare;
};

inline const std::vector<Named>& Calls() {
  using Values = std::vector<NDArray>;
  using Outputs = std::vector<NDArray*>;
  using Rows = std::vector<std::pair<NDArray*, NDArray>>;
  using Call = std::function<void()>;
  const auto init = [](int key, NDArray World::*value) {
    return [key, value](World& w) -> Call {
      return [&s = *w.store, keys = Ints{key}, values = Values{w.*value}] { s.Init(keys, values); };
    };
  };
  const auto push = [](Ints keys, std::vector<NDArray World::*> values, int priority) {
    return [=](World& w) -> Call {
      Values arrays;
      for (const auto value : values) arrays.push_back(w.*value);
      return [&s = *w.store, keys, arrays, priority] { s.Push(keys, arrays, priority); };
    };
  };
  const auto pull = [](Ints keys, std::vector<NDArray World::*> outputs, bool ignore_sparse) {
    return [=](World& w) -> Call {
      Outputs arrays;
      for (const auto output : outputs) arrays.push_back(&(w.*output));
      return
          [&s = *w.store, keys, arrays, ignore_sparse] { s.Pull(keys, arrays, 0, ignore_sparse); };
    };
  };
  static const std::vector<Named> calls = {
      {"Init", init(7, &World::a)},
      {"Init of rows", init(8, &World::rows_in)},
      {"Push", push({1}, {&World::a}, 0)},
      {"Push of a list", push({1, 1}, {&World::a, &World::b}, 0)},
      {"Push of two keys", push({1, 2}, {&World::a, &World::b}, 0)},
      {"Push of rows", push({3}, {&World::rows_in}, 0)},
      {"Push of a list of rows", push({3, 3}, {&World::rows_in, &World::rows_in}, 3)},
      {"Pull", pull({1}, {&World::out}, true)},
      {"Pull of two keys", pull({1, 2}, {&World::out, &World::b}, true)},
      {"Pull of rows", pull({3}, {&World::rows_out}, false)},
      {"PullRowSparse",
       [](World& w) -> Call {
         return [&s = *w.store, keys = Ints{3}, rows = Rows{{&w.rows_out, w.ids}}] {
           s.PullRowSparse(keys, rows);
         };
       }},
      {"PushPull",
       [](World& w) -> Call {
         return [&s = *w.store, keys = Ints{1}, values = Values{w.a}, outputs = Outputs{&w.out}] {
           s.PushPull(keys, keys, values, outputs);
         };
       }},
      {"Broadcast",
       [](World& w) -> Call {
         return [&s = *w.store, keys = Ints{9}, values = Values{w.a}, outputs = Outputs{&w.out}] {
           s.Broadcast(keys, keys, values, outputs);
         };
       }},
      {"SetOptimizer",
       [](World& w) -> Call {
         return [&s = *w.store, spec = OptimizerSpec("adam").Set("learning_rate", 0.5)] {
           s.SetOptimizer(spec);
         };
       }},
      {"Barrier", [](World& w) -> Call { return [&s = *w.store] { s.Barrier(); }; }},
      {"Step", [](World& w) -> Call { return [&s = *w.store] { s.Step(); }; }},
      {"SendCommandToServers",
       [](World& w) -> Call {
         return [&s = *w.store, body = std::string(100, 'x')] { s.SendCommandToServers(0, body); };
       }},
      {"Wait",
       [](World& w) -> Call {
         return [&s = *w.store, keys = Ints{1, 2}] { s.Wait(keys); };
       }},
      {"WaitAll", [](World& w) -> Call { return [&s = *w.store] { s.WaitAll(); }; }},
      {"status", [](World& w) -> Call { return [&s = *w.store] { s.status(1); }; }},
      {"WaitToRead", [](World& w) -> Call { return [&out = w.out] { out.WaitToRead(); }; }},
      {"WaitToWrite", [](World& w) -> Call { return [&out = w.out] { out.WaitToWrite(); }; }},
  };
  return calls;
}

// The code that `body` threw. Takes no memory itself.
template <typename Body>
std::optional<ErrorCode> CodeOf(const Body& body) {
  try {
    body();
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}

// How the operations of the store end that have failed: their codes by key.
inline std::map<std::string, ErrorCode> Failures(KVStore& store) {
  std::map<std::string, ErrorCode> failures;
  while (true) {
    try {
      store.WaitAll();
      return failures;
    } catch (const Error& error) {
      failures.emplace(error.key(), error.code());
    }
  }
}

// Does what the codes say: what was refused is asked again, and nothing else.
inline void AskAgain(const std::string& name, const std::function<void()>& call,
                     std::optional<ErrorCode> called,
                     const std::map<std::string, ErrorCode>& failures, World* world) {
  if (called == ErrorCode::kResourceExhausted) return call();
  if (called) {  // the Init is done, its Pull is not asked
    CHECK(name == "Broadcast");
    CHECK(*called == ErrorCode::kUnknown);
    return world->store->Pull(Ints{9}, {&world->out});
  }
  for (const auto& [key, code] : failures) {
    CAPTURE(key, ErrorCodeName(code));
    if (name == "Broadcast") {  // its Init was done when the call returned
      CHECK(code == ErrorCode::kResourceExhausted);
      world->store->Pull(Ints{9}, {&world->out});
    } else if (code == ErrorCode::kUnknown) {
      CHECK(name == "PushPull");
      world->store->Pull(Ints{1}, {&world->out});
    } else {
      CHECK(code == ErrorCode::kResourceExhausted);
      const bool one_of_two = name == "Push of two keys" && failures.size() == 1;
      if (!one_of_two) return call();
      world->store->Push(Ints{std::stoi(key)}, {key == "1" ? world->a : world->b});
    }
  }
}

// Makes the call once for each allocation that it makes on the calling thread (`thread` empty), or
// that the thread of this name makes for it. `fails`: that one alone, or all from it on.
// `make`: a new store.
inline void FailEachAllocation(const std::function<std::unique_ptr<KVStore>()>& make,
                               const Named& named, const std::string& thread, int fails) {
  World undisturbed(make());
  named.prepare(undisturbed)();
  const std::vector<float> expected = undisturbed.Seen();
  bool failed = true;
  for (int spared = 0; failed; ++spared) {
    CAPTURE(named.name, thread, spared, fails);
    REQUIRE(spared < 1000);
    World world(make());
    const std::function<void()> call = named.prepare(world);
    std::optional<ErrorCode> called;
    std::map<std::string, ErrorCode> failures;
    if (thread.empty()) {
      const FailingNth failing(spared, fails);
      called = CodeOf(call);
      failed = failing.failed() > 0;
    } else {
      const FailingNth failing(thread.c_str(), spared, fails);
      called = CodeOf(call);
      failures = Failures(*world.store);
      failed = failing.failed() > 0;
    }
    if (thread.empty()) failures = Failures(*world.store);
    if (called) CHECK(failures.empty());
    if (!failed) CHECK((!called && failures.empty()));
    AskAgain(named.name, call, called, failures, &world);
    CHECK((world.Seen() == expected));
  }
}

}  // namespace kvstore::testing
