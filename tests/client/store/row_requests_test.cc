// The cut of rows into requests, without any store.
#include "client/store/row_requests.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <utility>

#include "common/wire/frame.h"

namespace kvstore {
namespace {

int64_t IdAt(const Buffer& data, size_t i) {
  int64_t id = 0;
  std::memcpy(&id, data.data() + i * sizeof id, sizeof id);
  return id;
}

// The i-th id of a RowFragment or RowQuestion, whose list of ids `listed` begins with.
template <typename Entry>
int64_t IdOf(const RowShape& shape, const Entry& entry, const BufferPtr& listed, size_t i) {
  if (entry.rows_from == 0) return IdAt(*listed, i);
  return static_cast<int64_t>(entry.rows_from - 1 + i * shape.stripes);
}

// `count` ids below `rows`, some of them twice.
std::vector<int64_t> RandomIds(std::mt19937_64& random, size_t count, int64_t rows) {
  std::vector<int64_t> ids(count);
  for (int64_t& id : ids) id = static_cast<int64_t>(random() % static_cast<uint64_t>(rows));
  return ids;
}

}  // namespace

TEST_CASE("a contribution is cut by stripe into fragments that fit an entry", "[rows]") {
  const size_t width = GENERATE(size_t{1}, 64, 5000, kRowBytesMax);
  const size_t count = GENERATE(size_t{0}, 1, 61, 1000);
  CAPTURE(width, count);
  const RowShape shape = RowShapeOf({2000003, static_cast<int64_t>(width)}, DType::kInt8);
  REQUIRE(shape.stripes == kStripes);
  std::mt19937_64 random(1);
  const size_t some = width == kRowBytesMax ? std::min<size_t>(count, 61) : count;
  const std::vector<int64_t> ids = RandomIds(random, some, shape.rows);
  std::vector<uint8_t> data(some * width);
  for (size_t i = 0; i < some; ++i) {
    data[i * width] = data[(i + 1) * width - 1] = static_cast<uint8_t>(i);
  }
  std::vector<std::pair<int64_t, uint8_t>> got;
  PartIndex stripe = 0;
  uint32_t next = 0;
  for (const RowFragment& fragment :
       CutRows(shape, {ids.data(), some, data.data(), nullptr}, true)) {
    // Every stripe, each with all of its fragments in ascending order.
    REQUIRE(fragment.stripe == stripe);
    REQUIRE(fragment.fragment == next);
    if (++next == fragment.fragments) {
      next = 0;
      ++stripe;
    }
    if (fragment.rows == 0) {
      CHECK(fragment.fragments == 1);
      CHECK(fragment.data == nullptr);
      continue;
    }
    CHECK(fragment.data->size() == fragment.rows * (8 + width));
    CHECK(fragment.data->size() <= kPartBytesMax);
    for (uint32_t i = 0; i < fragment.rows; ++i) {
      const int64_t id = IdAt(*fragment.data, i);
      CHECK(shape.StripeOf(id) == fragment.stripe);
      const uint8_t* const row = fragment.data->data() + fragment.rows * 8 + i * width;
      CHECK(row[0] == row[width - 1]);
      got.emplace_back(id, row[0]);
    }
  }
  CHECK(stripe == kStripes);
  std::vector<std::pair<int64_t, uint8_t>> expected;
  for (size_t i = 0; i < some; ++i) expected.emplace_back(ids[i], static_cast<uint8_t>(i));
  std::sort(got.begin(), got.end());
  std::sort(expected.begin(), expected.end());
  CHECK(got == expected);
}

TEST_CASE("rows of one stripe keep their order across fragments", "[rows]") {
  // A row that comes twice is summed in the order of the list.
  const RowShape shape = RowShapeOf({1000, 300000}, DType::kInt8);
  const std::vector<int64_t> ids(10, 61);
  std::vector<uint8_t> data(10 * 300000);
  for (size_t i = 0; i < 10; ++i) data[i * 300000] = static_cast<uint8_t>(i);
  std::vector<uint8_t> order;
  for (const RowFragment& fragment : CutRows(shape, {ids.data(), 10, data.data(), nullptr}, true)) {
    for (uint32_t i = 0; i < fragment.rows; ++i) {
      order.push_back(fragment.data->data()[fragment.rows * 8 + i * 300000]);
    }
    if (fragment.rows > 0) CHECK(fragment.fragments == 4);
  }
  CHECK(order == std::vector<uint8_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("a pull asks each stripe for its rows, in pieces whose replies fit an entry", "[rows]") {
  const size_t width = GENERATE(size_t{1}, 64, 5000, kRowBytesMax);
  CAPTURE(width);
  const RowShape shape = RowShapeOf({10000019, static_cast<int64_t>(width)}, DType::kInt8);
  std::set<int64_t> some;
  std::mt19937_64 random(2);
  const size_t count = GENERATE(size_t{0}, 1, 5000, 400000);
  for (const int64_t id : RandomIds(random, count, shape.rows)) some.insert(id);
  const std::vector<int64_t> ids(some.begin(), some.end());
  std::vector<bool> asked(ids.size());
  bool right = true;
  for (const RowQuestion& question : CutIds(shape, ids)) {
    right &= question.rows > 0;
    right &= question.rows_from != 0 ||
             (question.ids->size() == question.rows * 8 && question.ids->size() <= kPartBytesMax);
    right &= question.rows * width <= kPartBytesMax;
    for (uint32_t i = 0; i < question.rows; ++i) {
      const size_t place = question.places.At(i);
      right &= IdOf(shape, question, question.ids, i) == ids[place] && !asked[place];
      right &= shape.StripeOf(ids[place]) == question.stripe;
      asked[place] = true;
    }
  }
  CHECK(right);
  CHECK(std::count(asked.begin(), asked.end(), true) == static_cast<std::ptrdiff_t>(ids.size()));
}

namespace {

// Lists of ascending ids, each once, from `first` on.
std::vector<int64_t> WithoutGap(int64_t first, size_t count) {
  std::vector<int64_t> ids(count);
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

std::vector<int64_t> WithOneGap(int64_t first, size_t count) {
  std::vector<int64_t> ids = WithoutGap(first, count);
  for (size_t i = count / 2; i < count; ++i) ++ids[i];
  return ids;
}

std::vector<int64_t> EveryThird(int64_t first, size_t count) {
  std::vector<int64_t> ids = WithoutGap(0, count);
  for (int64_t& id : ids) id = first + id * 3;
  return ids;
}

bool HasGap(const std::vector<int64_t>& ids) {
  for (size_t i = 1; i < ids.size(); ++i) {
    if (ids[i] != ids[i - 1] + 1) return true;
  }
  return false;
}

// The rows of 4 bytes that CutRows makes of a contribution, sorted.
std::vector<std::pair<int64_t, int32_t>> Cut(const RowShape& shape, const std::vector<int64_t>& ids,
                                             const std::vector<int32_t>& data, bool list_ids) {
  std::vector<std::pair<int64_t, int32_t>> cut;
  const Rows rows{ids.data(), ids.size(), reinterpret_cast<const uint8_t*>(data.data()), nullptr};
  for (const RowFragment& fragment : CutRows(shape, rows, list_ids)) {
    // A list without a gap is not sent, unless that is asked for.
    if (fragment.rows > 0) REQUIRE((fragment.rows_from == 0) == (list_ids || HasGap(ids)));
    const size_t ids_bytes = fragment.rows_from == 0 ? fragment.rows * sizeof(int64_t) : 0;
    for (uint32_t i = 0; i < fragment.rows; ++i) {
      int32_t row = 0;
      std::memcpy(&row, fragment.data->data() + ids_bytes + i * sizeof row, sizeof row);
      cut.emplace_back(IdOf(shape, fragment, fragment.data, i), row);
      REQUIRE(shape.StripeOf(cut.back().first) == fragment.stripe);
    }
  }
  std::sort(cut.begin(), cut.end());
  return cut;
}

}  // namespace

TEST_CASE("lists with and without gaps are cut alike, and what is asked for returns to its place",
          "[rows]") {
  // Rows of 4 bytes, each of which says which one it is. 2048 ids are cut at a time; a value of
  // 1000 rows has one stripe.
  const int64_t height = GENERATE(1000, 1000003);
  const RowShape shape = RowShapeOf({height, 1}, DType::kInt32);
  REQUIRE(shape.stripes == (height == 1000 ? 1 : kStripes));
  const auto list = GENERATE(WithoutGap, WithOneGap, EveryThird);
  const int64_t first = GENERATE(0, 7, 100);
  const size_t count = GENERATE(size_t{0}, 1, 2, 60, 62, 250, 2047, 2049, 300000);
  CAPTURE(height, first, count);
  if (height == 1000 && count > 250) return;
  const std::vector<int64_t> ids = list(first, count);
  const std::vector<int32_t> data(ids.begin(), ids.end());

  const std::vector<std::pair<int64_t, int32_t>> pushed = Cut(shape, ids, data, false);
  CHECK(Cut(shape, ids, data, true) == pushed);
  bool right = true;
  right &= pushed.size() == count;
  for (size_t i = 0; i < count; ++i) right &= pushed[i] == std::make_pair(ids[i], data[i]);
  CHECK(right);

  std::vector<int32_t> pulled(count, -1);
  for (const RowQuestion& question : CutIds(shape, ids)) {
    const auto reply = std::make_shared<Buffer>(question.rows * sizeof(int32_t));
    for (uint32_t i = 0; i < question.rows; ++i) {
      const auto row = static_cast<int32_t>(IdOf(shape, question, question.ids, i));
      std::memcpy(reply->data() + i * sizeof row, &row, sizeof row);
      right &= ids[question.places.At(i)] == row;
    }
    PutRows(Payload(reply), sizeof(int32_t), question.places,
            reinterpret_cast<uint8_t*>(pulled.data()));
  }
  CHECK(right);
  CHECK(pulled == data);
}

TEST_CASE("ids whose ends alone look as if there was no gap are no list without a gap", "[rows]") {
  const RowShape shape = RowShapeOf({1000003, 1}, DType::kInt32);
  const std::vector<int64_t> ids = {5, 9, 9, 1, 9};  // 9 - 5 is 4, and there are five of them
  const std::vector<int32_t> data = {1, 2, 3, 4, 5};
  CHECK(Cut(shape, ids, data, false) ==
        std::vector<std::pair<int64_t, int32_t>>{{1, 4}, {5, 1}, {9, 2}, {9, 3}, {9, 5}});
}

}  // namespace kvstore
