// Values that come to be by rule: dense ones, and tables whose rows take memory once they are
// pushed to.
#include <catch2/catch.hpp>

#include "common/initial/initial_values.h"
#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

// Elements [first, first + count) of int key `key` by the rule, in f32.
Floats ByFormula(const InitRule& rule, int key, uint64_t first, size_t count) {
  Floats values(count);
  InitialValues({static_cast<InitRuleKind>(rule.kind), rule.a, rule.b, rule.seed, 0},
                KeyIdOf(int64_t{key}), DType::kFloat32)
      .Write(first, count, values.data());
  return values;
}

constexpr int64_t kRows = int64_t{1} << 40;

}  // namespace

TEST_CASE("a dense value by rule is what the formula says, on every store", "[init][rule]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const InitRule uniform = InitRule::Uniform(-0.5, 0.5, 7);
    const InitRule normal = InitRule::Normal(1, 0.25);
    store.InitByRule(Ints{1, 2, 3, 4},
                     {ValueByRule({kSeveralParts}, uniform), ValueByRule({3, 5}, normal),
                      ValueByRule({4}, InitRule::Constant(2.5)), ValueByRule({0, 4}, normal)});
    MUST_EQUAL(worker.Value(1, kSeveralParts),
               ByFormula(uniform, 1, 0, static_cast<size_t>(kSeveralParts)));
    MUST_EQUAL(worker.Value(2, Dims{3, 5}), ByFormula(normal, 2, 0, 15));
    MUST_EQUAL(worker.Value(3, 4), Floats(4, 2.5f));
    MUST_EQUAL(worker.Value(4, Dims{0, 4}), Floats{});
    worker.Meet();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Push(Ints{3}, {Filled(4, 1)});
    store.WaitAll();
    worker.Meet();
    MUST_EQUAL(worker.Value(3, 4), Floats(4, 2.5f + worker.all()));
  });
}

TEST_CASE("a value by rule has the bits of the same value brought by Init", "[init][rule]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    KVStore& store = worker.store();
    const InitRule rule = InitRule::Normal(0, 0.1, 3);
    const Floats first = ByFormula(rule, 1, 0, 1001);
    store.InitByRule(Ints{1}, {ValueByRule({1001}, rule)});
    store.Init(Ints{2}, {Array(first)});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.1).Set("momentum", 0.9));
    for (int round = 0; round < 3; ++round) {
      store.Push(Ints{1, 2}, {Filled(1001, 0.3f), Filled(1001, 0.3f)});
    }
    MUST_EQUAL(worker.Value(1, 1001), worker.Value(2, 1001));
  });
}

TEST_CASE("rows by rule of a table of 2^40 rows are pulled, pushed to, and pulled again",
          "[rows][rule]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    const InitRule rule = InitRule::Uniform(-1, 1, 5);
    store.InitByRule(Ints{1}, {ValueByRule({kRows, 4}, rule).RowSparse()});
    worker.SetOptimizer(OptimizerSpec("sum"));
    const std::vector<int64_t> ids = {0, 3, 1000000007, kRows - 1};
    RowMap expected;
    for (const int64_t id : ids) {
      expected[id] = ByFormula(rule, 1, static_cast<uint64_t>(id) * 4, 4);
    }
    for (int again = 0; again < 2; ++again) {  // a pull stores nothing
      MUST(PullRows(store, 1, {kRows, 4}, Ids(ids)) == expected);
    }
    worker.Meet();
    store.Push(Ints{1}, {RowArray({kRows, 4}, {{3, {1, 1, 1, 1}}, {kRows - 1, {2, 2, 2, 2}}})});
    store.WaitAll();
    worker.Meet();
    for (float& x : expected[3]) x += worker.all();
    for (float& x : expected[kRows - 1]) x += 2 * worker.all();
    MUST(PullRows(store, 1, {kRows, 4}, Ids(ids)) == expected);
  });
}

