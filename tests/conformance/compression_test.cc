// SetGradientCompression: what is pushed loses what the codec loses, what is lost comes with a
// later push, and what cannot be is refused. (same_bits_test.cc: every codec has the bits of
// local.)
#include <catch2/catch.hpp>
#include <string>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

const Parameters kTwoBit = {{"type", "2bit"}, {"threshold", "0.5"}};
constexpr int64_t kPartElements = 1 << 18;  // of f32

}  // namespace

TEST_CASE("a push is what its codec makes of it, and the next one brings what is left over",
          "[codec]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression(kTwoBit);
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Array({10, 10, 10})});
    MUST_EQUAL(worker.Value(1, 3), (Floats{10, 10, 10}));  // an Init is not compressed
    const float all = worker.all();
    store.Push(Ints{1}, {Array({0.75F, -0.25F, 0.25F})});
    MUST_EQUAL(worker.Value(1, 3), (Floats{10 + all * 0.5F, 10, 10}));
    // 0.25, -0.5, 0.5.
    store.Push(Ints{1}, {Array({0, -0.25F, 0.25F})});
    MUST_EQUAL(worker.Value(1, 3), (Floats{10 + all * 0.5F, 10 - all * 0.5F, 10 + all * 0.5F}));
  });
}

TEST_CASE("without an optimizer a compressed PushPull answers with the sum of what was sent",
          "[codec]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression(kTwoBit);
    const int64_t elements = 2 * kPartElements + 5;  // three parts
    store.Init(Ints{1}, {Filled(elements, 0)});
    NDArray value = Filled(elements, 0.75F);
    store.PushPull(Ints{1}, Ints{1}, {value}, {&value});  // in place
    const Floats expected(static_cast<size_t>(elements), worker.all() * 0.5F);
    MUST_EQUAL(Read(value), expected);
  });
}

TEST_CASE(
    "several values of one worker are summed before they are compressed, but on a local store",
    "[codec]") {
  OnEvery(StoreOfOneWorker, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression(kTwoBit);
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Array({0})});
    store.Push(Ints{1, 1}, {Array({0.25F}), Array({0.25F})});
    // Dist: 0.5 is sent. Local: each of them is below the threshold, as if of a worker of its own.
    MUST_EQUAL(worker.Value(1, 1), Floats{worker.kind().dist() ? 0.5F : 0});
  });
}

TEST_CASE("keys below min_bytes and keys of ints go as they are", "[codec]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression({{"min_bytes", "16"}, {"type", "2bit"}});
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1, 2}, {Filled(3, 0), Filled(4, 0)});
    const NDArray ints({4}, DataType::kInt32);
    for (int64_t i = 0; i < 4; ++i) ints.data_as<int32_t>()[i] = 0;
    store.Init(Ints{3}, {ints});
    store.Push(Ints{1, 2}, {Filled(3, 0.25F), Filled(4, 0.25F)});
    MUST_EQUAL(worker.Value(1, 3), Floats(3, worker.all() * 0.25F));
    MUST_EQUAL(worker.Value(2, 4), Floats(4, 0));
    const NDArray three({4}, DataType::kInt32);
    for (int64_t i = 0; i < 4; ++i) three.data_as<int32_t>()[i] = 3;
    store.Push(Ints{3}, {three});
    NDArray pulled({4}, DataType::kInt32);
    store.Pull(Ints{3}, {&pulled});
    pulled.WaitToRead();
    MUST_EQUAL(pulled.data_as<int32_t>()[2], 3 * worker.workers());
  });
}

TEST_CASE("rows are compressed, and what is left over waits for the next push of the row",
          "[codec][rows]") {
  OnEvery(StoreWithOneOrder, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression(kTwoBit);
    worker.SetOptimizer(OptimizerSpec("sum"));
    const Dims shape = {70, 2};
    store.Init(Ints{1}, {RowArray(shape, {{3, {10, 10}}})});
    const float sent = worker.all() * 0.5F;
    store.Push(Ints{1}, {RowArray(shape, {{3, {0.75F, 0.25F}}, {64, {-0.5F, 0}}})});
    MUST_EQUAL(worker.Rows(1, shape), (RowMap{{3, {10 + sent, 10}}, {64, {-sent, 0}}}));
    // Row 3 stays away for a round; then 0.25 and 0.25 are left over.
    store.Push(Ints{1}, {RowArray(shape, {{64, {0.25F, 0}}})});
    MUST_EQUAL(worker.Rows(1, shape), (RowMap{{3, {10 + sent, 10}}, {64, {-sent, 0}}}));
    store.Push(Ints{1}, {RowArray(shape, {{3, {0.25F, 0.25F}}})});
    MUST_EQUAL(worker.Rows(1, shape), (RowMap{{3, {10 + 2 * sent, 10 + sent}}, {64, {-sent, 0}}}));
    store.Push(Ints{1}, {NDArray::RowSparse(shape)});  // no row is a contribution, too
    MUST_EQUAL(worker.Rows(1, shape), (RowMap{{3, {10 + 2 * sent, 10 + sent}}, {64, {-sent, 0}}}));
  });
}

