// SetOptimizer: the optimizer that a push follows where the values are.
#include <catch2/catch.hpp>

#include "tests/conformance/store_under_test.h"

namespace kvstore {

TEST_CASE("SetOptimizer concerns the pushes that follow", "[optimizer]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Array({1, 2})});
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Push(Ints{1, 1}, {Array({1, 1}), Array({2, 2})});
    const float sum = 3 * worker.all();
    MUST_EQUAL(worker.Value(1, 2), Floats{1 + sum, 2 + sum});
    store.Barrier();
    worker.SetOptimizer(OptimizerSpec("test").Set("rescale_grad", 0.5));
    store.Push(Ints{1}, {Array({2, 4})});
    MUST_EQUAL(worker.Value(1, 2), Floats{1 + sum + worker.all(), 2 + sum + 2 * worker.all()});
    store.Barrier();
    worker.SetOptimizer(OptimizerSpec("assign"));
    if (!worker.kind().rounds) return;
    store.Push(Ints{1}, {Array({8, 9})});
    MUST_EQUAL(worker.Value(1, 2), Floats{8 * worker.all(), 9 * worker.all()});
  });
}

TEST_CASE("SetOptimizer is set by rank 0, and checked on every rank", "[optimizer]") {
  OnEvery(StoreOfSeveralWorkers, [](Worker& worker) {
    KVStore& store = worker.store();
    MUST_THROW(store.SetOptimizer(OptimizerSpec("sdg")), kInvalidArgument, "sgd");
    // The others' would be another one.
    if (worker.rank() > 0) store.SetOptimizer(OptimizerSpec("test").Set("rescale_grad", 100));
    worker.SetOptimizer(OptimizerSpec("sum"));
    if (worker.rank() > 0) store.SetOptimizer(OptimizerSpec("test").Set("rescale_grad", 100));
    store.Init(Ints{1}, {Array({1})});
    store.Push(Ints{1}, {Array({1})});
    MUST_EQUAL(worker.Value(1, 1), Floats{1 + worker.all()});
  });
}

TEST_CASE("an optimizer may be set before or after Init", "[optimizer]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Filled(kSeveralParts, 1)});
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{2}, {Filled(kSeveralParts, 1)});
    store.Push(Ints{1, 2}, {Filled(kSeveralParts, 2), Filled(kSeveralParts, 2)});
    const Floats sum(kSeveralParts, 1 + 2 * worker.all());
    MUST(worker.Value(1, kSeveralParts) == sum);
    MUST(worker.Value(2, kSeveralParts) == sum);
  });
}

TEST_CASE("lars goes by the norms of the whole value, however many parts it has",
          "[optimizer][norms]") {
  // The weight is in the last part, the gradient in all but that: each by itself has a norm of 0.
  constexpr int64_t kWeights = 1024;             // ones: a norm of 32
  constexpr int64_t kGradients = 2 * (1 << 18);  // two parts
  constexpr int64_t kElements = kGradients + kWeights;
  NDArray weight({kElements}), gradient({kElements});
  for (int64_t i = 0; i < kElements; ++i) {
    weight.data_as<float>()[i] = i < kGradients ? 0.0f : 1.0f;
    gradient.data_as<float>()[i] = i < kGradients / 2 ? 1.0f : 0.0f;  // a norm of 512
  }
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(
        OptimizerSpec("lars").Set("learning_rate", 1).Set("eta", 0.5).Set("epsilon", 0));
    store.Init(Strings{"layer.weight", "layer.bias"}, {weight, weight});
    store.Push(Strings{"layer.weight", "layer.bias"}, {gradient, gradient});
    // The sum of n workers is n times as long, so that n cancels; one push after the other makes
    // the weight longer.
    NDArray scaled({kElements}), plain({kElements});
    store.Pull(Strings{"layer.weight"}, {&scaled});
    store.Pull(Strings{"layer.bias"}, {&plain});
    scaled.WaitToRead();
    plain.WaitToRead();
    const float step = 0.5f * 32 / 512;
    const auto first = scaled.data_as<float>()[0];
    MUST_EQUAL(scaled.data_as<float>()[kElements - 1], 1.0f);
    MUST_EQUAL(scaled.data_as<float>()[kGradients - 1], 0.0f);
    if (worker.kind().rounds || worker.workers() == 1) {
      MUST_EQUAL(first, -step);
      MUST_EQUAL(plain.data_as<float>()[0], -static_cast<float>(worker.workers()));
    }
    MUST(first <= -step);
  });
}

TEST_CASE(
    "lars moves the rows that are pushed by the norm of all rows, whatever stripes they are in",
    "[optimizer][norms][rows]") {
  // One stripe, and 61.
  const int64_t height = GENERATE(100, 100000);
  const Dims shape = {height, 4};
  const NDArray initial = RowArray(shape, {{1, {3, 0, 0, 0}}, {98, {0, 0, 4, 0}}});
  OnEvery(StoreWithRounds, [&](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(
        OptimizerSpec("lars").Set("learning_rate", 1).Set("eta", 1).Set("epsilon", 0));
    store.Init(Strings{"layer.weight", "layer.bias"}, {initial, initial});
    // n workers' sum has n times the norm, which cancels.
    const NDArray gradient = RowArray(shape, {{1, {0, 2, 0, 0}}});
    store.Push(Strings{"layer.weight", "layer.bias"}, {gradient, gradient});
    NDArray scaled(shape), plain(shape);
    store.Pull(Strings{"layer.weight", "layer.bias"}, {&scaled, &plain});
    const Floats weight = Read(scaled), bias = Read(plain);
    MUST_EQUAL(weight[4], 3.0f);
    MUST_EQUAL(weight[5], -5.0f);  // a step as long as the weight
    MUST_EQUAL(weight[98 * 4 + 2], 4.0f);
    MUST_EQUAL(bias[5], -2.0f * worker.all());
  });
}

