// The arithmetic of a shard: sums from sliced payloads, left folds in rank order, updates.
#include "server/values/dense_value.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "common/initial/initial_values.h"
#include "server/values/tensor_values.h"
#include "tests/support/dtype_oracle.h"

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

constexpr uint64_t kSeed = 20240302;

template <typename T>
KeySpec Key(size_t elements = 1) {
  KeySpec key;
  key.key = 17;
  key.name = "conv1.weight";
  key.dtype = sizeof(T) == 4 ? DType::kFloat32 : DType::kFloat64;
  key.shape = {static_cast<int64_t>(elements)};
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
std::vector<T> ToVector(const Payload& payload) {
  std::vector<T> out(payload.size() / sizeof(T));
  payload.CopyTo(out.data());
  return out;
}

// One part and what happens to it.
template <typename T>
class PartOf {
 public:
  PartOf(TensorValues& values, const std::vector<T>& value, PartIndex part = 0)
      : key(Key<T>(value.size())), value_(values.Make(key, {17, part})) {
    value_->Fill({0, Whole(value)});
  }
  // A round with these contributions.
  absl::Status Update(const std::vector<Payload>& contributions) {
    for (const Payload& data : contributions) value_->Fold(0, {0, data});
    return value_->Update(0, {});
  }
  Payload Read() const { return value_->Read({}); }
  std::vector<T> value() const { return ToVector<T>(Read()); }

  KeySpec key;

 private:
  std::unique_ptr<PartValue> value_;
};

// The fold of `contributions`: what the updater `assign` makes the value.
template <typename T>
std::vector<T> Folded(size_t elements, const std::vector<Payload>& contributions) {
  TensorValues values;
  PartOf<T> part(values, std::vector<T>(elements));
  REQUIRE(part.Update(contributions).ok());
  return part.value();
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
  for (const size_t elements : {1, 2, 7, 8, 9, 61, 1009}) {
    const std::vector<TestType> acc = Numbers<TestType>(random, elements);
    const std::vector<TestType> x = Numbers<TestType>(random, elements);
    std::vector<TestType> expected(elements);
    for (size_t i = 0; i < elements; ++i) expected[i] = acc[i] + x[i];
    // Every fixed slice length up to three elements: cuts at every byte of an element, elements
    // over many slices.
    for (size_t length = 1; length <= 3 * sizeof(TestType); ++length) {
      CAPTURE(elements, length);
      const Payload cut = Cut(x, [&] { return length; });
      REQUIRE(SameBits(Folded<TestType>(elements, {Whole(acc), cut}), expected));
    }
    for (int trial = 0; trial < 50; ++trial) {
      CAPTURE(elements, trial);
      const Payload cut = Cut(x, [&] { return 1 + random() % 200; });
      REQUIRE(SameBits(Folded<TestType>(elements, {Whole(acc), cut}), expected));
    }
  }
}

TEST_CASE("rounds of every dtype have the oracle's bits however slices cut the elements",
          "[engine]") {
  CAPTURE(kSeed);
  std::mt19937_64 random(kSeed);
  for (int number = 1; number <= 9; ++number) {
    const auto dtype = static_cast<DType>(number);
    const testing::DTypeOracle oracle(dtype);
    for (int trial = 0; trial < 20; ++trial) {
      CAPTURE(DTypeName(dtype), trial);
      TensorValues values;
      KeySpec key;
      key.key = 17;
      key.dtype = dtype;
      key.shape = {67};
      std::vector<testing::Bytes> contributions;
      testing::Bytes expected = oracle.Random(random, 67);
      const std::unique_ptr<PartValue> value = values.Make(key, {17, 0});
      value->Fill({0, Whole(expected)});
      for (int rank = 0; rank < 3; ++rank) {
        contributions.push_back(oracle.Random(random, 67));
        const Payload cut = Cut(contributions.back(), [&] { return 1 + random() % 20; });
        value->Fold(0, {0, cut});
      }
      if (trial % 2 == 0) {
        REQUIRE(values.SetOptimizer({"sum", {}}).ok());
        expected = oracle.Sum(expected, contributions);
      } else {
        expected = oracle.Assign(contributions);
      }
      REQUIRE(value->Update(0, {}).ok());
      REQUIRE(ToVector<uint8_t>(value->Read({})) == expected);
    }
  }
}

TEST_CASE("a value has the payload's bytes in memory of its own", "[engine]") {
  CAPTURE(kSeed);
  std::mt19937_64 random(kSeed);
  TensorValues values;
  const std::vector<float> x = Numbers<float>(random, 1009);
  const Payload payload = Cut(x, [&] { return 1 + random() % 97; });
  const KeySpec key = Key<float>(x.size());
  const std::unique_ptr<PartValue> value = values.Make(key, {17, 0});
  value->Fill({0, payload});
  const Payload read = value->Read({});
  REQUIRE(read.slices().size() == 1);
  const Slice& own = read.slices()[0];
  for (const Slice& slice : payload.slices()) {
    CHECK((slice.data + slice.size <= own.data || slice.data >= own.data + own.size));
  }
  CHECK(SameBits(ToVector<float>(read), x));
}

TEST_CASE("a pull is handed the value itself, which later updates leave alone", "[engine]") {
  TensorValues values;
  PartOf<float> part(values, {1, 2});
  const Payload first = part.Read();
  CHECK(first.slices()[0].data == part.Read().slices()[0].data);
  REQUIRE(part.Update({Whole<float>({3, 4})}).ok());
  CHECK(ToVector<float>(first) == std::vector<float>{1, 2});
  CHECK(part.value() == std::vector<float>{3, 4});
}

TEST_CASE("a piece that is not the part's bytes is refused and says what is", "[engine]") {
  TensorValues values;
  KeySpec key = Key<float>((1 << 18) + 3);  // parts of 1 MiB and of 12 bytes
  const auto check = [&](PartIndex part, Op op, size_t bytes, uint32_t rows = 0) {
    const Piece piece{rows, Payload::CopyOf(std::string(bytes, 'x'))};
    return std::string(values.Make(key, {17, part})->Check(op, piece).message());
  };
  CHECK(check(0, Op::kPush, 1 << 20).empty());
  CHECK(check(1, Op::kPush, 12).empty());
  CHECK(check(1, Op::kPull, 0).empty());
  CHECK(check(1, Op::kPush, 8) == "key 'conv1.weight' part 1: 12 bytes expected, got 8");
  CHECK(check(1, Op::kPull, 8) == "key 'conv1.weight' part 1: 0 bytes expected, got 8");
  CHECK(check(1, Op::kPush, 12, 3) ==
        "key 'conv1.weight' part 1: no rows expected, the key is dense, got 3");
}

TEST_CASE("parts of a value by rule are made by it, each its own elements", "[engine]") {
  TensorValues values;
  KeySpec key = Key<float>((1 << 18) + 3);
  key.rule = {InitRuleKind::kUniform, -1, 1, 7, 0};
  std::vector<float> expected(3);
  InitialValues(key.rule, key.key, key.dtype).Write(1 << 18, 3, expected.data());
  const std::unique_ptr<PartValue> part = values.Make(key, {17, 1});
  CHECK(part->Check(Op::kInit, Piece()).ok());
  CHECK(part->Check(Op::kInit, Piece{0, Payload::CopyOf(std::string(12, 'x'))}) ==
        absl::InvalidArgumentError(
            "key 'conv1.weight' part 1: 0 bytes expected of a value by rule, got 12"));
  part->Fill(Piece());
  std::vector<float> value(3);
  part->Read({}).CopyTo(value.data());
  CHECK(value == expected);
}

TEST_CASE("a part takes its value, a sum and what the optimizer keeps", "[engine]") {
  TensorValues values;
  const KeySpec key = Key<double>(10);
  CHECK(values.Make(key, {17, 0})->Bytes() == 160);
  KeySpec narrow = key;
  narrow.dtype = DType::kFloat16;
  CHECK(values.Make(narrow, {17, 0})->Bytes() == 10 * (2 + 4));
  REQUIRE(values.SetOptimizer({"sgd", {{"learning_rate", 1}, {"momentum", 0.5}}}).ok());
  CHECK(values.Make(key, {17, 0})->Bytes() == 240);
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
  for (const size_t workers : {1, 2, 3, 7}) {
    CAPTURE(workers);
    std::vector<std::vector<TestType>> contributions;
    std::vector<Payload> pieces;
    for (size_t rank = 0; rank < workers; ++rank) {
      std::vector<TestType> x = Numbers<TestType>(random, 257);
      for (size_t i = 0; i < x.size(); i += 3) x[i] = awkward[random() % awkward.size()];
      x[0] = TestType(-0.0);  // from every worker: the sum is -0.0, not 0
      contributions.push_back(x);
      pieces.push_back(Cut(x, [&] { return 1 + random() % 100; }));
    }
    std::vector<TestType> expected = contributions[0];
    for (size_t rank = 1; rank < workers; ++rank) {
      for (size_t i = 0; i < expected.size(); ++i) {
        expected[i] = expected[i] + contributions[rank][i];
      }
    }
    const std::vector<TestType> folded = Folded<TestType>(257, pieces);
    REQUIRE(SameBits(folded, expected));
    REQUIRE(std::signbit(folded[0]));
  }
}

TEST_CASE("the order of a fold shows in its bits", "[engine]") {
  // Else the tests of the order would prove nothing.
  const Payload big = Whole<float>({1e8f}), minus_big = Whole<float>({-1e8f}),
                small = Whole<float>({1.0f});
  CHECK(Folded<float>(1, {big, minus_big, small})[0] == 1.0f);
  CHECK(Folded<float>(1, {big, small, minus_big})[0] == 0.0f);
}

TEST_CASE("an optimizer's state stays with its part from round to round", "[engine]") {
  TensorValues values;
  OptimizerConfig spec;
  spec.name = "sgd";
  spec.parameters = {{"learning_rate", 0.5}, {"momentum", 0.5}};
  REQUIRE(values.SetOptimizer(spec).ok());
  const Payload one = Whole<double>({1});
  PartOf<double> part(values, {0});
  for (const double expected : {-0.5, -1.25}) {
    REQUIRE(part.Update({one}).ok());
    CHECK(part.value() == std::vector<double>{expected});
  }
  PartOf<double> other(values, {0}, 1);
  REQUIRE(other.Update({one}).ok());
  CHECK(other.value() == std::vector<double>{-0.5});

  SECTION("the same spec again and another learning rate keep it") {
    REQUIRE(values.SetOptimizer(spec).ok());
    spec.parameters["learning_rate"] = 0.25;
    REQUIRE(values.SetOptimizer(spec).ok());
    REQUIRE(part.Update({one}).ok());
    CHECK(part.value() == std::vector<double>{-1.25 - 0.375 - 0.25});
  }
  SECTION("an updater that keeps nothing drops it") {
    REQUIRE(values.SetOptimizer({"sum", {}}).ok());
    REQUIRE(part.Update({one}).ok());
    REQUIRE(values.SetOptimizer(spec).ok());
    REQUIRE(part.Update({one}).ok());
    CHECK(part.value() == std::vector<double>{-1.25 + 1 - 0.5});  // as the first update
  }
}

TEST_CASE("a refused optimizer leaves the one that was set", "[engine]") {
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sum", {}}).ok());
  const absl::Status unknown = values.SetOptimizer({"lbsgd", {}});
  CHECK(unknown.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(unknown.message()), Contains("assign, sum, test, sgd"));
  const absl::Status bad = values.SetOptimizer({"sgd", {{"learning_rate", -1.0}}});
  CHECK(bad.code() == absl::StatusCode::kInvalidArgument);
  PartOf<float> part(values, {5});
  REQUIRE(part.Update({Whole<float>({1})}).ok());
  CHECK(part.value() == std::vector<float>{6});
}

TEST_CASE("an update that fails names key and part and keeps value and state", "[engine]") {
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sgd", {{"learning_rate", 1}, {"momentum", 0.5}}}).ok());
  const Payload one = Whole<float>({1});
  PartOf<float> part(values, {0}, 3);
  REQUIRE(part.Update({one}).ok());
  part.key.dtype = DType::kInt32;
  const absl::Status failed = part.Update({one});
  CHECK(failed.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(failed.message()), Contains("key 'conv1.weight' part 3: "));
  CHECK(part.value() == std::vector<float>{-1});
  part.key.dtype = DType::kFloat32;
  REQUIRE(part.Update({one}).ok());
  CHECK(part.value() == std::vector<float>{-2.5f});  // the momentum was kept: -0.5 - 1
}

}  // namespace kvstore
