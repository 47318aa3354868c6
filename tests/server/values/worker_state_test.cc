// Dense parts beside which something is kept for each worker that has pushed (dcasgd with
// per_worker): what it is charged with, saved as, read and replaced by.
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "server/values/tensor_values.h"

namespace kvstore {
namespace {

using Catch::Matchers::Contains;
using Floats = std::vector<float>;

constexpr size_t kElements = 300;
constexpr uint64_t kBytes = kElements * sizeof(float);

Piece PieceOf(float number) {
  const Floats numbers(kElements, number);
  return {0, Payload::CopyOf({reinterpret_cast<const char*>(numbers.data()), kBytes})};
}

struct Made {
  explicit Made(UpdaterParameters parameters = {{"per_worker", 1}}) {
    key.key = 17;
    key.name = "weights";
    key.dtype = DType::kFloat32;
    key.shape = {static_cast<int64_t>(kElements)};
    parameters["learning_rate"] = 0.5;
    REQUIRE(values.SetOptimizer({"dcasgd", parameters}).ok());
    part = values.Make(key, {17, 0});
    part->Fill(PieceOf(8));
  }
  absl::Status Push(WorkerRank rank, float number) {
    part->Fold(rank, PieceOf(number));
    RoundCounts counts;
    counts.worker = rank;
    return part->Update(rank, counts);
  }
  std::string Value() const { return part->Read({}).ToString(); }

