// Which requests about a part may go: the example of part_order.h, and each of its reasons to hold
// one.
#include "client/core/part_order.h"

#include <catch2/catch.hpp>
#include <deque>
#include <vector>

namespace kvstore::client_internal {
namespace {

constexpr PartId kPart{17, 0};

// Requests about one part, numbered from 0 in the order of submission.
class Part {
 public:
  explicit Part(uint32_t rounds_ahead_max = 32) : order_(rounds_ahead_max) {}

  void Submit(Op op, uint32_t fragment = 0, uint32_t fragments = 1) {
    Request& request = requests_.emplace_back();
    request.id = requests_.size();
    request.order = request.id;
    request.ask.op = op;
    request.ask.id = kPart;
    request.ask.piece.fragment = fragment;
    request.ask.piece.fragments = fragments;
    request.part = &order_.MakeRoom(kPart);
    PartOrder::Add(&request);
  }
  // The numbers of those that may go now and did not before.
  std::vector<size_t> Go() {
    std::vector<size_t> went;
    order_.LetGo(order_.MakeRoom(kPart), [&](Request& request) {
      request.state = State::kSent;
      went.push_back(request.id - 1);
    });
    return went;
  }
  void Over(size_t number) { PartOrder::Remove(requests_[number]); }
  Request& operator[](size_t number) { return requests_[number]; }
  PartOrder& order() { return order_; }

 private:
  PartOrder order_;
  std::deque<Request> requests_;
};

using Numbers = std::vector<size_t>;

TEST_CASE("the example of part_order.h", "[part_order]") {
  Part part(2);
  part.Submit(Op::kPush);
  part.Submit(Op::kPull);
  part.Submit(Op::kPush);
  part.Submit(Op::kPush);
  part.Submit(Op::kPush);
  CHECK(part[0].round == 1);
  CHECK(part[1].round == 1);
  CHECK(part[4].round == 4);
  CHECK(part.Go() == Numbers{0, 1});
  part.Over(0);
  CHECK(part.Go().empty());  // the pull is open
  part.Over(1);
  CHECK(part.Go() == Numbers{2, 3});
  part.Over(3);
  CHECK(part.Go().empty());  // round 4 is 2 ahead of round 2
  part.Over(2);
  CHECK(part.Go() == Numbers{4});
}

TEST_CASE("an Init or a take-back goes alone", "[part_order]") {
  const Op op = GENERATE(Op::kInit, Op::kTakeBack);
  Part part;
  part.Submit(op);
  part.Submit(Op::kPull);
  part.Submit(Op::kPush);
  CHECK(part.Go() == Numbers{0});
  part.Over(0);
  CHECK(part.Go() == Numbers{1});
}

TEST_CASE("pulls do not wait for each other, and name the last push before them", "[part_order]") {
  Part part;
  part.Submit(Op::kPull);
  part.Submit(Op::kPull);
  CHECK(part.Go() == Numbers{0, 1});
  CHECK(part[0].round == 0);
  part.Submit(Op::kPush);
  part.Submit(Op::kPull);
  CHECK(part.Go().empty());
  CHECK(part[3].round == 1);
}

TEST_CASE("the fragments of a push are of one round", "[part_order]") {
  Part part(1);
  for (uint32_t fragment = 0; fragment < 3; ++fragment) part.Submit(Op::kPush, fragment, 3);
  part.Submit(Op::kPush);
  CHECK(part[2].round == 1);
  CHECK(part[3].round == 2);
  CHECK(part.Go() == Numbers{0, 1, 2});
  part.Over(0);
  part.Over(1);
  CHECK(part.Go().empty());
  part.Over(2);
  CHECK(part.Go() == Numbers{3});
}

TEST_CASE("what the server puts off holds what comes after it", "[part_order]") {
  Part part;
  part.Submit(Op::kPush);
  CHECK(part.Go() == Numbers{0});
  part[0].state = State::kPutOff;
  part[0].times_put_off = 1;
  part.Submit(Op::kPush);
  CHECK(part.Go().empty());
  // Its time is over: it goes again, and still holds the other one until the server has taken it.
  part[0].state = State::kHeld;
  CHECK(part.Go() == Numbers{0});
  part[0].state = State::kOwned;
  CHECK(part.Go() == Numbers{1});
}

TEST_CASE("whoever comes before an urgent request becomes as urgent, the last one first",
          "[part_order]") {
  Part part;
  for (const int priority : {0, 9, 3, 0}) {
    part.Submit(Op::kPull);
    part[part.Go().at(0)].ask.priority = priority;
  }
  Numbers raised;
  PartOrder::RaiseTo(5, part.order().MakeRoom(kPart),
                     [&](Request& request) { raised.push_back(request.id - 1); });
  // Number 1 is more urgent already, so what comes before it has been raised when it came.
  CHECK(raised == Numbers{3, 2});
  PartOrder::RaiseTo(5, part.order().MakeRoom({18, 0}),
                     [&](Request&) { FAIL("a part that nobody asked about"); });
}

}  // namespace
}  // namespace kvstore::client_internal
