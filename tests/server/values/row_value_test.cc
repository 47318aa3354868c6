// Stripes of row-sparse values, against a model of rows in a map.
#include "server/values/row_value.h"

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "common/rows/row_cut.h"
#include "server/values/tensor_values.h"

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

constexpr size_t kWidth = 3;
using Row = std::array<float, kWidth>;
using Rows = std::vector<std::pair<int64_t, Row>>;

KeySpec Key(int64_t rows) {
  KeySpec key;
  key.key = 17;
  key.name = "embedding";
  key.dtype = DType::kFloat32;
  key.shape = {rows, kWidth};
  key.storage = Storage::kRowSparse;
  return key;
}

// Ids, then rows; cut into slices of `slice_bytes`.
Piece PieceOf(const Rows& rows, size_t slice_bytes = 1 << 20) {
  std::string bytes;
  for (const auto& [id, row] : rows) bytes.append(reinterpret_cast<const char*>(&id), sizeof id);
  for (const auto& [id, row] : rows) {
    bytes.append(reinterpret_cast<const char*>(row.data()), sizeof row);
  }
  Piece piece;
  piece.rows = static_cast<uint32_t>(rows.size());
  for (size_t at = 0; at < bytes.size(); at += slice_bytes) {
    piece.data.Append(Payload::CopyOf(bytes.substr(at, slice_bytes)));
  }
  return piece;
}

Piece IdsOf(const std::vector<int64_t>& ids) {
  return {
      static_cast<uint32_t>(ids.size()),
      Payload::CopyOf({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int64_t)})};
}

std::vector<Row> RowsIn(const Payload& payload) {
  std::vector<Row> rows(payload.size() / sizeof(Row));
  payload.CopyTo(rows.data());
  return rows;
}

// One stripe and what happens to it.
struct Stripe {
  Stripe(TensorValues& values, KeySpec spec, PartIndex part, const Rows& init = {})
      : key(std::move(spec)), value(values.Make(key, {17, part})) {
    value->Fill(PieceOf(init));
  }
  absl::Status Update(const std::vector<Piece>& pieces) {
    for (const Piece& piece : pieces) {
      REQUIRE(value->Check(Op::kPush, piece).ok());
      value->Fold(0, piece);
    }
    return value->Update(0, {});
  }
  std::vector<Row> Read(const std::vector<int64_t>& ids) {
    REQUIRE(value->Check(Op::kPull, IdsOf(ids)).ok());
    return RowsIn(value->Read(IdsOf(ids)));
  }

  KeySpec key;
  std::unique_ptr<PartValue> value;
};

TEST_CASE("rounds of rows are the model's, row by row, bit by bit", "[engine][rows]") {
  const uint64_t seed = GENERATE(take(20, random<uint64_t>(1, 1u << 30)));
  const int64_t height = GENERATE(1, 200, 1000003);
  CAPTURE(seed, height);
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const RowShape cut = RowShapeOf({height, kWidth}, DType::kFloat32);
  const auto part = static_cast<PartIndex>(random() % cut.stripes);
  const auto any_row = [&] {
    // Few of them, so that rows meet, at both ends of the table.
    const auto in_stripe = static_cast<uint64_t>(cut.RowsIn(part));
    const uint64_t local = random() % std::min<uint64_t>(in_stripe, 20);
    const uint64_t from_end = in_stripe - 1 - local;
    return static_cast<int64_t>(random() % 2 == 0 ? local : from_end) * cut.stripes + part;
  };
  const auto any_rows = [&](size_t most) {
    Rows rows(random() % (most + 1));
    for (auto& [id, row] : rows) {
      id = any_row();
      for (float& x : row) x = uniform(random);
    }
    return rows;
  };

  TensorValues values;
  REQUIRE(values.SetOptimizer({"sum", {}}).ok());
  std::map<int64_t, Row> model;
  const Rows init = any_rows(10);
  for (const auto& [id, row] : init) model[id] = row;
  Stripe stripe(values, Key(height), part, init);
  for (int round = 0; round < 10; ++round) {
    std::vector<Piece> pieces;
    std::map<int64_t, Row> sums;
    for (size_t i = 0; i < 1 + random() % 4; ++i) {
      const Rows rows = any_rows(12);  // none is a contribution, too
      for (const auto& [id, row] : rows) {
        const auto [it, first] = sums.try_emplace(id, row);
        if (first) continue;
        for (size_t k = 0; k < kWidth; ++k) it->second[k] += row[k];
      }
      pieces.push_back(PieceOf(rows, 1 + random() % 40));
    }
    for (const auto& [id, sum] : sums) {
      Row& row = model[id];
      for (size_t k = 0; k < kWidth; ++k) row[k] += sum[k];
    }
    REQUIRE(stripe.Update(pieces).ok());
    std::vector<int64_t> asked(random() % 30);  // in any order, some twice
    for (int64_t& id : asked) id = any_row();
    const std::vector<Row> rows = stripe.Read(asked);
    REQUIRE(rows.size() == asked.size());
    for (size_t i = 0; i < asked.size(); ++i) {
      const auto known = model.find(asked[i]);
      const Row expected = known == model.end() ? Row{} : known->second;
      CAPTURE(asked[i]);
      REQUIRE(std::memcmp(rows[i].data(), expected.data(), sizeof expected) == 0);
    }
  }
}

