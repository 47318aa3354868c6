// Save and Load: a part that comes back is the part that went, whatever its key and optimizer, and
// bytes that are none are refused.
#include "server/values/saved_value.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "common/kernels/kernels.h"
#include "common/rows/row_cut.h"
#include "server/values/tensor_values.h"

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

const DType kDTypes[] = {DType::kFloat32,  DType::kFloat64, DType::kFloat16,
                         DType::kBFloat16, DType::kUInt8,   DType::kInt8,
                         DType::kInt32,    DType::kInt64,   DType::kBool};
const std::vector<OptimizerConfig> kOptimizers = {
    {"assign", {}},
    {"sum", {}},
    {"test", {{"rescale_grad", 0.5}}},
    {"sgd", {{"learning_rate", 0.1}, {"wd", 0.01}}},
    {"sgd", {{"learning_rate", 0.1}, {"momentum", 0.9}, {"multi_precision", 1}}},
    {"adagrad", {{"learning_rate", 0.1}}},
    {"adam", {{"learning_rate", 0.01}}},
    {"adam", {{"learning_rate", 0.01}, {"multi_precision", 1}}},
    {"ftrl", {}},
    {"ftml", {{"multi_precision", 1}}},
    {"rmsprop", {{"centered", 1}}},
    {"dcasgd", {{"momentum", 0.9}}},
    {"sgld", {{"seed", 3}}},
    {"sgld", {{"multi_precision", 1}}},
    {"groupadagrad", {}},
    {"groupadagrad", {{"multi_precision", 1}}},
    {"lamb", {}},
    {"lans", {{"multi_precision", 1}}},
    {"lars", {{"momentum", 0.9}}}};

KeySpec Key(DType dtype, Storage storage) {
  KeySpec key;
  key.key = 17;
  key.name = "weights";
  key.dtype = dtype;
  key.storage = storage;
  key.shape = {1000, 3};
  return key;
}

// Small whole numbers: every dtype has them.
std::string Elements(std::mt19937_64& random, DType dtype, size_t count) {
  std::vector<float> numbers(count);
  for (float& x : numbers) x = static_cast<float>(random() % 2);
  std::string bytes(count * DTypeBytes(dtype), '\0');
  switch (dtype) {
    case DType::kFloat16:
    case DType::kBFloat16:
      Narrow(dtype, bytes.data(), numbers.data(), count);
      return bytes;
    case DType::kFloat32:
      if (count > 0) std::memcpy(bytes.data(), numbers.data(), bytes.size());
      return bytes;
    case DType::kFloat64:
      for (size_t i = 0; i < count; ++i) {
        const double x = static_cast<double>(numbers[i]) / 3;
        std::memcpy(&bytes[i * sizeof x], &x, sizeof x);
      }
      return bytes;
    default:  // the lowest byte of an int
      for (size_t i = 0; i < count; ++i) bytes[i * DTypeBytes(dtype)] = numbers[i] > 0 ? 1 : 0;
      return bytes;
  }
}

// All of a dense part; or some rows of a stripe, each once.
Piece AnyPiece(std::mt19937_64& random, const KeySpec& key) {
  if (key.storage == Storage::kDense) {
    return {0, Payload::CopyOf(Elements(random, key.dtype, 3000))};
  }
  std::vector<int64_t> rows(1000);
  std::iota(rows.begin(), rows.end(), 0);
  std::shuffle(rows.begin(), rows.end(), random);
  rows.resize(random() % 20);
  std::string bytes(reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(int64_t));
  bytes += Elements(random, key.dtype, rows.size() * 3);
  return {static_cast<uint32_t>(rows.size()), Payload::CopyOf(bytes)};
}

// The same for any number of parts.
void Round(std::mt19937_64 random, const std::vector<PartValue*>& parts) {
  std::vector<absl::Status> updated;
  for (PartValue* part : parts) {
    std::mt19937_64 same = random;
    for (int worker = 0; worker < 2; ++worker) part->Fold(0, AnyPiece(same, part->key()));
    updated.push_back(part->Update(0, {}));
  }
  for (const absl::Status& status : updated) REQUIRE(status == updated[0]);
}

std::string All(const PartValue& part) {
  if (part.key().storage == Storage::kDense) return part.Read({}).ToString();
  std::vector<int64_t> rows(1000);
  std::iota(rows.begin(), rows.end(), 0);
  return part
      .Read({1000, Payload::CopyOf({reinterpret_cast<const char*>(rows.data()),
                                    rows.size() * sizeof(int64_t)})})
      .ToString();
}

