// States that are read page by page and brought to another part: it goes on with the same bits,
// whatever the key and the optimizer. And what is refused.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/kernels/kernels.h"
#include "common/rows/row_cut.h"
#include "server/values/tensor_values.h"

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

constexpr int64_t kRows = 300;
constexpr int64_t kColumns = 3;

const std::vector<OptimizerConfig> kOptimizers = {
    {"sgd", {{"learning_rate", 0.1}, {"wd", 0.01}}},
    {"sgd", {{"learning_rate", 0.1}, {"momentum", 0.9}, {"multi_precision", 1}}},
    {"adam", {{"learning_rate", 0.01}}},
    {"adam", {{"learning_rate", 0.01}, {"multi_precision", 1}}},
    {"ftml", {{"multi_precision", 1}}},
    {"rmsprop", {{"centered", 1}}},
    {"dcasgd", {{"momentum", 0.9}}},
    {"sgld", {{"seed", 3}}},
    {"groupadagrad", {}},
    {"groupadagrad", {{"multi_precision", 1}}},
    {"lamb", {}},
    {"lars", {{"momentum", 0.9}}},
    {"sgd", {{"momentum", 0.9}, {"wd", 0.1}, {"lazy_update", 0}}}};

KeySpec Key(DType dtype, Storage storage) {
  KeySpec key;
  key.key = 17;
  key.name = "weights";
  key.dtype = dtype;
  key.storage = storage;
  key.shape = {kRows, kColumns};
  return key;
}

std::string Elements(std::mt19937_64& random, DType dtype, size_t count) {
  std::vector<float> numbers(count);
  for (float& x : numbers) x = static_cast<float>(random() % 5) - 2;
  if (dtype == DType::kFloat32) {
    return {reinterpret_cast<const char*>(numbers.data()), count * sizeof(float)};
  }
  std::string bytes(count * DTypeBytes(dtype), '\0');
  Narrow(dtype, bytes.data(), numbers.data(), count);
  return bytes;
}

std::string Ids(const std::vector<int64_t>& rows) {
  return {reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(int64_t)};
}

std::vector<int64_t> AllRows() {
  std::vector<int64_t> rows(kRows);
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

Piece Contribution(std::mt19937_64& random, const KeySpec& key) {
  if (key.storage == Storage::kDense) {
    return {0, Payload::CopyOf(Elements(random, key.dtype, kRows * kColumns))};
  }
  std::vector<int64_t> rows = AllRows();
  std::shuffle(rows.begin(), rows.end(), random);
  rows.resize(random() % 40);
  return {static_cast<uint32_t>(rows.size()),
          Payload::CopyOf(Ids(rows) + Elements(random, key.dtype, rows.size() * kColumns))};
}

std::string All(const PartValue& part) {
  if (part.key().storage == Storage::kDense) return part.Read({}).ToString();
  return part.Read({kRows, Payload::CopyOf(Ids(AllRows()))}).ToString();
}

Piece WholeValue(const PartValue& part) {
  if (part.key().storage == Storage::kDense) return {0, part.Read({})};
  return {kRows, Payload::CopyOf(Ids(AllRows()) + All(part))};
}

void Round(std::mt19937_64& random, const std::vector<PartValue*>& parts) {
  const std::mt19937_64 before = random;
  for (PartValue* part : parts) {
    random = before;
    part->Fold(0, Contribution(random, part->key()));
    static_cast<void>(part->Update(0, {}));
  }
}

std::vector<StatePage> PagesOf(const PartValue& part, const StateExtent& extent) {
  std::vector<StatePage> pages;
  StateCursor from;
  do {
    const absl::StatusOr<StatePage> page = part.ReadState(from);
    REQUIRE(page.ok());
    // As it travels.
    const absl::StatusOr<StatePage> decoded = DecodeStatePage(EncodeStatePage(*page));
    REQUIRE(decoded.ok());
    pages.push_back(*decoded);
    from = After(pages.back(), extent);
  } while (pages.back().more);
  return pages;
}

std::string TextOf(const std::vector<StatePage>& pages) {
  std::string text;
  for (const StatePage& page : pages) text += EncodeStatePage(page).ToString();
  return text;
}

StateExtent ExtentOf(const KeySpec& key) {
  if (key.storage == Storage::kDense) return {kRows * kColumns, 0};
  return {kRows, kColumns};
}

// A part with that optimizer after some rounds.
struct Made {
  explicit Made(const OptimizerConfig& optimizer, const KeySpec& key_spec) : key(key_spec) {
    REQUIRE(values.SetOptimizer(optimizer).ok());
    part = values.Make(key, {17, 0});
  }
  KeySpec key;
  TensorValues values;
  std::unique_ptr<PartValue> part;
};

TEST_CASE("a part with the value and the state of another one goes on with its bits", "[states]") {
  const auto storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    for (const OptimizerConfig& optimizer : kOptimizers) {
      for (const int rounds : {0, 3}) {
        CAPTURE(storage, DTypeName(dtype), optimizer.name, optimizer.parameters, rounds);
        std::mt19937_64 random(7);
        Made from(optimizer, Key(dtype, storage)), to(optimizer, Key(dtype, storage));
        from.part->Fill(Contribution(random, from.key));
        for (int round = 0; round < rounds; ++round) Round(random, {from.part.get()});
        to.part->Fill(WholeValue(*from.part));
        // What was there before goes.
        std::mt19937_64 other(8);
        if (storage == Storage::kRowSparse) to.part->Fill(WholeValue(*from.part));
        const auto pages = PagesOf(*from.part, ExtentOf(from.key));
        for (const StatePage& page : pages) REQUIRE(to.part->StageState(page).ok());
        REQUIRE(to.part->CommitState().ok());
        REQUIRE(TextOf(PagesOf(*to.part, ExtentOf(to.key))) == TextOf(pages));
        for (int round = 0; round < 3; ++round) {
          Round(random, {from.part.get(), to.part.get()});
          REQUIRE(All(*to.part) == All(*from.part));
        }
        REQUIRE(TextOf(PagesOf(*to.part, ExtentOf(to.key))) ==
                TextOf(PagesOf(*from.part, ExtentOf(from.key))));
      }
    }
  }
}

