// UpdateRows against plain arithmetic on a map of rows, and what becomes of states.
#include "common/rows/row_updater.h"

#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "common/kernels/kernels.h"
#include "common/rows/row_norms.h"

namespace kvstore {
namespace {

using Rows = std::map<int64_t, std::vector<float>>;

constexpr int64_t kHeight = 1000;
constexpr size_t kWidth = 5;
constexpr size_t kRowBytes = kWidth * sizeof(float);
constexpr KeyId kKey = 17;

template <typename T>
void FoldRow(RowSum* sum, int64_t row, const std::vector<T>& value) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(value.data());
  sum->Fold(&row, 1, Payload(Slice{bytes, kRowBytes, nullptr}));
}

struct Table {
  RowTable rows{kHeight, kRowBytes};
  RowStatePtr state;

  void Update(const PartUpdater& updater, const Rows& gradient) {
    RowSum sum(DType::kFloat32, kWidth);
    for (const auto& [row, value] : gradient) FoldRow(&sum, row, value);
    const auto norms =
        MeasureWholeRows(updater, "", {kKey, DType::kFloat32, &rows, &sum, state.get()});
    REQUIRE(norms.ok());
    REQUIRE(UpdateRows(updater, kKey, DType::kFloat32, rows, sum, &state, {}, {}, *norms).ok());
  }
  std::vector<float> Row(int64_t row) const {
    std::vector<float> out(kWidth);
    const uint8_t* const bytes = rows.Find(row);
    if (bytes != nullptr) std::memcpy(out.data(), bytes, kRowBytes);
    return out;
  }
};

PartUpdater UpdaterOf(const std::string& name, const UpdaterParameters& parameters = {}) {
  PartUpdater updater;
  REQUIRE(updater.Set({name, parameters}).ok());
  return updater;
}

Rows RandomRows(std::mt19937_64& random, size_t count) {
  std::uniform_real_distribution<float> number(-1, 1);
  Rows rows;
  while (rows.size() < count) {
    std::vector<float>& value = rows[static_cast<int64_t>(random() % kHeight)];
    value.resize(kWidth);
    for (float& x : value) x = number(random);
  }
  return rows;
}

// Of a dense value of one part.
NormSums NormsOf(const PartUpdater& updater, const Buffer& value, const Buffer& sum,
                 const UpdaterState* state) {
  NormSums norms;
  for (size_t step = 0; step < updater.Measurings(""); ++step) {
    norms += *updater.Measure(step, kKey, DType::kFloat32, value, sum, state, {}, norms);
  }
  return norms;
}

bool Same(const RowTable& a, const RowTable& b) {
  std::vector<uint8_t> all(static_cast<size_t>(a.rows()) * a.row_bytes()), others(all.size());
  a.CopyTo(all.data());
  b.CopyTo(others.data());
  return all == others;
}
bool Same(const RowState& a, const RowState& b) {
  return a.updates == b.updates &&
         std::equal(a.tensors.begin(), a.tensors.end(), b.tensors.begin(), b.tensors.end(),
                    [](const RowTable& x, const RowTable& y) { return Same(x, y); });
}

std::vector<float> All(float value) { return std::vector<float>(kWidth, value); }

}  // namespace

TEST_CASE("without an optimizer the table becomes the sum, other rows become zero", "[rows]") {
  const PartUpdater updater;
  Table table;
  table.Update(updater, {{3, All(1)}, {999, All(2)}});
  CHECK(table.Row(3) == All(1));
  CHECK(table.Row(999) == All(2));
  table.Update(updater, {{4, All(5)}});
  CHECK(table.Row(3) == All(0));
  CHECK(table.Row(4) == All(5));
  CHECK(table.rows.KeptRows() == std::vector<int64_t>{4});
  table.Update(updater, {});
  CHECK(table.rows.KeptRows().empty());
  CHECK(table.state == nullptr);
}

