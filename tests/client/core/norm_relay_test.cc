#include "client/core/norm_relay.h"

#include <catch2/catch.hpp>
#include <set>

#include "tests/client/core/client_core_fixture.h"

namespace kvstore::client_internal {
namespace {

constexpr KeyId kKey = 7;
constexpr Round kRound = 5;

NormNote NoteOf(uint32_t parts, uint32_t known, double norm, double own) {
  NormNote note;
  note.parts = parts;
  note.known = known;
  note.norms.squares[0] = norm;
  note.measured = own != 0;
  note.own.squares[0] = own;
  return note;
}

// A relay of a worker whose pushes to `open` are open.
struct Worker {
  NormRelay relay;
  std::set<PartIndex> open = {0, 1, 2};

  std::vector<NormRelay::Due> Hear(PartIndex part, const NormNote* note, bool over = false) {
    const auto due = relay.Hear({kKey, part}, kRound, note, over,
                                [this](PartId id) { return open.count(id.part) == 0; });
    if (over) open.erase(part);
    return due;
  }
  std::vector<NormRelay::Due> HearAndSend(PartIndex part, const NormNote& note, bool over = false) {
    const auto due = Hear(part, &note, over);
    relay.Sent(due);
    return due;
  }
};

}  // namespace

TEST_CASE("norms wait for the parts of a push that are submitted later", "[core][norms]") {
  Client client;
  for (PartIndex part = 0; part < 3; ++part) {  // the core knows all parts
    client.Submit(Op::kPull, 100 + part, "", {kKey, part});
    client.Reply(client.Sent().at(0), Progress::kDone);
  }
  CHECK(client.Done().size() == 3);
  const auto push = [&client](PartIndex part, double own) {
    client.Submit(Op::kPush, 1 + part, "aaaa", {kKey, part});
    const auto sent = client.Sent();
    REQUIRE(sent.size() == 1);
    ReplyEntry told(sent[0]);
    told.data = EncodeNormNote(NoteOf(3, 0, 0, own));
    client.Reply(told, Progress::kReceived);
  };
  push(0, 9);
  push(1, 16);
  CHECK(client.Sent().empty());
  push(2, 144);
  const auto sent = client.Sent();
  REQUIRE(sent.size() == 3);
  for (const RequestEntry& entry : sent) {
    CHECK(entry.op == Op::kNorms);
    CHECK(entry.round == 1);
    CHECK(*DecodeNormNote(entry.piece.data) == NoteOf(3, 1, 169, 0));
  }
  CHECK(client.core.open_requests() == 3);  // the pushes
  for (const RequestEntry& entry : sent) client.Reply(entry, Progress::kDone);
  CHECK(client.core.open_requests() == 3);
  CHECK(client.Done().empty());
}

TEST_CASE("the sums of all parts are due to all of them, in the order of the parts", "[norms]") {
  Worker worker;
  // 2^60 + 1 + 1 is 2^60 from the left, in f64; in another order it is not.
  CHECK(worker.HearAndSend(2, NoteOf(3, 0, 0, 129)).empty());
  CHECK(worker.HearAndSend(0, NoteOf(3, 0, 0, 0x1p60)).empty());
  CHECK(worker.HearAndSend(0, NoteOf(3, 0, 0, 0x1p60)).empty());  // a repeat counts once
  const auto due = worker.HearAndSend(1, NoteOf(3, 0, 0, 129));
  REQUIRE(due.size() == 3);
  for (PartIndex part = 0; part < 3; ++part) {
    CHECK(due[part].id == PartId{kKey, part});
    CHECK(due[part].round == kRound);
    CHECK(due[part].note == NoteOf(3, 1, (0x1p60 + 129) + 129, 0));
  }
  CHECK((0x1p60 + 129) + 129 != 0x1p60 + (129 + 129));
  CHECK(worker.HearAndSend(1, NoteOf(3, 0, 0, 129)).empty());  // sent already
}

TEST_CASE("what was not sent stays due", "[norms]") {
  Worker worker;
  const NormNote own = NoteOf(2, 0, 0, 4);
  worker.open = {0, 1};
  CHECK(worker.Hear(0, &own).empty());
  CHECK(worker.Hear(1, &own).size() == 2);
  const auto again = worker.Hear(1, &own);
  CHECK(again.size() == 2);
  worker.relay.Sent(again);
  CHECK(worker.Hear(1, &own).empty());
}

TEST_CASE("a second measuring is carried with what the first one found", "[norms]") {
  Worker worker;
  worker.open = {0, 1};
  worker.HearAndSend(0, NoteOf(2, 0, 0, 9));
  CHECK(worker.HearAndSend(1, NoteOf(2, 0, 0, 16)).size() == 2);
  NormNote own = NoteOf(2, 1, 25, 0);
  own.measured = true;
  own.own.squares = {0, 1, 0, 0};
  CHECK(worker.HearAndSend(0, own).empty());
  const auto due = worker.HearAndSend(1, own);
  REQUIRE(due.size() == 2);
  CHECK(due[0].note.known == 2);
  CHECK(due[0].note.norms.squares == std::array<double, 4>{25, 2, 0, 0});
}

TEST_CASE("what another worker carried to one part is carried on to the others", "[norms]") {
  Worker worker;
  worker.open = {0, 1};
  CHECK(worker.HearAndSend(1, NoteOf(2, 0, 0, 16)).empty());
  const auto due = worker.HearAndSend(0, NoteOf(2, 1, 25, 0), /*over=*/true);
  REQUIRE(due.size() == 1);
  CHECK(due[0].id.part == 1);
  CHECK(due[0].note == NoteOf(2, 1, 25, 0));
}

TEST_CASE("a part whose push is over without sums leaves the others without them", "[norms]") {
  Worker worker;
  worker.open = {0, 1};
  const bool before = GENERATE(true, false);
  CAPTURE(before);
  std::vector<NormRelay::Due> due;
  if (before) {
    CHECK(worker.Hear(0, nullptr, /*over=*/true).empty());
    due = worker.HearAndSend(1, NoteOf(2, 0, 0, 16));
  } else {
    CHECK(worker.HearAndSend(1, NoteOf(2, 0, 0, 16)).empty());
    due = worker.Hear(0, nullptr, /*over=*/true);
    worker.relay.Sent(due);
  }
  REQUIRE(due.size() == 1);
  CHECK(due[0].id.part == 1);
  CHECK(due[0].note.abandoned);
  CHECK(worker.HearAndSend(1, NoteOf(2, 0, 0, 16)).empty());
}

}  // namespace kvstore::client_internal
