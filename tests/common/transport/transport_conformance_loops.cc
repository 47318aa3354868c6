// Loops, listeners, unary calls, and starting and stopping many times.
#include <catch2/catch.hpp>
#include <thread>

#include "tests/common/transport/transport_conformance.h"

namespace kvstore::testing {
namespace {

TEST_CASE("a loop runs its tasks in order on one thread of its own", "[transport]") {
  const std::unique_ptr<Transport> transport = MakeParticipant();
  for (const bool serves : {false, true}) {
    std::unique_ptr<EventLoop> loop =
        serves ? transport->MakeServerLoop("loop") : transport->MakeLoop("loop");
    CHECK_FALSE(loop->InLoop());
    constexpr int kCount = 20000;
    std::vector<int> order;
    std::vector<bool> in_loop;
    for (int i = 0; i < kCount; ++i) {
      loop->Post([&, i] {
        order.push_back(i);
        in_loop.push_back(loop->InLoop());
      });
    }
    RunOn(*loop, [] {});
    REQUIRE(order.size() == kCount);
    CHECK(std::is_sorted(order.begin(), order.end()));
    CHECK(std::find(in_loop.begin(), in_loop.end(), false) == in_loop.end());
    loop.reset();
  }
}

TEST_CASE("posts of several threads all run, each thread's in order", "[transport]") {
  const std::unique_ptr<Transport> transport = MakeParticipant();
  const std::unique_ptr<EventLoop> loop = transport->MakeLoop("loop");
  std::map<int, std::vector<int>> seen;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i) loop->Post([&seen, t, i] { seen[t].push_back(i); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  RunOn(*loop, [] {});
  for (int t = 0; t < 4; ++t) {
    CHECK(seen[t].size() == 2000);
    CHECK(std::is_sorted(seen[t].begin(), seen[t].end()));
  }
}

TEST_CASE("a task posted by a task runs after it, also when the loop stops", "[transport]") {
  const std::unique_ptr<Transport> transport = MakeParticipant();
  std::unique_ptr<EventLoop> loop = transport->MakeLoop("loop");
  std::vector<std::string> order;
  loop->Post([&order, loop = loop.get()] {
    loop->Post([&order, loop] {
      order.push_back("inner");
      loop->Post([&order] { order.push_back("innermost"); });
    });
    order.push_back("outer");
  });
  loop.reset();
  CHECK(order == std::vector<std::string>{"outer", "inner", "innermost"});
}

TEST_CASE("timers run in the order of their times and never early", "[transport]") {
  const std::unique_ptr<Transport> transport = MakeParticipant();
  const std::unique_ptr<EventLoop> loop = transport->MakeLoop("loop");
  using Clock = std::chrono::steady_clock;
  struct Timer {
    std::chrono::milliseconds delay;
    Clock::time_point before_post, after_post, ran;
  };
  std::vector<Timer> timers;
  for (const int delay_ms : {30, 10, 20, 0, 40}) {
    timers.push_back({std::chrono::milliseconds(delay_ms), {}, {}, {}});
  }
  std::atomic<size_t> left{timers.size()};
  Gate done;
  for (Timer& timer : timers) {
    timer.before_post = Clock::now();
    loop->PostAfter(timer.delay.count(), [&timer, &left, &done] {
      timer.ran = Clock::now();
      if (--left == 0) done.Open();
    });
    timer.after_post = Clock::now();
  }
  REQUIRE(done.Await());
  for (const Timer& a : timers) {
    CAPTURE(a.delay.count());
    CHECK(a.ran >= a.before_post + a.delay);
    for (const Timer& b : timers) {
      // The thread that posts may have been held up: only what must be in order is compared.
      // 2 ms: a timer is rounded up to the next whole one.
      const auto latest_a = a.after_post + a.delay + std::chrono::milliseconds(2);
      if (latest_a <= b.before_post + b.delay) CHECK(a.ran <= b.ran);
    }
  }
}

TEST_CASE("a stopping loop drops its timers and what they hold", "[transport]") {
  const std::unique_ptr<Transport> transport = MakeParticipant();
  std::unique_ptr<EventLoop> loop = transport->MakeLoop("loop");
  const auto held = std::make_shared<int>(0);
  std::atomic<bool> ran{false};
  loop->PostAfter(3600 * 1000, [&ran, held] { ran = true; });
  loop->PostAfter(INT64_MAX, [&ran, held] { ran = true; });
  RunOn(*loop, [] {});
  loop.reset();
  CHECK_FALSE(ran);
  CHECK(held.use_count() == 1);
}

TEST_CASE("each method's streams arrive and speak on the loop it was given", "[transport]") {
  constexpr int kLoops = 4;
  const std::unique_ptr<Transport> transport = MakeParticipant();
  std::vector<std::unique_ptr<EventLoop>> loops;
  std::vector<std::vector<std::unique_ptr<MessageStream>>> streams(kLoops);
  std::atomic<int> wrong{0};
  ListenOptions options;
  for (int i = 0; i < kLoops; ++i) {
    loops.push_back(transport->MakeServerLoop("shard"));
    EventLoop* loop = loops.back().get();
    options.methods.push_back({"/kvstore.test.Data/Shard" + std::to_string(i), loop,
                               [&, i, loop](std::unique_ptr<MessageStream> stream) {
                                 if (!loop->InLoop()) ++wrong;
                                 MessageStream* raw = stream.get();
                                 streams[i].push_back(std::move(stream));
                                 raw->SetEvents({[&, i, raw, loop](Payload message) {
                                                   if (!loop->InLoop()) ++wrong;
                                                   message.Append(
                                                       Payload::CopyOf("@" + std::to_string(i)));
                                                   raw->Send(std::move(message));
                                                 },
                                                 [&, loop](absl::Status) {
                                                   if (!loop->InLoop()) ++wrong;
                                                 }});
                               }});
  }
  auto listener = transport->Listen("127.0.0.1:0", options);
  REQUIRE(listener.ok());
  const std::string address = "127.0.0.1:" + std::to_string((*listener)->port());
  {
    Client one;
    Client two;
    std::vector<std::pair<int, Peer*>> peers;
    for (int i = 0; i < kLoops; ++i) {
      for (Client* client : {&one, &two}) {
        Peer& peer = client->Dial(address, "/kvstore.test.Data/Shard" + std::to_string(i));
        for (int m = 0; m < 50; ++m) client->Send(peer, std::to_string(m));
        peers.emplace_back(i, &peer);
      }
    }
    for (const auto& [i, peer] : peers) {
      CAPTURE(i);
      REQUIRE(peer->AwaitMessages(50));
      const std::vector<std::string> messages = peer->messages();
      for (int m = 0; m < 50; ++m) {
        REQUIRE(messages[m] == std::to_string(m) + "@" + std::to_string(i));
      }
    }
  }
  (*listener)->Shutdown();
  loops.clear();
  CHECK(wrong == 0);
}

TEST_CASE("a taken port and what is no address are refused in words", "[transport]") {
  const Server server;
  const std::unique_ptr<Transport> other = MakeParticipant();
  const std::unique_ptr<EventLoop> loop = other->MakeServerLoop("loop");
  const auto listen = [&](const std::string& address) {
    return other->Listen(address, {{{"/x/Y", loop.get(), [](auto) {}}}}).status();
  };
  const absl::Status taken = listen(server.address());
  CAPTURE(taken.ToString());
  CHECK(taken.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(taken.message()),
             Catch::Contains("address " + server.address() + ": already in use"));
  for (const std::string address : {"", "7070", "127.0.0.1", "127.0.0.1:x", ":80", "::1:80"}) {
    CAPTURE(address);
    CHECK(listen(address).code() == absl::StatusCode::kInvalidArgument);
  }
  // The failures left nothing behind: the transport can still listen.
  CHECK(listen("127.0.0.1:0").ok());
}

TEST_CASE("methods that cannot be served are refused", "[transport]") {
  const std::unique_ptr<Transport> transport = MakeParticipant();
  const std::unique_ptr<EventLoop> loop = transport->MakeServerLoop("loop");
  const std::unique_ptr<EventLoop> dials_only = transport->MakeLoop("loop");
  const auto ignore = [](std::unique_ptr<MessageStream>) {};
  const auto listen = [&](ListenOptions options) {
    return transport->Listen("127.0.0.1:0", std::move(options)).status();
  };
  CHECK(listen({{{"/x/Y", dials_only.get(), ignore}}}).code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(listen({{{"/x/Y", nullptr, ignore}}}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(listen({{{"/x/Y", loop.get(), ignore}, {"/x/Y", loop.get(), ignore}}}).code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(listen({{{"/x/Y", loop.get(), ignore}}, {{"/x/Y", loop.get(), {}}}}).code() ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE("an acceptor may turn a stream away", "[transport]") {
  const std::unique_ptr<Transport> transport = MakeParticipant();
  const std::unique_ptr<EventLoop> loop = transport->MakeServerLoop("loop");
  auto listener = transport->Listen("127.0.0.1:0", {{{"/x/Y", loop.get(), [](auto) {}}}});
  REQUIRE(listener.ok());
  Client client;
  Peer& peer = client.Dial("127.0.0.1:" + std::to_string((*listener)->port()), "/x/Y");
  const std::optional<absl::Status> status = peer.AwaitClosed();
  REQUIRE(status.has_value());
  CHECK(*status == absl::OkStatus());
}

TEST_CASE("a unary call brings the handler's answer or its error", "[transport]") {
  UnaryReply late;
  Gate has_late;
  std::atomic<bool> in_loop{true};
  Server* running = nullptr;
  Server server(Echo, "127.0.0.1:0",
                {{"/kvstore.test.Echo/Reverse", nullptr,
                  [&](Payload request, const UnaryReply& reply) {
                    if (!running->loop().InLoop()) in_loop = false;
                    std::string bytes = request.ToString();
                    std::reverse(bytes.begin(), bytes.end());
                    reply(bytes);
                    reply(absl::InternalError("a second answer"));
                  }},
                 {"/kvstore.test.Echo/Fail", nullptr,
                  [](Payload, const UnaryReply& reply) {
                    reply(absl::NotFoundError("key 17: no such key"));
                  }},
                 {"/kvstore.test.Echo/Forget", nullptr, [](Payload, const UnaryReply&) {}},
                 {"/kvstore.test.Echo/Late", nullptr, [&](Payload, UnaryReply reply) {
                    late = std::move(reply);
                    has_late.Open();
                  }}});
  running = &server;
  const std::unique_ptr<Transport> transport = MakeParticipant();
  const auto call = [&](const std::string& method, const std::string& request,
                        int64_t deadline_ms = 20000) {
    return transport->CallUnary(server.address(), "/kvstore.test.Echo/" + method, request,
                                deadline_ms);
  };

  for (const size_t size : {0, 1, 64, 100000}) {
    const std::string request = Pattern(size, size);
    const absl::StatusOr<std::string> answer = call("Reverse", request);
    CAPTURE(answer.status().ToString());
    REQUIRE(answer.ok());
    CHECK(*answer == std::string(request.rbegin(), request.rend()));
  }
  CHECK(in_loop);

  CHECK(call("Fail", "").status() == absl::NotFoundError("key 17: no such key"));
  CHECK(call("Forget", "").status().code() == absl::StatusCode::kUnavailable);
  CHECK(call("Nothing", "").status().code() == absl::StatusCode::kUnimplemented);

  // Answered from another thread, after the handler returned.
  std::thread answerer([&] {
    REQUIRE(has_late.Await());
    RunOn(server.loop(), [] {});
    late("better late than never");
  });
  const absl::StatusOr<std::string> answer = call("Late", "");
  answerer.join();
  REQUIRE(answer.ok());
  CHECK(*answer == "better late than never");

  // Not answered in time; the answer that comes after the end of everything harms nobody.
  CHECK(call("Late", "", 50).status().code() == absl::StatusCode::kDeadlineExceeded);
  server.listener().Shutdown();
  late("too late");
  CHECK(call("Reverse", "").status().code() == absl::StatusCode::kUnavailable);
  CHECK(transport->CallUnary("nonsense", "/x/Y", "", 100).status().code() ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a shutdown does not wait for an answer that never comes", "[transport]") {
  UnaryReply kept;
  Gate asked;
  auto server = std::make_unique<Server>(
      Echo, "127.0.0.1:0",
      std::vector<UnaryMethod>{{"/kvstore.test.Echo/Never", nullptr, [&](Payload, UnaryReply r) {
                                  kept = std::move(r);
                                  asked.Open();
                                }}});
  const std::string address = server->address();
  absl::Status status;
  std::thread caller([&] {
    const std::unique_ptr<Transport> transport = MakeParticipant();
    status = transport->CallUnary(address, "/kvstore.test.Echo/Never", "", 20000).status();
  });
  REQUIRE(asked.Await());
  server->listener().Shutdown();
  server.reset();  // the loop, too
  kept = nullptr;  // and now nobody can answer any more
  caller.join();
  CAPTURE(status.ToString());
  CHECK(status.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("starting, talking and stopping in any order neither hangs nor leaks", "[transport]") {
  OwnerCount owners;
  const auto bytes = std::make_shared<const std::string>(Pattern(3, 200000));
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    CAPTURE(round);
    auto server = std::make_unique<Server>(Echo);
    auto client = std::make_unique<Client>();
    Peer& one = client->Dial(server->address());
    Peer& two = client->Dial(server->address());
    client->loop().Post([&] {
      for (int i = 0; i < 5; ++i) {
        for (Peer* peer : {&one, &two}) peer->stream->Send(Payload(owners.Wrap(bytes)));
      }
    });
    // Killed in the middle of it: before the first answer, after it, or right away.
    if (round % 3 == 1) REQUIRE(one.AwaitMessages(1));
    if (round % 3 == 2) server->AwaitAccepted(2);
    switch (round % 4) {
      case 0:
        client.reset();
        server.reset();
        break;
      case 1:
        server.reset();
        REQUIRE(one.AwaitClosed().has_value());
        REQUIRE(two.AwaitClosed().has_value());
        client.reset();
        break;
      case 2:
        server->listener().Shutdown();
        client.reset();
        server.reset();
        break;
      case 3: {
        std::thread stopper([&] { client->StopLoop(); });
        server.reset();
        stopper.join();
        client.reset();
        break;
      }
    }
  }
  CHECK(owners.AwaitNone());
  CHECK(owners.released() == kRounds * 10);
}

}  // namespace
}  // namespace kvstore::testing
