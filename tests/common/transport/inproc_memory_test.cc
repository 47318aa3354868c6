// Dialling in-process without memory: each allocation of a dial fails in turn.
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "common/transport/inproc/inproc_transport.h"
#include "tests/support/failing_new.h"

namespace kvstore::testing {
namespace {

constexpr char kMethod[] = "/kvstore.test.Echo/Talk";

TEST_CASE("of a dial that found no memory no event comes, and the next dial succeeds",
          "[inproc][memory]") {
  const auto network = std::make_shared<InprocNetwork>();
  InprocTransport server(network), client(network);
  const std::unique_ptr<EventLoop> served = server.MakeServerLoop("server");
  ListenOptions options;
  options.methods = {{kMethod, served.get(), [](std::unique_ptr<MessageStream> stream) {
                        MessageStream* const raw = stream.get();
                        raw->SetEvents({[](const Payload&) {}, [](const absl::Status&) {}});
                        raw->Send(Payload::CopyOf("welcome"));
                        // Closes, when the greeting is out.
                      }}};
  const auto listener = server.Listen("127.0.0.1:0", std::move(options));
  REQUIRE(listener.ok());
  const std::string address = "127.0.0.1:" + std::to_string((*listener)->port());

  int throws = 0;
  bool failed = true;
  for (int spared = 0; failed; ++spared) {
    CAPTURE(spared);
    int events = 0;  // of the dial that fails
    bool threw = false;
    std::promise<void> over;
    std::unique_ptr<MessageStream> first, second;
    const std::unique_ptr<EventLoop> loop = client.MakeLoop("client");
    loop->Post([&] {
      const auto count = [&events] { ++events; };
      StreamEvents counted{[count](const Payload&) { count(); },
                           [count](const absl::Status&) { count(); }, count};
      {
        const FailingNth failing(spared, 1);
        try {
          first = client.Dial(*loop, address, kMethod, std::move(counted));
        } catch (const std::bad_alloc&) {
          threw = true;
        }
        failed = failing.failed() > 0;
      }
      // What was posted for the first is run before this one hears anything.
      second = client.Dial(*loop, address, kMethod,
                           {[](const Payload&) {}, [&](const absl::Status&) { over.set_value(); }});
    });
    over.get_future().wait();
    CHECK(threw == failed);
    CHECK(events == (threw ? 0 : 3));  // open, the greeting, closed
    throws += threw ? 1 : 0;
  }
  CHECK(throws > 5);
}

}  // namespace
}  // namespace kvstore::testing