// `bytes` in slices of some sizes.
Payload InSlices(std::mt19937_64& random, const std::string& bytes) {
  Payload payload;
  for (size_t at = 0; at < bytes.size();) {
    const size_t size = std::min<size_t>(1 + random() % 500, bytes.size() - at);
    payload.Append(Payload::CopyOf(bytes.substr(at, size)));
    at += size;
  }
  return payload;
}

TEST_CASE("a part that was saved and loaded has the same bits, now and after further updates",
          "[engine]") {
  const uint64_t seed = GENERATE(take(3, random<uint64_t>(1, 1u << 30)));
  const auto storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  std::mt19937_64 random(seed);
  for (const DType dtype : kDTypes) {
    for (const OptimizerConfig& optimizer : kOptimizers) {
      CAPTURE(seed, storage, DTypeName(dtype), optimizer.name, optimizer.parameters);
      const KeySpec key = Key(dtype, storage);
      TensorValues values;
      REQUIRE(values.SetOptimizer(optimizer).ok());
      const std::unique_ptr<PartValue> part = values.Make(key, {17, 0});
      part->Fill(AnyPiece(random, key));
      for (uint64_t round = random() % 4; round > 0; --round) {
        Round(std::mt19937_64(random()), {part.get()});
      }

      const std::string saved = part->Save().ToString();
      TensorValues elsewhere;
      REQUIRE(elsewhere.SetOptimizer(optimizer).ok());
      const std::unique_ptr<PartValue> loaded = elsewhere.Make(key, {17, 0});
      REQUIRE(loaded->Load(InSlices(random, saved)) == absl::OkStatus());
      REQUIRE(loaded->version() == part->version());
      REQUIRE(All(*loaded) == All(*part));
      REQUIRE(loaded->Save().ToString() == saved);
      for (int round = 0; round < 3; ++round) {
        Round(std::mt19937_64(random()), {part.get(), loaded.get()});
        REQUIRE(All(*loaded) == All(*part));
        REQUIRE(loaded->version() == part->version());
        REQUIRE(loaded->Save().ToString() == part->Save().ToString());
      }
    }
  }
}

TEST_CASE("a part that was reset has the bits of a fresh one with its value", "[engine]") {
  const uint64_t seed = GENERATE(take(3, random<uint64_t>(1, 1u << 30)));
  const auto storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  std::mt19937_64 random(seed);
  for (const DType dtype : kDTypes) {
    for (const OptimizerConfig& optimizer : kOptimizers) {
      CAPTURE(seed, storage, DTypeName(dtype), optimizer.name, optimizer.parameters);
      const KeySpec key = Key(dtype, storage);
      TensorValues values;
      REQUIRE(values.SetOptimizer(optimizer).ok());
      const std::unique_ptr<PartValue> part = values.Make(key, {17, 0});
      part->Fill(AnyPiece(random, key));
      for (int round = 0; round < 3; ++round) {
        Round(std::mt19937_64(random()), {part.get()});
      }
      part->Fold(0, AnyPiece(random, key));  // in no version: it is dropped
      const std::string value = All(*part);
      part->Reset();
      REQUIRE(All(*part) == value);
      REQUIRE(part->version() == 0);

      const std::unique_ptr<PartValue> fresh = values.Make(key, {17, 0});
      std::string bytes;
      if (storage == Storage::kRowSparse) {
        std::vector<int64_t> rows(1000);
        std::iota(rows.begin(), rows.end(), 0);
        bytes.append(reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(int64_t));
      }
      const uint32_t rows = storage == Storage::kRowSparse ? 1000 : 0;
      fresh->Fill({rows, Payload::CopyOf(bytes + value)});
      for (int round = 0; round < 3; ++round) {
        REQUIRE(part->Save().ToString() == fresh->Save().ToString());
        Round(std::mt19937_64(random()), {part.get(), fresh.get()});
      }
    }
  }
}

TEST_CASE("version, counters and state are all of what a saved part is", "[engine]") {
  // Else the test above would prove less than it says: each of them, changed, is a part that goes
  // on differently.
  const auto storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  std::mt19937_64 random(7);
  const KeySpec key = Key(DType::kFloat32, storage);
  TensorValues values;
  REQUIRE(values.SetOptimizer({"adam", {{"learning_rate", 0.01}}}).ok());
  const std::unique_ptr<PartValue> part = values.Make(key, {17, 0});
  part->Fill(AnyPiece(random, key));
  Round(std::mt19937_64(1), {part.get()});
  const std::string saved = part->Save().ToString();
  const auto with = [&](size_t at, char byte) {
    std::string bytes = saved;
    REQUIRE(bytes[at] != byte);
    bytes[at] = byte;
    std::unique_ptr<PartValue> loaded = values.Make(key, {17, 0});
    REQUIRE(loaded->Load(Payload::CopyOf(bytes)).ok());
    return loaded;
  };
  const std::unique_ptr<PartValue> version = with(19, 5);
  const std::unique_ptr<PartValue> updates = with(31, 5);
  const std::unique_ptr<PartValue> variance = with(saved.size() - 2, 0x41);  // of the last element
  Round(std::mt19937_64(1), {part.get(), version.get(), updates.get(), variance.get()});
  CHECK(part->version() == 2);
  CHECK(version->version() == 6);
  CHECK(All(*updates) != All(*part));
  CHECK(All(*variance) != All(*part));
}

