// The arithmetic of a shard: sums from sliced payloads, left folds in rank order, updates.
#include "server/engine/dense_part_math.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

constexpr uint64_t kSeed = 20240302;

template <typename T>
KeySpec Key() {
  KeySpec key;
  key.key = 17;
  key.name = "conv1.weight";
  key.dtype = sizeof(T) == 4 ? DType::kFloat32 : DType::kFloat64;
  return key;
}

// `values` as a payload, cut where `next_cut` says; each slice lies at an odd address.
template <typename T, typename NextCut>
Payload Cut(const std::vector<T>& values, NextCut next_cut) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
  const size_t size = values.size() * sizeof(T);
  Payload payload;
  for (size_t at = 0; at < size;) {
    const size_t n = std::min<size_t>(next_cut(), size - at);
    auto buffer = std::make_shared<Buffer>(n + 1);
    std::memcpy(buffer->data() + 1, bytes + at, n);
    payload.Append(Slice{buffer->data() + 1, n, buffer});
    at += n;
  }
  return payload;
}

template <typename T>
Payload Whole(const std::vector<T>& values) {
  return Payload::CopyOf({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}

template <typename T>
MutableBufferPtr ToBuffer(const std::vector<T>& values) {
  auto buffer = std::make_shared<Buffer>(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(buffer->data(), values.data(), buffer->size());
  return buffer;
}

template <typename T>
std::vector<T> ToVector(const Buffer& buffer) {
  std::vector<T> out(buffer.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), buffer.data(), buffer.size());
  return out;
}

template <typename T>
std::vector<T> Numbers(std::mt19937_64& random, size_t n) {
  std::uniform_real_distribution<T> uniform(T(-1), T(1));
  std::vector<T> out(n);
  for (T& x : out) x = uniform(random);
  return out;
}

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0 && !(std::isnan(a[i]) && std::isnan(b[i]))) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEMPLATE_TEST_CASE("a payload is summed the same however its slices cut the elements", "[engine]",
                   float, double) {
  CAPTURE(kSeed);
  std::mt19937_64 random(kSeed);
  DensePartMath math;
  for (const size_t elements : {1, 2, 7, 8, 9, 61, 1009}) {
    const std::vector<TestType> acc = Numbers<TestType>(random, elements);
    const std::vector<TestType> x = Numbers<TestType>(random, elements);
    std::vector<TestType> expected(elements);
    for (size_t i = 0; i < elements; ++i) expected[i] = acc[i] + x[i];
    // Every fixed slice length up to three elements: cuts at every byte of an element, elements
    // over many slices.
    for (size_t length = 1; length <= 3 * sizeof(TestType); ++length) {
      CAPTURE(elements, length);
      const MutableBufferPtr sum = ToBuffer(acc);
      math.Accumulate(Key<TestType>(), *sum, Cut(x, [&] { return length; }));
      REQUIRE(SameBits(ToVector<TestType>(*sum), expected));
    }
    for (int trial = 0; trial < 50; ++trial) {
      CAPTURE(elements, trial);
      const MutableBufferPtr sum = ToBuffer(acc);
      math.Accumulate(Key<TestType>(), *sum, Cut(x, [&] { return 1 + random() % 200; }));
      REQUIRE(SameBits(ToVector<TestType>(*sum), expected));
    }
  }
}

TEST_CASE("an empty payload adds nothing to an empty part", "[engine]") {
  DensePartMath math;
  Buffer empty(0);
  math.Accumulate(Key<float>(), empty, Payload());
  CHECK(math.Copy(Payload())->size() == 0);
}

TEST_CASE("a copy has the payload's bytes in memory of its own", "[engine]") {
  CAPTURE(kSeed);
  std::mt19937_64 random(kSeed);
  DensePartMath math;
  const std::vector<float> x = Numbers<float>(random, 1009);
  MutableBufferPtr copy;
  {
    const Payload payload = Cut(x, [&] { return 1 + random() % 97; });
    copy = math.Copy(payload);
    for (const Slice& slice : payload.slices()) {
      CHECK((slice.data + slice.size <= copy->data() || slice.data >= copy->data() + copy->size()));
    }
  }
  CHECK(SameBits(ToVector<float>(*copy), x));
}

TEMPLATE_TEST_CASE("a round is the left fold of its contributions from the first value", "[engine]",
                   float, double) {
  CAPTURE(kSeed);
  using Limits = std::numeric_limits<TestType>;
  const std::vector<TestType> awkward = {
      TestType(0),   TestType(-0.0),     Limits::denorm_min(), -Limits::denorm_min(),
      Limits::max(), Limits::infinity(), -Limits::infinity(),  Limits::quiet_NaN(),
      Limits::min(), TestType(1)};
  std::mt19937_64 random(kSeed);
  DensePartMath math;
  for (const size_t workers : {1, 2, 3, 7}) {
    CAPTURE(workers);
    std::vector<std::vector<TestType>> contributions;
    for (size_t rank = 0; rank < workers; ++rank) {
      std::vector<TestType> x = Numbers<TestType>(random, 257);
      for (size_t i = 0; i < x.size(); i += 3) x[i] = awkward[random() % awkward.size()];
      x[0] = TestType(-0.0);  // from every worker: the sum is -0.0, not 0
      contributions.push_back(x);
    }
    std::vector<TestType> expected = contributions[0];
    for (size_t rank = 1; rank < workers; ++rank) {
      for (size_t i = 0; i < expected.size(); ++i) {
        expected[i] = expected[i] + contributions[rank][i];
      }
    }
    const MutableBufferPtr sum =
        math.Copy(Cut(contributions[0], [&] { return 1 + random() % 100; }));
    for (size_t rank = 1; rank < workers; ++rank) {
      math.Accumulate(Key<TestType>(), *sum,
                      Cut(contributions[rank], [&] { return 1 + random() % 100; }));
    }
    const std::vector<TestType> folded = ToVector<TestType>(*sum);
    REQUIRE(SameBits(folded, expected));
    REQUIRE(std::signbit(folded[0]));
  }
}

TEST_CASE("the order of a fold shows in its bits", "[engine]") {
  // Else the tests of the order would prove nothing.
  DensePartMath math;
  const std::vector<float> big = {1e8f}, minus_big = {-1e8f}, small = {1.0f};
  const auto fold = [&](const std::vector<std::vector<float>>& xs) {
    const MutableBufferPtr sum = math.Copy(Whole(xs[0]));
    for (size_t k = 1; k < xs.size(); ++k) math.Accumulate(Key<float>(), *sum, Whole(xs[k]));
    return ToVector<float>(*sum)[0];
  };
  CHECK(fold({big, minus_big, small}) == 1.0f);
  CHECK(fold({big, small, minus_big}) == 0.0f);
}

TEST_CASE("a part without an optimizer takes the sum over", "[engine]") {
  DensePartMath math;
  std::unique_ptr<PartState> state;
  const MutableBufferPtr sum = ToBuffer<float>({1, 2});
  const auto updated = math.Update(Key<float>(), {17, 0}, ToBuffer<float>({5, 6}), sum, &state);
  REQUIRE(updated.ok());
  CHECK(*updated == sum);
  CHECK(ToVector<float>(**updated) == std::vector<float>{1, 2});
  CHECK(state == nullptr);
}

TEST_CASE("an optimizer's state stays with its part from round to round", "[engine]") {
  DensePartMath math;
  OptimizerConfig spec;
  spec.name = "sgd";
  spec.parameters = {{"learning_rate", 0.5}, {"momentum", 0.5}};
  REQUIRE(math.SetOptimizer(spec).ok());
  std::unique_ptr<PartState> state_0, state_1;
  const BufferPtr start = ToBuffer<double>({0});
  BufferPtr value = start;
  for (const double expected : {-0.5, -1.25}) {
    const auto updated =
        math.Update(Key<double>(), {17, 0}, value, ToBuffer<double>({1}), &state_0);
    REQUIRE(updated.ok());
    value = *updated;
    CHECK(ToVector<double>(*value) == std::vector<double>{expected});
  }
  CHECK(ToVector<double>(*start) == std::vector<double>{0});
  const auto other = math.Update(Key<double>(), {17, 1}, start, ToBuffer<double>({1}), &state_1);
  REQUIRE(other.ok());
  CHECK(ToVector<double>(**other) == std::vector<double>{-0.5});

  SECTION("the same spec again and another learning rate keep it") {
    REQUIRE(math.SetOptimizer(spec).ok());
    spec.parameters["learning_rate"] = 0.25;
    REQUIRE(math.SetOptimizer(spec).ok());
    const auto updated =
        math.Update(Key<double>(), {17, 0}, value, ToBuffer<double>({1}), &state_0);
    REQUIRE(updated.ok());
    CHECK(ToVector<double>(**updated) == std::vector<double>{-1.25 - 0.375 - 0.25});
  }
  SECTION("a rule that keeps nothing drops it") {
    spec = OptimizerConfig{"sum", {}};
    REQUIRE(math.SetOptimizer(spec).ok());
    REQUIRE(math.Update(Key<double>(), {17, 0}, value, ToBuffer<double>({1}), &state_0).ok());
    CHECK(state_0 == nullptr);
  }
}

TEST_CASE("a refused optimizer leaves the one that was set", "[engine]") {
  DensePartMath math;
  REQUIRE(math.SetOptimizer({"sum", {}}).ok());
  const absl::Status unknown = math.SetOptimizer({"adamw", {}});
  CHECK(unknown.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(unknown.message()), Contains("assign, sum, test, sgd"));
  const absl::Status bad = math.SetOptimizer({"sgd", {{"learning_rate", -1.0}}});
  CHECK(bad.code() == absl::StatusCode::kInvalidArgument);
  std::unique_ptr<PartState> state;
  const auto updated =
      math.Update(Key<float>(), {17, 0}, ToBuffer<float>({5}), ToBuffer<float>({1}), &state);
  REQUIRE(updated.ok());
  CHECK(ToVector<float>(**updated) == std::vector<float>{6});
}

TEST_CASE("an update that fails names key and part and keeps value and state", "[engine]") {
  DensePartMath math;
  REQUIRE(math.SetOptimizer({"sgd", {{"learning_rate", 1}, {"momentum", 0.5}}}).ok());
  std::unique_ptr<PartState> state;
  const BufferPtr value = ToBuffer<float>({0});
  REQUIRE(math.Update(Key<float>(), {17, 3}, value, ToBuffer<float>({1}), &state).ok());
  const PartState* before = state.get();
  KeySpec ints = Key<float>();
  ints.dtype = DType::kInt32;
  const auto failed = math.Update(ints, {17, 3}, value, ToBuffer<float>({1}), &state);
  CHECK(failed.status().code() == absl::StatusCode::kUnimplemented);
  CHECK_THAT(std::string(failed.status().message()), Contains("key 'conv1.weight': part 3: "));
  CHECK(state.get() == before);
  CHECK(ToVector<float>(*value) == std::vector<float>{0});
  const auto next = math.Update(Key<float>(), {17, 3}, value, ToBuffer<float>({1}), &state);
  REQUIRE(next.ok());
  CHECK(ToVector<float>(**next) == std::vector<float>{-1.5f});  // m = -0.5 - 1
}

}  // namespace kvstore