TEST_CASE("an operator reads the rows of a stripe that are not zero, some at a time",
          "[engine][rows]") {
  TensorValues values;
  // So many rows that there are stripes: row 7 + 61 n is row n of stripe 7.
  Stripe stripe(values, Key(1000000), 7,
                {{7, {1, 1, 1}}, {68, {0, 0, 0}}, {129, {2, 2, 2}}, {999980, {3, 3, 3}}});
  const auto read = [&](int64_t begin, int64_t end, size_t bytes_max) {
    return stripe.value->ReadRows(begin, end, bytes_max);
  };
  const ValueRows all = read(0, 1000000, 1 << 20);
  CHECK(all.rows == std::vector<int64_t>{7, 129, 999980});
  CHECK(RowsIn(all.data) == std::vector<Row>{{1, 1, 1}, {2, 2, 2}, {3, 3, 3}});
  CHECK_FALSE(all.more);
  CHECK(read(7, 130, 1 << 20).rows == std::vector<int64_t>{7, 129});
  CHECK(read(8, 129, 1 << 20).rows.empty());
  CHECK(read(0, 7, 1 << 20).rows.empty());
  CHECK(read(999981, 1000000, 1 << 20).rows.empty());
  const ValueRows two = read(0, 1000000, 2 * (sizeof(Row) + sizeof(int64_t)));
  CHECK(two.rows == std::vector<int64_t>{7, 129});
  CHECK(two.more);
  CHECK(two.next == 999980);
  CHECK(read(two.next, 1000000, 1).rows == std::vector<int64_t>{999980});  // one at least
}

TEST_CASE("without an optimizer the sum becomes the value: other rows are zero", "[engine][rows]") {
  TensorValues values;
  Stripe stripe(values, Key(10), 0, {{1, {1, 1, 1}}, {2, {2, 2, 2}}});
  REQUIRE(stripe.Update({PieceOf({{2, {5, 6, 7}}}), PieceOf({{2, {1, 1, 1}}})}).ok());
  CHECK(stripe.Read({2, 1}) == std::vector<Row>{{6, 7, 8}, {0, 0, 0}});
}

TEST_CASE("an update touches the rows that the sum has, and their states", "[engine][rows]") {
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sgd", {{"learning_rate", 1}, {"momentum", 0.5}}}).ok());
  Stripe stripe(values, Key(10), 0);
  REQUIRE(stripe.Update({PieceOf({{1, {1, 1, 1}}})}).ok());
  REQUIRE(stripe.Update({PieceOf({{2, {1, 1, 1}}})}).ok());  // row 1 does not coast
  CHECK(stripe.Read({1}) == std::vector<Row>{{-1, -1, -1}});
  REQUIRE(stripe.Update({PieceOf({{1, {1, 1, 1}}})}).ok());
  CHECK(stripe.Read({1, 2, 3}) == std::vector<Row>{{-2.5, -2.5, -2.5}, {-1, -1, -1}, {0, 0, 0}});
}

TEST_CASE("a row_sparse key has its own factors", "[engine][rows]") {
  TensorValues values;
  OptimizerConfig spec{"sgd", {{"learning_rate", 1}}};
  const KeySpec key = Key(10);
  spec.multipliers[key.key] = {0.5, 1};
  REQUIRE(values.SetOptimizer(spec).ok());
  Stripe stripe(values, key, 0);
  REQUIRE(stripe.Update({PieceOf({{1, {1, 1, 1}}})}).ok());
  CHECK(stripe.Read({1}) == std::vector<Row>{{-0.5, -0.5, -0.5}});
}