TEST_CASE("sgd with momentum moves the rows that the sum has, and no others", "[rows]") {
  const PartUpdater updater =
      UpdaterOf("sgd", {{"learning_rate", 0.5}, {"momentum", 0.25}, {"wd", 0.125}});
  Table table;
  Rows weights, momenta;
  std::mt19937_64 random(5);
  for (int round = 0; round < 50; ++round) {
    const Rows gradient = RandomRows(random, round % 10 == 9 ? 0 : 1 + random() % 100);
    table.Update(updater, gradient);
    for (const auto& [row, value] : gradient) {
      std::vector<float>& w = weights[row];
      std::vector<float>& m = momenta[row];
      w.resize(kWidth);
      m.resize(kWidth);
      for (size_t i = 0; i < kWidth; ++i) {
        const float g = value[i] + 0.125f * w[i];
        m[i] = 0.25f * m[i] - 0.5f * g;
        w[i] = w[i] + m[i];
      }
    }
    for (const auto& [row, w] : weights) {
      REQUIRE(std::memcmp(table.Row(row).data(), w.data(), kRowBytes) == 0);
    }
  }
  CHECK(BytesOf(*table.state) == table.rows.bytes());
}

TEST_CASE("an update that is not lazy gives the table the bits of a dense value", "[rows]") {
  const auto name = GENERATE(as<std::string>(), "sgd", "adam", "lars", "lamb", "lans");
  const bool descends = name == "sgd" || name == "lars";
  const double momentum = descends ? GENERATE(0.0, 0.75) : 0.0;
  const double mxnet1 = GENERATE(0.0, 1.0);
  UpdaterParameters parameters{{"learning_rate", 0.5}, {"wd", 0.125}};
  parameters["mxnet1"] = mxnet1;
  if (name != "lamb" && name != "lans") parameters["lazy_update"] = 0;
  if (descends) parameters["momentum"] = momentum;
  CAPTURE(name, momentum, mxnet1);
  const PartUpdater updater = UpdaterOf(name, parameters);
  Table table;
  auto value = std::make_shared<Buffer>(kHeight * kRowBytes);
  std::memset(value->data(), 0, value->size());
  std::unique_ptr<UpdaterState> state;
  std::mt19937_64 random(7);
  for (int round = 0; round < 20; ++round) {
    // Few rows, so that some pages are never touched.
    const Rows gradient = RandomRows(random, round % 5 == 4 ? 0 : 1 + random() % 3);
    table.Update(updater, gradient);
    auto sum = std::make_shared<Buffer>(kHeight * kRowBytes);
    std::memset(sum->data(), 0, sum->size());
    for (const auto& [row, g] : gradient) {
      std::memcpy(sum->data() + static_cast<size_t>(row) * kRowBytes, g.data(), kRowBytes);
    }
    auto updated = updater.Update(kKey, DType::kFloat32, *value, sum, &state, 0, {},
                                  NormsOf(updater, *value, *sum, state.get()));
    REQUIRE(updated.ok());
    value = *updated;
    std::vector<uint8_t> all(kHeight * kRowBytes);
    table.rows.CopyTo(all.data());
    REQUIRE(std::memcmp(all.data(), value->data(), all.size()) == 0);
  }
  CHECK(table.rows.bytes() < kHeight * kRowBytes);
}

TEST_CASE("every updater gives a row the bits that it gives a dense part", "[rows]") {
  for (const std::string& name : UpdaterNames()) {
    if (name == "groupadagrad") continue;  // updates no dense part
    CAPTURE(name);
    const PartUpdater updater = UpdaterOf(name);
    std::mt19937_64 random(9);
    Table table;
    // A part of all rows, each of which has a sum in every round.
    auto zeros = std::make_shared<Buffer>(kHeight * kRowBytes);
    std::memset(zeros->data(), 0, zeros->size());
    BufferPtr value = zeros;
    std::unique_ptr<UpdaterState> state;
    for (int round = 0; round < 3; ++round) {
      const Rows gradient = RandomRows(random, kHeight);
      auto sum = std::make_shared<Buffer>(value->size());
      for (const auto& [row, x] : gradient) {
        std::memcpy(sum->data() + static_cast<size_t>(row) * kRowBytes, x.data(), kRowBytes);
      }
      table.Update(updater, gradient);
      const auto updated = updater.Update(kKey, DType::kFloat32, *value, sum, &state, 0, {},
                                          NormsOf(updater, *value, *sum, state.get()));
      REQUIRE(updated.ok());
      value = *updated;
    }
    for (int64_t row = 0; row < kHeight; ++row) {
      const uint8_t* const dense = value->data() + static_cast<size_t>(row) * kRowBytes;
      REQUIRE(std::memcmp(table.Row(row).data(), dense, kRowBytes) == 0);
    }
  }
}

