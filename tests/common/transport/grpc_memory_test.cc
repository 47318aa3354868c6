// Dialling over gRPC without memory. Only what the transport itself allocates may fail: gRPC ends
// the process for want of its own.
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "common/transport/grpc/grpc_transport.h"
#include "tests/support/failing_new.h"

namespace kvstore::testing {
namespace {

// From here up only the loop's list of calls allocates, when it grows: with 541 calls it goes to
// 1109 buckets of 8 bytes each.
constexpr size_t kLargeBytes = 8000;
constexpr int kDialsMax = 1000;

// Takes the blocks that were freed and writes over them, so that whoever still uses one is caught
// without a sanitizer, too.
std::vector<std::string> OverwriteFreed() {
  constexpr size_t kBlockBytesMax = 4096;
  constexpr int kBlocksOfASize = 8;
  std::vector<std::string> blocks;
  for (size_t bytes = 32; bytes <= kBlockBytesMax; bytes += 16) {
    for (int i = 0; i < kBlocksOfASize; ++i) blocks.emplace_back(bytes, '\xff');
  }
  return blocks;
}

TEST_CASE("a dial that the loop has no memory for leaves gRPC nothing of the stream",
          "[grpc][memory]") {
  GrpcTransport transport;
  std::unique_ptr<EventLoop> loop = transport.MakeLoop("loop");
  std::vector<std::unique_ptr<MessageStream>> streams;
  streams.reserve(kDialsMax);
  int dialled = 0;
  int closed = 0;
  int closed_without_stream = 0;
  bool threw = false;
  std::promise<void> all_closed;
  std::vector<std::string> overwritten;
  loop->Post([&] {
    while (!threw && dialled < kDialsMax) {
      const auto known = std::make_shared<bool>(false);  // whether Dial returned the stream
      StreamEvents events{[](const Payload&) {},
                          [&, known](const absl::Status&) {
                            if (!*known) ++closed_without_stream;
                            if (++closed == dialled && threw) all_closed.set_value();
                          }};
      const FailingNew failing(kLargeBytes);
      try {
        // Nobody listens there.
        streams.push_back(transport.Dial(*loop, "127.0.0.1:1", "/x/Y", std::move(events)));
        *known = true;
        ++dialled;
      } catch (const std::bad_alloc&) {
        threw = true;
      }
    }
    if (!threw) all_closed.set_value();
    overwritten = OverwriteFreed();
  });
  all_closed.get_future().wait();
  REQUIRE(threw);
  // Whatever gRPC still had of the dial that failed comes before the loop is gone.
  loop.reset();
  CHECK(closed == dialled);
  CHECK(closed_without_stream == 0);
}

}  // namespace
}  // namespace kvstore::testing