TEST_CASE("what was pulled does not change with later updates", "[engine][rows]") {
  TensorValues values;
  Stripe stripe(values, Key(10), 0, {{1, {1, 2, 3}}});
  const Payload pulled = stripe.value->Read(IdsOf({1}));
  REQUIRE(stripe.Update({PieceOf({{1, {5, 5, 5}}})}).ok());
  CHECK(RowsIn(pulled) == std::vector<Row>{{1, 2, 3}});
}

TEST_CASE("rows that cannot be are refused and named", "[engine][rows]") {
  TensorValues values;
  const KeySpec key = Key(1000000);  // 61 stripes
  const auto check = [&](Op op, const Piece& piece) {
    return values.Make(key, {17, 5})->Check(op, piece);
  };
  CHECK(check(Op::kPush, PieceOf({{5, {}}, {66, {}}})).ok());
  CHECK(check(Op::kPush, Piece()).ok());
  const int64_t outside = GENERATE(int64_t{-1}, -56, 1000000, INT64_MAX, INT64_MIN);
  const absl::Status range = check(Op::kPull, IdsOf({5, outside}));
  CHECK(range.code() == absl::StatusCode::kOutOfRange);
  CHECK(range.message() ==
        "key 'embedding' part 5: rows 0 to 999999 expected, got " + std::to_string(outside));
  const absl::Status stripe = check(Op::kInit, PieceOf({{6, {}}}));
  CHECK(stripe.code() == absl::StatusCode::kInvalidArgument);
  CHECK(stripe.message() ==
        "key 'embedding' part 5: rows of stripe 5 of 61 expected, got row 6 of stripe 6");
  Piece shorter = PieceOf({{5, {}}, {66, {}}});
  shorter.rows = 1;
  const absl::Status bytes = check(Op::kPush, shorter);
  CHECK(bytes.code() == absl::StatusCode::kInvalidArgument);
  CHECK(bytes.message() ==
        "key 'embedding' part 5: 20 bytes expected for 1 rows of 12 bytes, got 40");
  const absl::Status wide = check(Op::kPull, IdsOf(std::vector<int64_t>(87382, 5)));
  CHECK(wide.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(wide.message()), Contains("at most 1048576 bytes of rows expected"));
}

namespace {

// The same rows as PieceOf makes, which have no gap in their stripe, without their ids.
Piece WithoutIds(const Rows& rows, size_t slice_bytes = 1 << 20) {
  Piece piece = PieceOf(rows, slice_bytes);
  piece.rows_from = static_cast<uint64_t>(rows[0].first) + 1;
  const size_t ids_bytes = rows.size() * sizeof(int64_t);
  piece.data = piece.data.Sub(ids_bytes, piece.data.size() - ids_bytes);
  return piece;
}

}  // namespace

TEST_CASE("rows without a gap need no ids", "[engine][rows]") {
  const int64_t height = GENERATE(40, 1000003);  // 1 stripe, 61 stripes
  const RowShape cut = RowShapeOf({height, kWidth}, DType::kFloat32);
  const PartIndex part = cut.stripes == 1 ? 0 : 7;
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sum", {}}).ok());
  Rows init, push, expected;
  for (int64_t local = 3; local < 33; ++local) {
    const int64_t id = local * static_cast<int64_t>(cut.stripes) + static_cast<int64_t>(part);
    const auto x = static_cast<float>(local);
    init.push_back({id, {x, 0, 1}});
    push.push_back({id, {1, x, 2}});
    expected.push_back({id, {x + 1, x, 3}});
  }
  Stripe stripe(values, Key(height), part);
  REQUIRE(stripe.value->Check(Op::kInit, WithoutIds(init)).ok());
  stripe.value->Fill(WithoutIds(init, 5));
  REQUIRE(stripe.Update({WithoutIds(push, 7)}).ok());
  Piece asked;
  asked.rows = 30;
  asked.rows_from = static_cast<uint64_t>(init[0].first) + 1;
  REQUIRE(stripe.value->Check(Op::kPull, asked).ok());
  const std::vector<Row> rows = RowsIn(stripe.value->Read(asked));
  REQUIRE(rows.size() == 30);
  std::vector<int64_t> ids;
  for (size_t i = 0; i < 30; ++i) {
    CHECK(rows[i] == expected[i].second);
    ids.push_back(expected[i].first);
  }
  CHECK(stripe.Read(ids) == rows);
  push[1].second[2] = NAN;
  CHECK_THAT(stripe.value->NotFinite(WithoutIds(push)),
             Contains("row " + std::to_string(ids[1]) + " element 2 is nan"));
}