TEST_CASE("nothing of a state that is brought can be seen before it is committed", "[states]") {
  const auto storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  const OptimizerConfig adam{"adam", {}};
  std::mt19937_64 random(7);
  Made from(adam, Key(DType::kFloat32, storage)), to(adam, Key(DType::kFloat32, storage));
  for (Made* each : {&from, &to}) each->part->Fill(Contribution(random, each->key));
  Round(random, {from.part.get()});
  Round(random, {to.part.get()});
  const StateExtent extent = ExtentOf(from.key);
  const std::string before = TextOf(PagesOf(*to.part, extent));
  const uint64_t bytes = to.part->Bytes();
  const auto pages = PagesOf(*from.part, extent);
  REQUIRE(pages.size() == 2);  // a tensor each
  REQUIRE(to.part->CommitState().code() == absl::StatusCode::kFailedPrecondition);
  REQUIRE(to.part->StageState(pages[0]).ok());
  CHECK(to.part->Bytes() > bytes);
  CHECK_THAT(std::string(to.part->CommitState().message()),
             Contains("key 'weights' part 0: all pages of a state expected, they have not come"));
  REQUIRE(to.part->StageState(pages[1]).ok());
  REQUIRE(to.part->StageState(pages[1]).ok());  // once more
  CHECK(TextOf(PagesOf(*to.part, extent)) == before);
  to.part->DropStagedState();
  CHECK(to.part->Bytes() == bytes);
  CHECK_FALSE(to.part->CommitState().ok());
  CHECK(TextOf(PagesOf(*to.part, extent)) == before);
  for (const StatePage& page : pages) REQUIRE(to.part->StageState(page).ok());
  to.part->Reset();
  CHECK_FALSE(to.part->CommitState().ok());
}