TEST_CASE("rows of every width and nearness have the bits that each row by itself has", "[rows]") {
  // Wide rows and long stretches are updated in place, others gathered: 256 elements are the
  // border.
  const size_t width = GENERATE(size_t{1}, 2, 3, 64, 255, 256, 257);
  const auto dtype = GENERATE(DType::kFloat32, DType::kFloat16);
  const bool strewn = GENERATE(false, true);
  CAPTURE(width, DTypeName(dtype), strewn);
  const PartUpdater updater = UpdaterOf("adam", {{"multi_precision", 1}});
  constexpr int64_t kRows = 5000;
  std::mt19937_64 random(13);
  RowTable table(kRows, width * DTypeBytes(dtype)), expected(kRows, width * DTypeBytes(dtype));
  RowStatePtr state, expected_state;
  for (int round = 0; round < 3; ++round) {
    std::vector<int64_t> rows;
    for (int64_t row = 0; row < kRows; ++row) {
      const bool in = strewn ? random() % 7 == 0 : row / 700 % 2 == 0 || random() % 5 == 0;
      if (in && (width < 64 || row % 1000 < 40)) rows.push_back(row);
    }
    std::vector<uint8_t> bytes(rows.size() * width * DTypeBytes(dtype));
    std::vector<float> numbers(rows.size() * width);
    std::uniform_real_distribution<float> number(-1, 1);
    for (float& x : numbers) x = number(random);
    Narrow(dtype, bytes.data(), numbers.data(), numbers.size());
    const auto fold = [&](RowSum* sum, size_t begin, size_t count) {
      const size_t row_bytes = width * DTypeBytes(dtype);
      sum->Fold(&rows[begin], count,
                Payload(Slice{&bytes[begin * row_bytes], count * row_bytes, nullptr}));
    };
    RowSum sum(dtype, width);
    fold(&sum, 0, rows.size());
    REQUIRE(UpdateRows(updater, kKey, dtype, table, sum, &state).ok());
    const uint64_t updates = expected_state == nullptr ? 0 : expected_state->updates;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (expected_state != nullptr) expected_state->updates = updates;  // one round
      RowSum one(dtype, width);
      fold(&one, i, 1);
      REQUIRE(UpdateRows(updater, kKey, dtype, expected, one, &expected_state).ok());
    }
  }
  CHECK(Same(table, expected));
  CHECK(Same(*state, *expected_state));
}