TEST_CASE("string keys have their own factors of learning rate and weight decay", "[optimizer]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    const Strings keys = {"weight", "bias", "frozen"};
    // A key may be named before it exists.
    worker.SetOptimizer(OptimizerSpec("sgd")
                            .Set("learning_rate", 0.5)
                            .Set("wd", 0.25)
                            .SetLrMult("bias", 2)
                            .SetWdMult("bias", 0)
                            .SetLrMult("frozen", 0));
    store.Init(keys, {Array({8}), Array({8}), Array({8})});
    store.Push(keys, {Array({1}), Array({1}), Array({1})});
    NDArray weight({1}), bias({1}), frozen({1});
    store.Pull(keys, {&weight, &bias, &frozen});
    MUST_EQUAL(Read(weight), Floats{8 - 0.5f * (worker.all() + 0.25f * 8)});
    MUST_EQUAL(Read(bias), Floats{8 - worker.all()});
    MUST_EQUAL(Read(frozen), Floats{8});
  });
}

TEST_CASE("int keys have their own factors, negative ones too", "[optimizer]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{-3, 4}, {Array({8}), Array({8})});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).SetLrMult(-3, 4));
    store.Push(Ints{-3, 4}, {Array({1}), Array({1})});
    MUST_EQUAL(worker.Value(-3, 1), Floats{8 - 2 * worker.all()});
    MUST_EQUAL(worker.Value(4, 1), Floats{8 - 0.5f * worker.all()});
  });
}

TEST_CASE("sgd keeps a momentum per part over pushes", "[optimizer]") {
  const int64_t elements = GENERATE(int64_t{3}, kSeveralParts);
  OnEvery(StoreWithOneOrder, [&](Worker& worker) {
    worker.store().Init(Ints{1}, {Filled(elements, 1)});
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("momentum", 0.25));
    const NDArray grad = Filled(elements, 2);
    for (int i = 0; i < 3; ++i) worker.store().Push(Ints{1}, {grad});
    // Of g = 2 of each worker: m = 0.25 m - 0.5 g; w = w + m, exact in binary.
    float w = 1, m = 0;
    for (int i = 0; i < 3; ++i) {
      m = 0.25f * m - worker.all();
      w += m;
    }
    MUST(worker.Value(1, elements) == Floats(static_cast<size_t>(elements), w));
  });
}

TEST_CASE("a schedule changes the learning rate with a key's own updates", "[optimizer]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1, 2}, {Filled(kSeveralParts, 8), Array({8})});
    worker.SetOptimizer(
        OptimizerSpec("sgd")
            .Set("learning_rate", 1)
            .SetLrScheduler(LrScheduler("multifactor").Set("factor", 0.25).SetSteps({1, 2})));
    // Rates 1, 1/4 and 1/16; the other key has its first update only then.
    for (int i = 0; i < 3; ++i) store.Push(Ints{1}, {Filled(kSeveralParts, 1)});
    store.Push(Ints{2}, {Array({1})});
    MUST(worker.Value(1, kSeveralParts) ==
         Floats(static_cast<size_t>(kSeveralParts), 8 - 1.3125f * worker.all()));
    MUST_EQUAL(worker.Value(2, 1), Floats{8 - worker.all()});
  });
}

TEST_CASE("schedules and optimizers that do not go together are refused by name", "[optimizer]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    MUST_THROW(store.SetOptimizer(OptimizerSpec("sgd").SetLrScheduler(LrScheduler("cosin"))),
               kInvalidArgument, "unknown lr_scheduler 'cosin'; expected one of factor");
    MUST_THROW(store.SetOptimizer(
                   OptimizerSpec("sum").SetLrScheduler(LrScheduler("factor").Set("step", 1))),
               kInvalidArgument, "no lr_scheduler expected, there is no learning rate");
  });
}

TEST_CASE("an average is of the workers of the job, or of a round's contributors", "[optimizer]") {
  const auto over =
      GENERATE(OptimizerSpec::Average::kWorkers, OptimizerSpec::Average::kContributors);
  OnEvery(StoreWithOneOrder, [&](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Filled(kSeveralParts, 2)});
    worker.SetOptimizer(OptimizerSpec("sum").SetAverage(over));
    store.Push(Ints{1}, {Filled(kSeveralParts, 3)});
    // Everybody pushed 3: that is the mean, of a synchronous round.
    if (!worker.kind().rounds) return;
    MUST(worker.Value(1, kSeveralParts) == Floats(static_cast<size_t>(kSeveralParts), 5));
  });
}

}  // namespace kvstore
