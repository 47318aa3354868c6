// Rows of f16 and bf16, with and without an f32 master, have the bits that a dense part would have.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <random>

#include "common/kernels/kernels.h"
#include "common/rows/row_updater.h"

namespace kvstore {
namespace {

constexpr KeyId kKey = 17;
constexpr int64_t kHeight = 7;
constexpr size_t kWidth = 5;

std::vector<float> RandomFloats(std::mt19937& random, size_t n) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> out(n);
  for (float& x : out) x = uniform(random);
  return out;
}

// `values` in `dtype`.
Payload Narrowed(DType dtype, const std::vector<float>& values) {
  auto buffer = std::make_shared<Buffer>(values.size() * DTypeBytes(dtype));
  Narrow(dtype, buffer->data(), values.data(), values.size());
  return Payload(BufferPtr(buffer));
}

MutableBufferPtr Copied(const Payload& payload) {
  auto buffer = std::make_shared<Buffer>(payload.size());
  payload.CopyTo(buffer->data());
  return buffer;
}

}  // namespace

TEST_CASE("a row of 16-bit floats has the bits of a dense part of its own rounds", "[rows]") {
  const auto dtype = GENERATE(DType::kFloat16, DType::kBFloat16);
  const bool multi_precision = GENERATE(false, true);
  const size_t row_bytes = kWidth * DTypeBytes(dtype);
  for (const std::string name : {"sgd", "adagrad", "ftrl"}) {
    CAPTURE(name, DTypeName(dtype), multi_precision);
    UpdaterParameters parameters = {
        {"learning_rate", 0.3}, {"wd", 0.01}, {"multi_precision", multi_precision ? 1 : 0}};
    if (name == "sgd") parameters["momentum"] = 0.9;
    PartUpdater updater;
    REQUIRE(updater.Set({name, parameters}).ok());
    std::mt19937 random(20261124);

    // Row r is a part of its own, and a row of the table that has a sum in every (r + 1)-th round.
    RowTable table(kHeight, row_bytes);
    RowStatePtr table_state;
    std::vector<BufferPtr> parts;
    std::vector<std::unique_ptr<UpdaterState>> states(kHeight);
    for (int64_t row = 0; row < kHeight; ++row) {
      parts.push_back(Copied(Narrowed(dtype, RandomFloats(random, kWidth))));
      std::memcpy(table.Touch(row), parts.back()->data(), row_bytes);
    }
    for (int64_t round = 1; round <= 12; ++round) {
      RowSum sum(dtype, kWidth);
      for (int64_t row = 0; row < kHeight; ++row) {
        if (round % (row + 1) != 0) continue;
        const Payload gradient = Narrowed(dtype, RandomFloats(random, kWidth));
        sum.Fold(&row, 1, gradient);
        auto part_sum = std::make_shared<Buffer>(kWidth * sizeof(float));
        Widen(dtype, part_sum->data(), Copied(gradient)->data(), kWidth);
        auto& part = parts[static_cast<size_t>(row)];
        const auto updated =
            updater.Update(kKey, dtype, *part, part_sum, &states[static_cast<size_t>(row)]);
        REQUIRE(updated.ok());
        part = *updated;
      }
      REQUIRE(UpdateRows(updater, kKey, dtype, table, sum, &table_state).ok());
      for (int64_t row = 0; row < kHeight; ++row) {
        CAPTURE(round, row);
        const auto& part = parts[static_cast<size_t>(row)];
        REQUIRE(std::memcmp(table.Find(row), part->data(), row_bytes) == 0);
      }
    }
  }
}

TEST_CASE("adam's correction counts the rounds of a table, not of a row", "[rows]") {
  PartUpdater updater;
  REQUIRE(updater.Set({"adam", {{"learning_rate", 1}, {"epsilon", 1e-30}}}).ok());
  RowTable table(2, sizeof(float));
  RowStatePtr state;
  const float one = 1;
  const Payload gradient = Payload::CopyOf({reinterpret_cast<const char*>(&one), sizeof(one)});
  const auto update = [&](int64_t row) {
    RowSum sum(DType::kFloat32, 1);
    sum.Fold(&row, 1, gradient);
    REQUIRE(UpdateRows(updater, kKey, DType::kFloat32, table, sum, &state).ok());
    float weight;
    std::memcpy(&weight, table.Find(row), sizeof(weight));
    return weight;
  };
  CHECK(update(0) == Approx(-1));
  // The first update of row 1 is the second of the table: means of (1 - beta), corrected for two.
  const double rate = std::sqrt(1 - 0.999 * 0.999) / (1 - 0.9 * 0.9);
  CHECK(update(1) == Approx(-rate * 0.1 / std::sqrt(0.001)).epsilon(1e-5));
}

}  // namespace kvstore