TEST_CASE("rows from where none are, or too many, or of another stripe are refused and named",
          "[engine][rows]") {
  TensorValues values;
  const KeySpec key = Key(1000000);  // 61 stripes; the last row of stripe 5 is 999978
  const auto value = values.Make(key, {17, 5});
  const auto check = [&](uint64_t rows_from, uint32_t rows, size_t bytes = 0) {
    Piece piece;
    piece.rows_from = rows_from;
    piece.rows = rows;
    if (bytes > 0) piece.data = Payload::CopyOf(std::string(bytes, 'x'));
    return value->Check(bytes > 0 ? Op::kPush : Op::kPull, piece);
  };
  CHECK(check(6, 16394).ok());
  CHECK(check(999979, 1).ok());
  CHECK(check(6, 2, 24).ok());
  CHECK(check(6, 16395).message() ==
        "key 'embedding' part 5: rows 0 to 999999 expected, got 1000039");
  CHECK(check(999979, 2).code() == absl::StatusCode::kOutOfRange);
  CHECK(check(7, 1).message() ==
        "key 'embedding' part 5: rows of stripe 5 of 61 expected, got row 6 of stripe 6");
  for (const uint64_t from : {uint64_t{1000001}, uint64_t{1} << 63, UINT64_MAX}) {
    CAPTURE(from);
    CHECK(check(from, 3).code() == absl::StatusCode::kOutOfRange);
  }
  CHECK(check(6, 2, 40).message() ==
        "key 'embedding' part 5: 24 bytes expected for 2 rows of 12 bytes, got 40");
  CHECK(check(6, 87382).message().find("at most 1048576 bytes of rows") != std::string::npos);
}

TEST_CASE("a stripe is charged with the pages of the rows that exist, and of their states",
          "[engine][rows]") {
  TensorValues values;
  const KeySpec key = Key(1000000);  // of 16394 rows of 12 bytes, 64 to a page
  constexpr uint64_t kPage = 64 * 12;
  Stripe stripe(values, key, 0, {{0, {1, 1, 1}}, {61, {1, 1, 1}}, {64 * 61, {1, 1, 1}}});
  PartValue& value = *stripe.value;
  CHECK(value.Bytes() == 2 * kPage);
  CHECK(value.Bytes() == value.HeldBytes());
  const Piece push = PieceOf({{0, {}}, {65 * 61, {}}, {128 * 61, {}}, {200 * 61, {}}});
  CHECK(value.PagesMissing(push, std::nullopt) == 2);
  CHECK(value.BytesWith(2) == 4 * kPage);
  CHECK(value.BytesWith(1000000) == 257 * kPage);  // never more than all
  REQUIRE(values.SetOptimizer({"sgd", {{"learning_rate", 1}, {"momentum", 0.5}}}).ok());
  CHECK(value.Bytes() == 2 * 2 * kPage);
  REQUIRE(stripe.Update({push}).ok());
  CHECK(value.Bytes() == 2 * 4 * kPage);
  CHECK(value.HeldBytes() == value.Bytes());
}

TEST_CASE("a state whose pages hold more rows, or fewer, is charged with the pages that it needs",
          "[engine][rows]") {
  TensorValues values;
  KeySpec key = Key(1000);
  key.shape = {1000, 64};  // one stripe, f32: 4 rows to a page
  // One f32 for each row: 256 rows to a page.
  REQUIRE(values.SetOptimizer({"groupadagrad", {{"learning_rate", 1}}}).ok());
  CHECK(values.Make(key, {17, 0})->BytesWith(2) == 2 * 1024 + 2 * 1024);
  CHECK(values.Make(key, {17, 0})->BytesWith(250) == 250 * 1024 + 4 * 1024);
  key.dtype = DType::kFloat16;  // 8 rows to a page; states in f32: 4
  REQUIRE(values.SetOptimizer({"adam", {{"learning_rate", 1}, {"multi_precision", 1}}}).ok());
  CHECK(values.Make(key, {17, 0})->BytesWith(3) == 3 * 1024 + 3 * (3 * 2 * 1024));
}

