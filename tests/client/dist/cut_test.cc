// The cuts of a value: pieces of a contribution, questions of a pull, replies into memory.
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <numeric>

#include "client/array/ndarray_impl.h"
#include "client/dist/any_cut.h"
#include "client/reduce/cpu_reducer.h"
#include "common/cluster/partitioner.h"
#include "common/rows/row_cut.h"
#include "tests/client/dist/operations.h"

namespace kvstore {
namespace {

using testing::ContributionOf;
using testing::Counting;
using testing::OperationOn;
using testing::RowsNamed;
using testing::Underway;

constexpr int64_t kPartElements = int64_t{kPartBytesMax} / 4;

// What a server that has `value` answers to a question about one part of a dense value.
Payload DenseReply(const NDArray& value, PartIndex part) {
  const auto bytes = static_cast<uint64_t>(value.bytes());
  return Payload::CopyOf(
      {reinterpret_cast<const char*>(value.data_as<uint8_t>() + PartOffset(part)),
       PartBytes(bytes, part)});
}

std::vector<int64_t> IdsOf(const Payload& data, size_t rows, uint64_t rows_from) {
  std::vector<int64_t> ids(rows);
  if (rows_from == 0) {
    PayloadCursor(data).Read(ids.data(), ids.size() * sizeof(int64_t));
  } else {
    for (size_t i = 0; i < rows; ++i) ids[i] = static_cast<int64_t>(rows_from - 1 + i * kStripes);
  }
  return ids;
}

// Rows that are all r, as a server would answer with them.
Payload RowsReply(const std::vector<int64_t>& ids, int64_t width) {
  const NDArray rows = RowsNamed(1 << 30, width, ids);
  return Payload::CopyOf({reinterpret_cast<const char*>(rows.data_as<uint8_t>()), rows.bytes()});
}

}  // namespace

TEST_CASE("a dense contribution is cut into slices of the caller's memory", "[dist]") {
  const int64_t elements =
      GENERATE(int64_t{1}, kPartElements - 1, kPartElements, kPartElements + 1, 3 * kPartElements);
  CAPTURE(elements);
  Underway underway;
  const NDArray value({elements});
  const auto operation = OperationOn(OperationKind::kPush, value, {value});
  const AnyCut cut(operation->spec);
  const std::vector<PartPiece> pieces =
      cut->Pieces(ContributionOf(*operation, underway.token), nullptr, /*encoded=*/false);
  REQUIRE(pieces.size() == cut->parts());
  const uint8_t* next = value.data_as<uint8_t>();
  for (PartIndex part = 0; part < pieces.size(); ++part) {
    CHECK(pieces[part].part == part);
    CHECK(pieces[part].piece.rows == 0);
    CHECK(pieces[part].piece.fragments == 1);
    REQUIRE(pieces[part].piece.data.slices().size() == 1);
    CHECK(pieces[part].piece.data.slices()[0].data == next);
    next += pieces[part].piece.data.size();
  }
  CHECK(next == value.data_as<uint8_t>() + value.bytes());
}

TEST_CASE("every part of a dense value is lent by itself where that is asked for", "[dist]") {
  Underway underway;
  const NDArray value({2 * kPartElements});
  const auto operation = OperationOn(OperationKind::kPushPull, value, {value}, {value});
  const AnyCut cut(operation->spec);
  LentParts lent(underway.token, cut->parts());
  std::vector<PartPiece> pieces =
      cut->Pieces(ContributionOf(*operation, underway.token), &lent, /*encoded=*/false);
  std::vector<PartIndex> written;
  for (PartIndex part = 0; part < 2; ++part) {
    lent.WhenReturned(part, [&written, part] { written.push_back(part); });
  }
  CHECK(written.empty());
  pieces[1].piece.data = Payload();
  CHECK(written == std::vector<PartIndex>{1});
  pieces[0].piece.data = Payload();
  CHECK(written == std::vector<PartIndex>{1, 0});
}

TEST_CASE("replies to the questions of a dense pull fill every output", "[dist]") {
  const int64_t elements = GENERATE(int64_t{1}, kPartElements, 2 * kPartElements + 7);
  CAPTURE(elements);
  const NDArray stored = Counting({elements});
  const NDArray first({elements});
  const NDArray second({elements});
  const auto operation = OperationOn(OperationKind::kPull, stored, {}, {first, second});
  const AnyCut cut(operation->spec);
  const Questions questions = cut->QuestionsOf(operation.get());
  REQUIRE(questions.size() == cut->parts());
  for (const Question& question : questions) {
    CHECK(question.ids.empty());
    const Payload reply = DenseReply(stored, question.part);
    CHECK(cut->ReplyBytes(question) == reply.size());
    CHECK(cut->Write(question, reply, operation->outputs, CpuReducer(1)).ok());
  }
  CHECK(std::memcmp(first.data(), stored.data(), stored.bytes()) == 0);
  CHECK(std::memcmp(second.data(), stored.data(), stored.bytes()) == 0);
}

TEST_CASE("a row_sparse contribution has a piece for every stripe and every row in one", "[dist]") {
  const std::vector<int64_t> ids = GENERATE(std::vector<int64_t>{}, std::vector<int64_t>{5},
                                            std::vector<int64_t>{0, 61, 62, 99});
  CAPTURE(ids);
  Underway underway;
  // 1.5 MiB: more than one stripe.
  const NDArray value = RowsNamed(6144, 64, ids);
  const auto operation = OperationOn(OperationKind::kPush, value, {value});
  const AnyCut cut(operation->spec);
  REQUIRE(cut->parts() == kStripes);
  std::map<int64_t, float> rows;
  PartIndex next = 0;
  for (const auto& [part, piece] :
       cut->Pieces(ContributionOf(*operation, underway.token), nullptr, /*encoded=*/false)) {
    CHECK(part == next++);
    CHECK(piece.data.size() == piece.ids_bytes() + piece.rows * 64 * sizeof(float));
    const std::string bytes = piece.data.ToString();
    const std::vector<int64_t> here = IdsOf(piece.data, piece.rows, piece.rows_from);
    for (size_t i = 0; i < here.size(); ++i) {
      CHECK(here[i] % kStripes == part);
      std::memcpy(&rows[here[i]], bytes.data() + piece.ids_bytes() + i * 64 * 4, 4);
    }
  }
  CHECK(next == kStripes);
  REQUIRE(rows.size() == ids.size());
  for (const int64_t id : ids) CHECK(rows.at(id) == static_cast<float>(id));
}

TEST_CASE("replies to the questions of a pull of rows fill the output that named them", "[dist]") {
  constexpr int64_t kRows = 6144;
  const NDArray like = NDArray::RowSparse({kRows, 64});
  const NDArray first = NDArray::RowSparse({kRows, 64});
  const NDArray second = NDArray::RowSparse({kRows, 64});
  const auto operation = OperationOn(OperationKind::kPullRows, like, {}, {first, second, first});
  // `first` is named twice: what it is asked for last stays.
  operation->row_ids = {{NDArray(), {1, 2}}, {NDArray(), {3, 64, 6143}}, {NDArray(), {7}}};
  const AnyCut cut(operation->spec);
  for (const Question& question : cut->QuestionsOf(operation.get())) {
    const std::vector<int64_t> ids = IdsOf(question.ids, question.rows, question.rows_from);
    const Payload reply = RowsReply(ids, 64);
    CHECK(cut->ReplyBytes(question) == reply.size());
    CHECK(cut->Write(question, reply, operation->outputs, CpuReducer(1)).ok());
  }
  const auto holds = [](const NDArray& array, const std::vector<int64_t>& ids) {
    if (array.indices() != ids) return false;
    const NDArray expected = RowsNamed(kRows, 64, ids);
    return std::memcmp(array.data(), expected.data(), expected.bytes()) == 0;
  };
  CHECK(holds(first, {7}));
  CHECK(holds(second, {3, 64, 6143}));
}

TEST_CASE("a pull of a whole row_sparse value asks for every row", "[dist]") {
  constexpr int64_t kRows = 6144;
  const NDArray like = NDArray::RowSparse({kRows, 64});
  const NDArray output({kRows, 64});
  const auto operation = OperationOn(OperationKind::kPull, like, {}, {output});
  const AnyCut cut(operation->spec);
  for (const Question& question : cut->QuestionsOf(operation.get())) {
    CHECK(cut->Write(question,
                     RowsReply(IdsOf(question.ids, question.rows, question.rows_from), 64),
                     operation->outputs, CpuReducer(1))
              .ok());
  }
  int64_t wrong = 0;
  for (int64_t i = 0; i < output.size(); ++i) {
    if (output.data_as<float>()[i] != static_cast<float>(i / 64)) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a pull of no rows asks nothing, and leaves an output without rows", "[dist]") {
  const NDArray output = RowsNamed(6144, 64, {3});
  const auto operation = OperationOn(OperationKind::kPullRows, output, {}, {output});
  operation->row_ids = {{NDArray(), {}}};
  CHECK(AnyCut(operation->spec)->QuestionsOf(operation.get()).empty());
  CHECK(output.indices().empty());
}

}  // namespace kvstore