  TensorValues values;
  KeySpec key;
  std::unique_ptr<PartValue> part;
};

std::vector<StatePage> PagesOf(const PartValue& part) {
  std::vector<StatePage> pages;
  StateCursor from;
  do {
    const absl::StatusOr<StatePage> page = part.ReadState(from);
    REQUIRE(page.ok());
    const absl::StatusOr<StatePage> decoded = DecodeStatePage(EncodeStatePage(*page));
    REQUIRE(decoded.ok());
    pages.push_back(*decoded);
    from = After(pages.back(), {kElements, 0});
  } while (pages.back().more);
  return pages;
}

// Both go on with the same bits, whoever pushes.
void CheckGoesOn(Made& one, Made& other) {
  for (const WorkerRank rank : {3u, 0u, 7u, 3u, 0u}) {
    REQUIRE(one.Push(rank, static_cast<float>(rank) - 1.5f).ok());
    REQUIRE(other.Push(rank, static_cast<float>(rank) - 1.5f).ok());
    REQUIRE(one.Value() == other.Value());
  }
}

}  // namespace

TEST_CASE("memory is charged for a worker from its first push on", "[engine]") {
  Made made;
  const uint64_t before = made.part->Bytes();
  CHECK(made.part->makes_pages());
  CHECK(made.part->PagesMissing(PieceOf(1), 4) == 1);
  CHECK(made.part->PagesMissing(PieceOf(1), std::nullopt) == 0);  // an Init
  CHECK(made.part->BytesWith(1) == before + kBytes);
  REQUIRE(made.Push(4, 1).ok());
  CHECK(made.part->PagesMissing(PieceOf(1), 4) == 0);
  CHECK(made.part->PagesMissing(PieceOf(1), 0) == 1);
  CHECK(made.part->Bytes() == before + kBytes);
  CHECK(made.part->BytesWith(2) == before + 3 * kBytes);
  CHECK(made.part->HeldBytes() == 2 * kBytes);
  REQUIRE(made.Push(0, 1).ok());
  CHECK(made.part->Bytes() == before + 2 * kBytes);
  made.part->Reset();
  CHECK(made.part->Bytes() == before);
  CHECK(made.part->PagesMissing(PieceOf(1), 4) == 1);
}

TEST_CASE("without per_worker no push makes pages", "[engine]") {
  Made made(UpdaterParameters{});
  CHECK_FALSE(made.part->makes_pages());
  CHECK(made.part->PagesMissing(PieceOf(1), 4) == 0);
  const uint64_t before = made.part->Bytes();
  REQUIRE(made.Push(4, 1).ok());
  CHECK(made.part->Bytes() == before);
}

TEST_CASE("a part with what is kept of workers is saved and loaded", "[engine]") {
  const double momentum = GENERATE(0.0, 0.5);
  Made made({{"per_worker", 1}, {"momentum", momentum}});
  for (const WorkerRank rank : {3u, 0u, 3u}) REQUIRE(made.Push(rank, 1.5f).ok());
  Made other({{"per_worker", 1}, {"momentum", momentum}});
  REQUIRE(other.part->Load(made.part->Save()).ok());
  CHECK(other.Value() == made.Value());
  CHECK(other.part->Save().ToString() == made.part->Save().ToString());
  CheckGoesOn(made, other);
}

TEST_CASE("what is kept of workers goes on beside another part", "[engine]") {
  const double momentum = GENERATE(0.0, 0.5);
  const bool pushed = GENERATE(false, true);
  Made made({{"per_worker", 1}, {"momentum", momentum}});
  for (const WorkerRank rank : {10u, 2u, 10u}) REQUIRE(made.Push(rank, 1.5f).ok());
  const std::vector<StatePage> pages = PagesOf(*made.part);
  CHECK(pages.size() == (momentum == 0 ? 2 : 3));
  CHECK(pages[0].info.by_worker == "previous");
  CHECK(pages.back().info.names.back() == "previous@10");
  Made other({{"per_worker", 1}, {"momentum", momentum}});
  if (pushed) REQUIRE(other.Push(5, 1).ok());
  const uint64_t before = other.part->HeldBytes();
  for (const StatePage& page : pages) REQUIRE(other.part->StageState(page).ok());
  CHECK(other.part->HeldBytes() == before + pages.size() * kBytes);
  CHECK(other.part->Bytes() >= other.part->HeldBytes() + kBytes);  // and a sum
  REQUIRE(other.part->CommitState().ok());
  const std::vector<StatePage> again = PagesOf(*other.part);
  REQUIRE(again.size() == pages.size());
  for (size_t i = 0; i < pages.size(); ++i) {
    CHECK(EncodeStatePage(again[i]).ToString() == EncodeStatePage(pages[i]).ToString());
  }
  // With the same value, and updates that have been as many.
  Made third({{"per_worker", 1}, {"momentum", momentum}});
  third.part->Fill({0, made.part->Read({})});
  for (const StatePage& page : pages) REQUIRE(third.part->StageState(page).ok());
  REQUIRE(third.part->CommitState().ok());
  CheckGoesOn(made, third);
}

TEST_CASE("states of another kind, or of workers in no order, are refused", "[engine]") {
  Made made, shared(UpdaterParameters{});
  REQUIRE(made.Push(2, 1).ok());
  REQUIRE(shared.Push(2, 1).ok());
  CHECK_THAT(std::string(shared.part->StageState(PagesOf(*made.part)[0]).message()),
             Contains("key 'weights' part 0: state of dcasgd: moved of f32 expected, got dcasgd: "
                      "previous@2, previous of each worker of f32"));
  CHECK_FALSE(made.part->StageState(PagesOf(*shared.part)[0]).ok());
  REQUIRE(made.Push(5, 1).ok());
  StatePage page = PagesOf(*made.part)[0];
  std::swap(page.info.names[0], page.info.names[1]);
  CHECK(
      DecodeStatePage(EncodeStatePage(page)).status() ==
      absl::InvalidArgumentError("state of an updater: tensors of workers, 'previous', behind the "
                                 "others and by rank expected"));
  CHECK_FALSE(made.part->StageState(page).ok());
}

TEST_CASE("an update that no one worker's push made fails and changes nothing", "[engine]") {
  Made made;
  const std::string before = made.Value();
  made.part->Fold(0, PieceOf(1));
  CHECK_THAT(std::string(made.part->Update(0, {}).message()),
             Contains("key 'weights' part 0: optimizer 'dcasgd' with per_worker: an update by one "
                      "worker's push expected"));
  CHECK(made.Value() == before);
}

}  // namespace kvstore