TEST_CASE("saved bytes do not change with later updates, and loading drops sums under way",
          "[engine]") {
  const auto storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  std::mt19937_64 random(7);
  const KeySpec key = Key(DType::kFloat32, storage);
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sgd", {{"momentum", 0.9}}}).ok());
  const std::unique_ptr<PartValue> part = values.Make(key, {17, 0});
  part->Fill(AnyPiece(random, key));
  Round(std::mt19937_64(1), {part.get()});
  const std::unique_ptr<PartValue> loaded = values.Make(key, {17, 0});
  loaded->Fill(AnyPiece(random, key));
  loaded->Fold(0, AnyPiece(random, key));

  const Payload saved = part->Save();
  const std::string bytes = saved.ToString();
  Round(std::mt19937_64(2), {part.get()});
  CHECK(saved.ToString() == bytes);
  REQUIRE(loaded->Load(saved).ok());
  Round(std::mt19937_64(2), {loaded.get()});
  CHECK(All(*loaded) == All(*part));
}

TEST_CASE("a part of f32 after one update by SGD with momentum is saved as the header says",
          "[engine]") {
  KeySpec key = Key(DType::kFloat32, Storage::kDense);
  key.shape = {2};
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sgd", {{"learning_rate", 1}, {"momentum", 0.5}, {"wd", 0}}}).ok());
  const std::unique_ptr<PartValue> part = values.Make(key, {17, 0});
  const float ones[] = {1, 1};
  const Piece piece{0, Payload::CopyOf({reinterpret_cast<const char*>(ones), sizeof ones})};
  part->Fill(piece);
  part->Fold(0, piece);
  REQUIRE(part->Update(0, {}).ok());
  using namespace std::string_literals;
  CHECK(part->Save().ToString() ==
        "\1\0\1"s                                      // format, dense, f32
        "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"s            // 1 row of 2 elements
        "\1\0\0\0\0\0\0\0\1\1"s                        // version 1, counted, one tensor
        "\1\0\1\0\0\0\0\0\0\0\10momentum"s             // f32, an element each, one update
        "\0\0\0\0\0\0\0\0\0\0\200\277\0\0\200\277"s);  // 0, 0; -1, -1
}

// What Load says to the bytes, having changed nothing.
absl::Status Refusal(PartValue& part, const Payload& bytes) {
  const std::string before = part.Save().ToString();
  const absl::Status status = part.Load(bytes);
  REQUIRE_FALSE(status.ok());
  REQUIRE(part.Save().ToString() == before);
  return status;
}

TEST_CASE("bytes of a part of another kind, dtype or size are the caller's mistake", "[engine]") {
  std::mt19937_64 random(7);
  TensorValues values;
  const auto made = [&](const KeySpec& key) {
    auto part = values.Make(key, {17, 0});
    part->Fill(AnyPiece(random, key));
    return part;
  };
  const KeySpec key = Key(DType::kFloat32, Storage::kDense);
  const KeySpec ints = Key(DType::kInt32, Storage::kDense);
  const KeySpec rows = Key(DType::kFloat32, Storage::kRowSparse);
  const std::unique_ptr<PartValue> part = made(key);
  CHECK(Refusal(*part, made(ints)->Save()) ==
        absl::InvalidArgumentError("key 'weights' part 0: saved: 3000 dense elements of f32 "
                                   "expected, got 3000 dense elements of i32"));
  CHECK(Refusal(*part, made(rows)->Save()) ==
        absl::InvalidArgumentError("key 'weights' part 0: saved: 3000 dense elements of f32 "
                                   "expected, got 1000 rows of 3 elements of f32"));
}