KeySpec ByRule(int64_t rows, uint64_t rows_max = 0) {
  KeySpec key = Key(rows);
  key.rule = {InitRuleKind::kConstant, 4, 0, 0, rows_max};
  return key;
}

TEST_CASE("rows by rule are there for pulls, and take memory once they are pushed to",
          "[engine][rows]") {
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sum", {}}).ok());
  Stripe stripe(values, ByRule(int64_t{1} << 40), 5);
  const int64_t last = (int64_t{1} << 40) - 1 - ((int64_t{1} << 40) - 1 - 5) % 61;
  CHECK(stripe.Read({5, last}) == std::vector<Row>{{4, 4, 4}, {4, 4, 4}});
  CHECK(stripe.value->HeldBytes() == 0);
  REQUIRE(stripe.Update({PieceOf({{last, {1, 2, 3}}})}).ok());
  CHECK(stripe.Read({5, last}) == std::vector<Row>{{4, 4, 4}, {5, 6, 7}});
  CHECK(stripe.value->HeldBytes() == 12);
  // Saved are the rows that exist, also one that is zero by now.
  REQUIRE(stripe.Update({PieceOf({{last, {-5, -6, -7}}})}).ok());
  Stripe other(values, ByRule(int64_t{1} << 40), 5);
  REQUIRE(other.value->Load(stripe.value->Save()).ok());
  CHECK(other.Read({5, last}) == std::vector<Row>{{4, 4, 4}, {0, 0, 0}});
  CHECK(other.value->HeldBytes() == 12);
}

TEST_CASE("without an optimizer the rows that a sum has not are as the rule says again",
          "[engine][rows]") {
  TensorValues values;
  Stripe stripe(values, ByRule(10), 0);
  REQUIRE(stripe.Update({PieceOf({{1, {1, 1, 1}}, {7, {7, 7, 7}}})}).ok());
  REQUIRE(stripe.Update({PieceOf({{7, {8, 8, 8}}}), PieceOf({{2, {2, 2, 2}}})}).ok());
  CHECK(stripe.Read({1, 2, 7}) == std::vector<Row>{{4, 4, 4}, {2, 2, 2}, {8, 8, 8}});
  CHECK(stripe.value->HeldBytes() == 24);
}

TEST_CASE("rows by rule are updated lazily or not at all", "[engine][rows]") {
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sgd", {{"learning_rate", 1}, {"lazy_update", 0}}}).ok());
  Stripe stripe(values, ByRule(10), 0);
  CHECK(stripe.Update({PieceOf({{1, {1, 1, 1}}})}) ==
        absl::InvalidArgumentError("key 'embedding' part 0: lazy_update = 1 expected for a key "
                                   "whose rows come to be by rule, got 0"));
  CHECK(stripe.Read({1}) == std::vector<Row>{{4, 4, 4}});
}

TEST_CASE("each stripe of several is measured, and updated with the norms of all",
          "[engine][norms]") {
  TensorValues values;
  REQUIRE(values.SetOptimizer({"lars", {{"learning_rate", 1}, {"eta", 1}, {"epsilon", 0}}}).ok());
  const KeySpec key = Key(1000003);
  Stripe zero(values, key, 0, {{61, {3, 0, 0}}});
  Stripe one(values, key, 1, {{1, {0, 4, 0}}});
  REQUIRE(zero.value->parts() == 61);
  REQUIRE(zero.value->Measurings() == 1);
  zero.value->Fold(0, PieceOf({{122, {0, 0, 2}}}));
  one.value->Fold(0, PieceOf({}));
  NormSums norms = *zero.value->Measure(0, 0, {}, {});
  norms += *one.value->Measure(0, 0, {}, {});
  REQUIRE(zero.value->Update(0, {}, norms).ok());
  REQUIRE(one.value->Update(0, {}, norms).ok());
  // The gradient's norm is 2, the weight's 5, 4 of which is in the other stripe.
  CHECK(zero.Read({61, 122}) == std::vector<Row>{{3, 0, 0}, {0, 0, -5}});
  CHECK(one.Read({1}) == std::vector<Row>{{0, 4, 0}});

  Stripe whole(values, Key(10), 0, {{1, {3, 0, 0}}, {2, {0, 4, 0}}});
  CHECK(whole.value->Measurings() == 0);  // it does so itself
  REQUIRE(whole.Update({PieceOf({{7, {0, 0, 2}}})}).ok());
  CHECK(whole.Read({1, 7}) == std::vector<Row>{{3, 0, 0}, {0, 0, -5}});
}

