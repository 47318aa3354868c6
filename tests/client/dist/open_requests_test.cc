#include "client/dist/open_requests.h"

#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <vector>

namespace kvstore {
namespace {

class Sink final : public PartSink {
 public:
  PartAsks OnPart(Op, size_t, Completion) noexcept override { return {}; }
  uint64_t operation_id() const override { return 1; }
};

}  // namespace

TEST_CASE("a ticket names one request, also when its place in the table is used again",
          "[dist][links]") {
  OpenRequests open;
  std::set<Ticket> given;
  std::vector<Ticket> tickets;
  for (size_t round = 0; round < 5; ++round) {
    for (size_t i = 0; i < 100; ++i) {
      tickets.push_back(open.Add(std::make_shared<Sink>(), Op::kPull, 1000 * round + i));
      CHECK(given.insert(tickets.back()).second);
    }
    for (size_t i = 0; i < 100; i += 2) {
      const OpenRequests::Entry entry = open.Take(tickets[i]);
      CHECK(entry.index == 1000 * round + i);
      CHECK(entry.ticket == tickets[i]);
      CHECK(entry.op == Op::kPull);
    }
    size_t left = 0;
    open.ForEach([&](const OpenRequests::Entry& entry) {
      CHECK(entry.index % 2 == 1);
      ++left;
      return true;
    });
    CHECK(left == 50);
    for (size_t i = 1; i < 100; i += 2) open.Take(tickets[i]);
    tickets.clear();
  }
  open.ForEach([](const OpenRequests::Entry&) {
    FAIL("none is open");
    return false;
  });
}

}  // namespace kvstore