TEST_CASE("bytes that are not all of a saved part are DATA_LOSS", "[engine]") {
  const auto storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  std::mt19937_64 random(7);
  const KeySpec key = Key(DType::kFloat32, storage);
  TensorValues values;
  REQUIRE(values.SetOptimizer({"adam", {}}).ok());
  const std::unique_ptr<PartValue> part = values.Make(key, {17, 0});
  part->Fill(AnyPiece(random, key));
  Round(std::mt19937_64(1), {part.get()});
  const std::string saved = part->Save().ToString();
  for (size_t size = 0; size < saved.size(); size += size < 200 ? 1 : 97) {
    CAPTURE(size);
    const absl::Status status = Refusal(*part, Payload::CopyOf(saved.substr(0, size)));
    REQUIRE(absl::IsDataLoss(status));
    REQUIRE_THAT(std::string(status.message()), Contains("key 'weights' part 0: saved: "));
  }
  CHECK(absl::IsDataLoss(Refusal(*part, Payload::CopyOf(saved + "x"))));
  const auto with = [&](size_t at, int byte) {
    std::string bytes = saved;
    bytes[at] = static_cast<char>(byte);
    return Refusal(*part, Payload::CopyOf(bytes)).ToString();
  };
  CHECK_THAT(with(0, 2), Contains("DATA_LOSS: ") && Contains("format 1 expected, got 2"));
  CHECK_THAT(with(1, 7), Contains("storage 0 or 1 expected, got 7"));
  CHECK_THAT(with(27, 2), Contains("state 0 or 1 expected, got 2"));
  CHECK_THAT(with(28, 249), Contains("at most 248 tensors of state expected, got 249"));
  CHECK_THAT(with(29, 7), Contains("state of f32 or f32 expected, got i32"));
  CHECK_THAT(with(30, 2),
             Contains("state that is one per row: at most " +
                      std::string(storage == Storage::kDense ? "0" : "1") + " expected, got 2"));
  CHECK_THAT(with(39, 0), Contains("a name of state expected, got an empty one"));
}

TEST_CASE("rows that cannot be in a saved table are refused before room is made for them",
          "[engine][rows]") {
  std::mt19937_64 random(7);
  const KeySpec key = Key(DType::kFloat32, Storage::kRowSparse);
  TensorValues values;
  const std::unique_ptr<PartValue> part = values.Make(key, {17, 0});
  const int64_t ids[] = {3, 8};
  part->Fill({2, Payload::CopyOf(std::string(reinterpret_cast<const char*>(ids), sizeof ids) +
                                 std::string(2 * 3 * sizeof(float), 'x'))});
  const std::string saved = part->Save().ToString();
  REQUIRE(saved.size() == 28 + 8 + 2 * (8 + 12));
  const auto with = [&](size_t at, uint64_t number) {
    std::string bytes = saved;
    std::memcpy(&bytes[at], &number, sizeof number);
    return Refusal(*part, Payload::CopyOf(bytes)).ToString();
  };
  CHECK_THAT(with(28, uint64_t{1} << 60),
             Contains("DATA_LOSS: ") && Contains("rows of 12 bytes expected, 40 bytes are left"));
  CHECK_THAT(with(28, 1), Contains("the end expected, 20 bytes are left"));
  CHECK_THAT(with(44, 3), Contains("a row of 4 to 999 expected, got 3"));
  CHECK_THAT(with(44, 1000), Contains("a row of 4 to 999 expected, got 1000"));
  CHECK_THAT(with(36, UINT64_MAX), Contains("a row of 0 to 999 expected, got -1"));
}

TEST_CASE("spoiled bytes never crash: they are refused, or are a part that can be updated",
          "[engine]") {
  const uint64_t seed = GENERATE(take(20, random<uint64_t>(1, 1u << 30)));
  const auto storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  const OptimizerConfig& optimizer = kOptimizers[seed % kOptimizers.size()];
  CAPTURE(seed, storage, optimizer.name);
  std::mt19937_64 random(seed);
  KeySpec key = Key(kDTypes[random() % 4], storage);
  TensorValues values;
  REQUIRE(values.SetOptimizer(optimizer).ok());
  const std::unique_ptr<PartValue> part = values.Make(key, {17, 0});
  part->Fill(AnyPiece(random, key));
  Round(std::mt19937_64(random()), {part.get()});
  const std::string saved = part->Save().ToString();
  for (int trial = 0; trial < 300; ++trial) {
    std::string bytes = saved;
    for (uint64_t flips = 1 + random() % 4; flips > 0; --flips) {
      const size_t most = random() % 2 == 0 ? std::min<size_t>(bytes.size(), 80) : bytes.size();
      bytes[random() % most] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 20));
    const std::unique_ptr<PartValue> loaded = values.Make(key, {17, 0});
    loaded->Fill(AnyPiece(random, key));
    const absl::Status status = loaded->Load(InSlices(random, bytes));
    if (!status.ok()) REQUIRE((absl::IsDataLoss(status) || absl::IsInvalidArgument(status)));
    Round(std::mt19937_64(random()), {loaded.get()});
    REQUIRE(All(*loaded).size() == All(*part).size());
  }
}

}  // namespace
}  // namespace kvstore