TEST_CASE("rows that several threads update, a sum that is lent too, have the bits of one thread's",
          "[rows]") {
  const size_t width = GENERATE(size_t{1}, 64, 300);
  const bool lent = GENERATE(false, true);
  const bool lazy = GENERATE(false, true);
  const bool last_alone = GENERATE(false, true);  // of few blocks, too, any thread may do any
  CAPTURE(width, lent, lazy, last_alone);
  const PartUpdater updater =
      UpdaterOf("sgd", {{"momentum", 0.5}, {"wd", 0.25}, {"lazy_update", lazy ? 1 : 0}});
  const auto height = static_cast<int64_t>((1 << 20) / width);  // 4 MiB of values
  const size_t row_bytes = width * sizeof(float);
  RowTable table(height, row_bytes), expected(height, row_bytes);
  RowStatePtr state, expected_state;
  std::mt19937_64 random(17);
  std::uniform_real_distribution<float> number(-1, 1);
  size_t blocks_in_all = 0;
  const auto run = [&](size_t blocks, BlockRunner::Work work) {
    blocks_in_all += blocks;
    std::atomic<size_t> next{0};
    std::vector<std::thread> threads;
    for (size_t seat = last_alone ? 2 : 0; seat < 3; ++seat) {
      threads.emplace_back([&, seat] {
        for (size_t block = next++; block < blocks; block = next++) work(block, seat);
      });
    }
    for (std::thread& thread : threads) thread.join();
  };
  for (int round = 0; round < 3; ++round) {
    std::vector<int64_t> rows;
    for (int64_t row = 0; row < height; ++row) {
      if (row % 1000 < 500 || random() % 3 == 0) rows.push_back(row);
    }
    std::vector<float> numbers(rows.size() * width);
    for (float& x : numbers) x = number(random);
    const std::vector<float> before = numbers;
    const auto* const bytes = reinterpret_cast<const uint8_t*>(numbers.data());
    RowSum one(DType::kFloat32, width);
    one.Fold(rows.data(), rows.size(), Payload(Slice{bytes, numbers.size() * 4, nullptr}));
    RowSum sum = lent ? RowSum::Lent(DType::kFloat32, width, rows.data(), rows.size(), bytes) : one;
    REQUIRE(
        UpdateRows(updater, kKey, DType::kFloat32, table, sum, &state, {}, {}, {}, {3, run}).ok());
    REQUIRE(UpdateRows(updater, kKey, DType::kFloat32, expected, one, &expected_state).ok());
    CHECK(numbers == before);
    REQUIRE(Same(table, expected));
  }
  CHECK(blocks_in_all > 20);
  CHECK(Same(*state, *expected_state));
}

TEST_CASE("without an optimizer a table keeps no pages of rows that are zero", "[rows]") {
  const PartUpdater updater;
  Table table;
  Rows all;
  for (int64_t row = 0; row < kHeight; ++row) all[row] = All(1);
  table.Update(updater, all);
  const uint64_t full = table.rows.bytes();
  table.Update(updater, {{3, All(1)}});
  CHECK(table.rows.bytes() < full / 10);
  table.Update(updater, {});
  CHECK(table.rows.bytes() == 0);
}

TEST_CASE("another updater keeps the state that fits it, else begins with zeros", "[rows]") {
  Table table;
  table.Update(UpdaterOf("sgd", {{"learning_rate", 1}, {"momentum", 0.5}}), {{1, All(1)}});
  CHECK(table.Row(1) == All(-1));
  // The momentum of -1 is kept: -0.5 * 1 - 0.5 * 1 more.
  table.Update(UpdaterOf("sgd", {{"learning_rate", 0.5}, {"momentum", 0.5}}), {{1, All(1)}});
  CHECK(table.Row(1) == All(-2));
  table.Update(UpdaterOf("sgd", {{"learning_rate", 1}}), {{1, All(1)}});
  CHECK(table.state == nullptr);
  table.Update(UpdaterOf("sgd", {{"learning_rate", 1}, {"momentum", 0.5}}), {{1, All(0)}});
  CHECK(table.Row(1) == All(-3));
}

TEST_CASE("a dtype in which the updater does not compute is refused, and nothing changes",
          "[rows]") {
  const PartUpdater updater = UpdaterOf("sgd", {{"momentum", 0.5}});
  RowTable table(kHeight, kRowBytes);
  table.Touch(2)[0] = 1;
  RowSum sum(DType::kInt32, kWidth);
  FoldRow(&sum, 2, std::vector<int32_t>(kWidth, 1));
  RowStatePtr state;
  CHECK_FALSE(UpdateRows(updater, kKey, DType::kInt32, table, sum, &state).ok());
  CHECK(state == nullptr);
  CHECK(table.Find(2)[0] == 1);
}

}  // namespace kvstore