TEST_CASE("without an optimizer a push makes the other rows as the rule says again",
          "[rows][rule]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    KVStore& store = worker.store();
    store.InitByRule(Ints{1}, {ValueByRule({kRows, 2}, InitRule::Constant(4)).RowSparse()});
    store.Push(Ints{1}, {RowArray({kRows, 2}, {{1, {1, 1}}, {7, {7, 7}}})});
    store.Push(Ints{1}, {RowArray({kRows, 2}, {{7, {2, 2}}})});
    const float all = worker.all();
    MUST(PullRows(store, 1, {kRows, 2}, Ids({1, 7})) ==
         (RowMap{{1, {4, 4}}, {7, {2 * all, 2 * all}}}));
  });
}

TEST_CASE("a push of rows above rows_max fails, and the rows that are there go on",
          "[rows][rule]") {
  OnEvery(StoreOfOneWorker, [](Worker& worker) {
    KVStore& store = worker.store();
    store.InitByRule(Ints{1}, {ValueByRule({1000, 2}).RowSparse(/*most_rows=*/2)});
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Push(Ints{1}, {RowArray({1000, 2}, {{1, {1, 1}}, {7, {1, 1}}})});
    store.Push(Ints{1}, {RowArray({1000, 2}, {{8, {1, 1}}})});
    MUST_THROW(store.Wait(Ints{1}), kResourceExhausted, "rows_max");
    store.Push(Ints{1}, {RowArray({1000, 2}, {{7, {1, 1}}})});
    MUST(PullRows(store, 1, {1000, 2}, Ids({1, 7, 8})) ==
         (RowMap{{1, {1, 1}}, {7, {2, 2}}, {8, {0, 0}}}));
  });
}

TEST_CASE("a rule that cannot be is refused at once, and leaves no key", "[init][rule][errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const auto refused = [&](const ValueByRule& value, const char* why) {
      MUST_THROW(store.InitByRule(Ints{1}, {value}), kInvalidArgument, why);
    };
    refused(ValueByRule({4}, InitRule::Uniform(1, 0)), "key 1: rule uniform: a low end below");
    refused(ValueByRule({4}, InitRule::Uniform(0, 1), DataType::kInt32), "a dtype of floats");
    refused(ValueByRule({4}, InitRule::Normal(0, -1)), "a deviation of at least 0");
    refused(ValueByRule({4}, InitRule::Constant(0.5), DataType::kInt8), "a whole number");
    refused(ValueByRule({-1}), "dimensions of at least 0 expected");
    refused(ValueByRule({kRows, 2}), "at most 2^40 elements expected");
    refused(ValueByRule({}).RowSparse(), "a row_sparse shape of rows");
    refused(ValueByRule({4, 0}).RowSparse(), "a row_sparse shape of rows");
    refused(ValueByRule({2 * kRows, 1}).RowSparse(), "at most 2^40 elements expected");
    refused(ValueByRule({4, 1 << 20}).RowSparse(), "row_sparse rows of at most");
    MUST_THROW(store.InitByRule(Ints{1, 2}, {ValueByRule({4})}), kInvalidArgument,
               "as many values as keys expected, got 1 and 2");
    MUST_THROW(store.InitByRule(Ints{1, 1}, {ValueByRule({4}), ValueByRule({4})}), kInvalidArgument,
               "key 1 comes twice");
    store.InitByRule(Ints{1}, {ValueByRule({4})});
    MUST_EQUAL(worker.Value(1, 4), Floats(4));
    MUST_THROW(store.InitByRule(Ints{1}, {ValueByRule({4})}), kAlreadyExists, "key 1");
  });
}

TEST_CASE("workers that name another rule than rank 0 are refused, empty Inits learn the shape",
          "[init][rule][errors]") {
  OnEvery(StoreOfSeveralWorkers, [](Worker& worker) {
    KVStore& store = worker.store();
    if (worker.rank() == 0) {
      store.InitByRule(Ints{1}, {ValueByRule({4}, InitRule::Constant(1))});
    } else {
      MUST_THROW(store.InitByRule(Ints{1}, {ValueByRule({4}, InitRule::Constant(2))}),
                 kInvalidArgument, "rule constant 1 expected, as rank 0 has it, got constant 2");
      store.Init(Ints{1}, {NDArray()});
    }
    MUST_EQUAL(worker.Value(1, 4), Floats(4, 1));
  });
}

}  // namespace kvstore