TEST_CASE("pages that are not those of the part are refused, and change nothing", "[states]") {
  const OptimizerConfig momentum{"sgd", {{"momentum", 0.5}}};
  const auto storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  std::mt19937_64 random(7);
  Made made(momentum, Key(DType::kFloat32, storage));
  made.part->Fill(Contribution(random, made.key));
  Round(random, {made.part.get()});
  const StatePage good = PagesOf(*made.part, ExtentOf(made.key))[0];
  const auto refused = [&](const StatePage& page, absl::StatusCode code, const char* text) {
    const absl::Status status = made.part->StageState(page);
    CHECK(status.code() == code);
    CHECK_THAT(std::string(status.message()), Contains(text));
    CHECK_FALSE(made.part->CommitState().ok());
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const auto other = absl::StatusCode::kFailedPrecondition;
  StatePage page = good;
  page.info.updater = "nag";
  refused(page, other,
          "key 'weights' part 0: state of sgd: momentum of f32 expected, got nag: momentum of f32");
  page = good;
  page.info.names = {"momentum", "more"};
  refused(page, other, "got sgd: momentum, more of f32");
  page = good;
  page.info.dtype = DType::kFloat16;
  refused(page, other, "got sgd: momentum of f16");
  page = good;
  page.from = 1;
  refused(page, invalid, "the page of tensor 0 from 0 on expected next");
  page = good;
  page.tensor = 1;
  refused(page, invalid, "expected next");
  page = good;
  page.to += 1;
  refused(page, invalid, "expected, got");
  page = good;
  page.more = true;
  refused(page, invalid, "no more pages expected");
  page = good;
  page.data = page.data.Sub(0, page.data.size() - 1);
  refused(page, invalid, "bytes of numbers 0 to");
  if (storage == Storage::kRowSparse) {
    REQUIRE(good.rows >= 2);
    page = good;
    std::string bytes = good.data.ToString();
    std::swap_ranges(bytes.begin(), bytes.begin() + 8, bytes.begin() + 8);
    page.data = Payload::CopyOf(bytes);
    refused(page, invalid, "state: a row of");
  }
  REQUIRE(made.part->StageState(good).ok());
  CHECK(made.part->CommitState().ok());
  CHECK(made.part->ReadState({1, 0, false}).status().code() == invalid);
  CHECK(made.part->ReadState({0, 100000, false}).status().code() == invalid);
}

TEST_CASE("of a state that the next update would not keep nothing is kept", "[states]") {
  std::mt19937_64 random(7);
  Made made({"sgd", {{"momentum", 0.5}}}, Key(DType::kFloat32, Storage::kDense));
  made.part->Fill(Contribution(random, made.key));
  Round(random, {made.part.get()});
  CHECK(made.part->ReadState({})->info.kept);
  REQUIRE(made.values.SetOptimizer({"adam", {}}).ok());
  const absl::StatusOr<StatePage> page = made.part->ReadState({});
  REQUIRE(page.ok());
  CHECK(page->info.names == std::vector<std::string>{"mean", "var"});
  CHECK_FALSE(page->info.kept);
  CHECK(page->data.empty());
}

// What a program's updater remembers is its own.
class Remembers final : public ProgramUpdater {
 public:
  bool is_set() const override { return true; }
  absl::Status Update(const ProgramUpdate&) override { return absl::OkStatus(); }
};

TEST_CASE("what a program's updater remembers is neither read nor replaced", "[states]") {
  const auto storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  Remembers program;
  TensorValues values(&program);
  const KeySpec key = Key(DType::kFloat32, storage);
  const auto part = values.Make(key, {17, 0});
  std::mt19937_64 random(7);
  part->Fill(Contribution(random, key));
  const absl::Status read = part->ReadState({}).status();
  CHECK(read.code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(read.message()),
             Contains("key 'weights' part 0: an updater whose state lies in arrays expected, got "
                      "the updater of its program"));
  CHECK(part->StageState(StatePage()).code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("rows of a state come in pages, each with its own", "[states][rows]") {
  // More than a page of rows of 200 f32, of both tensors.
  KeySpec key = Key(DType::kFloat32, Storage::kRowSparse);
  key.shape = {100000, 200};
  const OptimizerConfig adam{"adam", {}};
  Made from(adam, key), to(adam, key);
  std::vector<int64_t> rows;
  for (int64_t row = 3; row < key.shape[0]; row += 61 * (1 + row % 3)) rows.push_back(row);
  std::mt19937_64 random(7);
  // Stripe 3 of 61.
  from.part = from.values.Make(from.key, {17, 3});
  to.part = to.values.Make(to.key, {17, 3});
  for (size_t at = 0; at < rows.size(); at += 500) {
    const std::vector<int64_t> some(
        rows.begin() + static_cast<std::ptrdiff_t>(at),
        rows.begin() + static_cast<std::ptrdiff_t>(std::min(at + 500, rows.size())));
    const Piece piece{static_cast<uint32_t>(some.size()),
                      Payload::CopyOf(Ids(some) + Elements(random, key.dtype, some.size() * 200))};
    from.part->Fold(0, piece);
    REQUIRE(from.part->Update(0, {}).ok());
  }
  const StateExtent extent{static_cast<uint64_t>(RowShapeOf(key.shape, key.dtype).RowsIn(3)), 200};
  const auto pages = PagesOf(*from.part, extent);
  CHECK(pages.size() == 4);
  size_t read = 0;
  for (const StatePage& page : pages) {
    CHECK(page.data.size() <= kStatePageBytes);
    read += page.rows;
    REQUIRE(to.part->StageState(page).ok());
  }
  CHECK(read == 2 * rows.size());
  REQUIRE(to.part->CommitState().ok());
  CHECK(TextOf(PagesOf(*to.part, extent)) == TextOf(pages));
  // The rows are there, and charged.
  CHECK(to.part->HeldBytes() == from.part->HeldBytes());
  CHECK(to.part->Bytes() == from.part->Bytes());
}

}  // namespace
}  // namespace kvstore
