// Streams with lanes without memory: each allocation of a dial, and of what is sent, fails in turn.
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "common/transport/inproc/inproc_transport.h"
#include "common/transport/shm/envelope.h"
#include "common/transport/shm/shm_stream.h"
#include "common/transport/shm/shm_transport.h"
#include "tests/support/failing_new.h"

namespace kvstore::testing {
namespace {

constexpr char kMethod[] = "/kvstore.test.Echo/Talk";
constexpr uint32_t kBlocks = 4;

std::unique_ptr<Transport> Made(const std::shared_ptr<InprocNetwork>& network) {
  ShmTransportOptions options;
  options.carries_much = options.is_here = [](const std::string&) { return true; };
  options.blocks = kBlocks;
  return std::make_unique<ShmTransport>(std::make_unique<InprocTransport>(network),
                                        std::move(options));
}

// Keeps the messages of its one stream, and says each one's size back.
struct Listening {
  explicit Listening(const std::shared_ptr<InprocNetwork>& network)
      : transport(Made(network)), loop(transport->MakeServerLoop("server")) {
    ListenOptions options;
    options.methods = {{kMethod, loop.get(), [this](std::unique_ptr<MessageStream> accepted) {
                          stream = std::move(accepted);
                          MessageStream* const raw = stream.get();
                          raw->SetEvents({[raw](const Payload& message) {
                                            raw->Send(
                                                Payload::CopyOf(std::to_string(message.size())));
                                          },
                                          [](const absl::Status&) {}});
                        }}};
    listener = *transport->Listen("127.0.0.1:0", std::move(options));
    address = "127.0.0.1:" + std::to_string(listener->port());
  }
  ~Listening() {
    listener.reset();
    loop->Post([this] { stream.reset(); });
    loop.reset();
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

  const std::unique_ptr<Transport> transport;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<MessageStream> stream;
  std::unique_ptr<Listener> listener;
  std::string address;
};

TEST_CASE("of a dial with lanes that found no memory no event comes", "[shm][memory]") {
  const auto network = std::make_shared<InprocNetwork>();
  Listening server(network);
  const std::unique_ptr<Transport> client = Made(network);
  int throws = 0;
  bool failed = true;
  for (int spared = 0; failed; ++spared) {
    CAPTURE(spared);
    int events = 0;  // of the dial that fails
    bool threw = false;
    std::promise<void> over;
    std::unique_ptr<MessageStream> first, second;
    std::unique_ptr<EventLoop> loop = client->MakeLoop("client");
    loop->Post([&] {
      const auto count = [&events] { ++events; };
      StreamEvents counted{[count](const Payload&) { count(); },
                           [count](const absl::Status&) { count(); }, count};
      {
        const FailingNth failing(spared, 1);
        try {
          first = client->Dial(*loop, server.address, kMethod, std::move(counted));
        } catch (const std::bad_alloc&) {
          threw = true;
        }
        failed = failing.failed() > 0;
      }
      second =
          client->Dial(*loop, server.address, kMethod,
                       {[&](const Payload&) { over.set_value(); }, [](const absl::Status&) {}});
      second->Send(Payload::CopyOf("hello"));
    });
    over.get_future().wait();
    if (threw) CHECK(events == 0);
    throws += threw ? 1 : 0;
    loop->Post([&] {
      first.reset();
      second.reset();
    });
    loop.reset();
  }
  CHECK(throws > 5);
}

TEST_CASE("what Send had no memory for was not sent, and the lane is as it was", "[shm][memory]") {
  // A message that goes inline, one that fits the lane, one that must wait for room.
  const size_t size = GENERATE(size_t{100}, 3 * kLaneBlockBytes, kLaneBlockBytes + 1);
  const bool lane_is_full = size == kLaneBlockBytes + 1;
  CAPTURE(size);
  const auto network = std::make_shared<InprocNetwork>();
  int throws = 0;
  bool failed = true;
  for (int spared = 0; failed; ++spared) {
    CAPTURE(spared);
    Listening server(network);
    const std::unique_ptr<Transport> client = Made(network);
    std::unique_ptr<EventLoop> loop = client->MakeLoop("client");
    std::vector<std::string> answers;
    std::promise<void> greeted, over;
    std::unique_ptr<MessageStream> stream;
    const Payload message = Payload::CopyOf(std::string(size, 'x'));
    const Payload full = Payload::CopyOf(std::string(kBlocks * kLaneBlockBytes, 'y'));
    loop->Post([&] {
      stream = client->Dial(*loop, server.address, kMethod,
                            {[&](const Payload& answer) {
                               answers.push_back(answer.ToString());
                               if (answers.size() == 1) greeted.set_value();
                               if (answers.back() == "4") over.set_value();
                             },
                             [](const absl::Status&) {}});
      stream->Send(Payload::CopyOf("hello"));
    });
    greeted.get_future().wait();
    bool threw = false;
    loop->Post([&] {
      if (lane_is_full) stream->Send(full);
      {
        const FailingNth failing(spared, 1);
        try {
          stream->Send(message);
        } catch (const std::bad_alloc&) {
          threw = true;
        }
        failed = failing.failed() > 0;
      }
      stream->Send(full);  // nothing of the lane is lost
      stream->Send(Payload::CopyOf("last"));
    });
    over.get_future().wait();
    loop->Post([&] { stream.reset(); });
    loop.reset();
    const std::string bytes = std::to_string(size), of_lane = std::to_string(full.size());
    std::vector<std::string> expected = {"5"};
    if (lane_is_full) expected.push_back(of_lane);
    if (!threw) expected.push_back(bytes);
    expected.push_back(of_lane);
    expected.emplace_back("4");
    CHECK(answers == expected);
    throws += threw ? 1 : 0;
  }
  CHECK(throws > 1);
}

}  // namespace
}  // namespace kvstore::testing