TEST_CASE("pulls are rounded where a codec is asked for it", "[codec]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression({{"type", "bf16"}, {"pull", "1"}});
    const float precise = 1.00048828125F;  // 1 + 2^-11: bf16 has 8 bits
    store.Init(Ints{1}, {Array({precise, 2})});
    worker.Meet();
    MUST_EQUAL(worker.Value(1, 2), (Floats{1, 2}));
    const Dims shape = {70, 2};
    store.Init(Ints{2}, {RowArray(shape, {{3, {precise, 2}}})});
    MUST_EQUAL(worker.Rows(2, shape, {3, 4}), (RowMap{{3, {1, 2}}, {4, {0, 0}}}));
    MUST_EQUAL(worker.Rows(2, shape), (RowMap{{3, {1, 2}}}));
  });
}

TEST_CASE("a user's updater sees what was sent", "[codec]") {
  OnEvery(StoreThatRunsUpdaters, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression(kTwoBit);
    store.set_updater([](int, const NDArray& merged, NDArray* stored) {
      stored->data_as<float>()[0] = 100 + merged.data_as<float>()[0];
    });
    store.Init(Ints{1}, {Array({0})});
    store.Push(Ints{1, 1}, {Array({0.75F}), Array({0.75F})});
    MUST_EQUAL(worker.Value(1, 1), Floats{101});
  });
}

TEST_CASE("compression is set once, before the first Init", "[codec][errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression(kTwoBit);
    store.SetGradientCompression({{"threshold", "0.5"}, {"type", "2bit"}});  // the same
    MUST_THROW(store.SetGradientCompression({{"type", "2bit"}, {"threshold", "0.25"}}),
               kFailedPrecondition,
               "SetGradientCompression: 2bit (threshold 0.5) expected, which is set and stays, got "
               "2bit (threshold 0.25)");
    MUST_THROW(store.SetGradientCompression({{"type", "none"}}), kFailedPrecondition,
               "SetGradientCompression: 2bit (threshold 0.5) expected, which is set and stays, got "
               "none");
    store.Init(Ints{1}, {Array({0})});
    store.SetGradientCompression(kTwoBit);
  });
  OnEvery(Store, [](Worker& worker) {
    worker.store().Init(Ints{1}, {Array({0})});
    MUST_THROW(worker.store().SetGradientCompression(kTwoBit), kFailedPrecondition,
               "SetGradientCompression: a store without keys expected, call it before the first "
               "Init");
  });
}

TEST_CASE("a compression that cannot be is refused, and nothing is set", "[codec][errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const auto refused = [&](const Parameters& parameters, const std::string& text) {
      MUST_THROW(store.SetGradientCompression(parameters), kInvalidArgument, text);
    };
    refused({{"type", "3bit"}},
            "unknown compression '3bit'; expected one of 2bit, 1bit, fp16, bf16, topk, randomk, "
            "dithering, onebit_scaled");
    refused({{"threshold", "1"}},
            "SetGradientCompression: a 'type' expected among the parameters, one of none, 2bit, "
            "1bit, fp16, bf16, topk, randomk, dithering, onebit_scaled; got 1 others");
    refused({{"type", "2bit"}, {"threshold", "half"}},
            "SetGradientCompression: threshold: a number expected, got 'half'");
    refused({{"type", "2bit"}, {"type", "1bit"}},
            "SetGradientCompression: each parameter once expected, 'type' comes twice");
    refused({{"type", "2bit"}, {"ratio", "0.1"}},
            "compression '2bit': unknown parameter 'ratio' (= 0.1); expected min_bytes, threshold");
    refused({{"type", "none"}, {"threshold", "1"}},
            "compression 'none': unknown parameter 'threshold' (= 1); expected no parameters");
    refused({{"type", "2bit"}, {"threshold", "-1"}},
            "compression '2bit': threshold: a finite number > 0 (within f32) expected, got -1");
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Array({0})});
    store.Push(Ints{1}, {Array({0.25F})});
    worker.Settle();
    MUST_EQUAL(worker.Value(1, 1), Floats{worker.all() * 0.25F});
  });
}

TEST_CASE("an Init is refused on a worker whose compression is not rank 0's", "[codec][errors]") {
  OnEvery([](const StoreKind& kind) { return kind.dist() && kind.workers > 1; },
          [](Worker& worker) {
            KVStore& store = worker.store();
            if (worker.rank() == 0) store.SetGradientCompression(kTwoBit);
            if (worker.rank() == 1) store.SetGradientCompression({{"type", "fp16"}});
            if (worker.rank() == 0) {
              store.Init(Ints{1}, {Array({0})});
            } else {
              const NDArray value =
                  worker.rank() == 1 ? Array({0}) : NDArray();  // rank 2's may be empty
              MUST_THROW(
                  store.Init(Ints{1}, {value}), kFailedPrecondition,
                  std::string("key 1: compression 2bit (threshold 0.5) expected, as rank 0 has it, "
                              "got ") +
                      (worker.rank() == 1 ? "fp16" : "none"));
            }
            worker.Meet();
          });
}

}  // namespace kvstore