TEST_CASE("rows by rule that are not zeros have no norm, and their update fails",
          "[engine][norms]") {
  TensorValues values;
  REQUIRE(values.SetOptimizer({"lars", {}}).ok());
  const std::string why =
      "optimizer 'lars': a key whose rows are zeros until they are written expected, as its norm "
      "is that of all rows, got one by the rule constant 4";
  Stripe whole(values, ByRule(10), 0);
  CHECK(whole.Update({PieceOf({{1, {1, 1, 1}}})}) ==
        absl::InvalidArgumentError("key 'embedding' part 0: " + why));
  CHECK(whole.Read({1}) == std::vector<Row>{{4, 4, 4}});
  Stripe stripe(values, ByRule(1000003), 5);
  stripe.value->Fold(0, PieceOf({{5, {1, 1, 1}}}));
  CHECK(stripe.value->Measure(0, 0, {}, {}).status() ==
        absl::InvalidArgumentError("key 'embedding' part 5: " + why));
}

TEST_CASE("a stripe may have its share of rows_max", "[engine][rows]") {
  TensorValues values;
  const KeySpec key = ByRule(1000000, 100);  // 61 stripes: 2 each
  Stripe stripe(values, key, 5);
  CHECK(stripe.value->CheckPages(2).ok());
  REQUIRE(stripe.Update({PieceOf({{5, {1, 1, 1}}})}).ok());
  CHECK(stripe.value->CheckPages(1).ok());
  CHECK(stripe.value->CheckPages(2) ==
        absl::ResourceExhaustedError("key 'embedding' part 5: at most 2 rows written expected "
                                     "(rows_max 100 in 61 stripes), 1 are, or are under way, and "
                                     "this is more"));
  Stripe whole(values, ByRule(1000, 100), 0);  // one stripe
  CHECK(whole.value->CheckPages(100).ok());
  CHECK_FALSE(whole.value->CheckPages(101).ok());
}

TEST_CASE("an Init by rule brings no rows", "[engine][rows]") {
  TensorValues values;
  const KeySpec key = ByRule(10);
  CHECK(values.Make(key, {17, 0})->Check(Op::kInit, Piece()).ok());
  CHECK(values.Make(key, {17, 0})->Check(Op::kInit, PieceOf({{1, {}}})) ==
        absl::InvalidArgumentError(
            "key 'embedding' part 0: no rows expected of a value by rule, got 1"));
}

TEST_CASE("a shard has dense and row_sparse keys side by side, with one optimizer",
          "[engine][rows]") {
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sum", {}}).ok());
  KeySpec dense = Key(1);
  dense.storage = Storage::kDense;
  const Row ones{1, 1, 1};
  const Piece whole{0, Payload::CopyOf({reinterpret_cast<const char*>(ones.data()), sizeof ones})};
  const std::unique_ptr<PartValue> value = values.Make(dense, {18, 0});
  value->Fill(whole);
  value->Fold(0, whole);
  REQUIRE(value->Update(0, {}).ok());
  CHECK(RowsIn(value->Read({})) == std::vector<Row>{{2, 2, 2}});

  Stripe stripe(values, Key(10), 0, {{1, ones}});
  REQUIRE(stripe.Update({PieceOf({{1, ones}})}).ok());
  CHECK(stripe.Read({1}) == std::vector<Row>{{2, 2, 2}});
  CHECK_FALSE(value->Check(Op::kPull, IdsOf({1})).ok());
}

TEST_CASE("an updater that cannot compute in the dtype fails the round and changes nothing",
          "[engine][rows]") {
  TensorValues values;
  Stripe stripe(values, Key(10), 0, {{1, {1, 2, 3}}});
  REQUIRE(values.SetOptimizer({"sgd", {{"learning_rate", 1}}}).ok());
  stripe.key.dtype = DType::kInt32;  // as wide
  const absl::Status failed = stripe.Update({PieceOf({{1, {1, 1, 1}}})});
  CHECK_FALSE(failed.ok());
  CHECK_THAT(std::string(failed.message()), Contains("key 'embedding' part 0: "));
  CHECK(stripe.Read({1}) == std::vector<Row>{{1, 2, 3}});
}

}  // namespace
}  // namespace kvstore
