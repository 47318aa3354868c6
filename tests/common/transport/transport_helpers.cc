// The actors of the conformance tests.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "common/base/hash.h"
#include "tests/common/transport/transport_conformance.h"

namespace kvstore::testing {

void RunOn(EventLoop& loop, std::function<void()> work) {
  Gate done;
  loop.Post([&] {
    work();
    done.Open();
  });
  const bool in_time = done.Await();  // not inside of REQUIRE: `work` may assert, too
  REQUIRE(in_time);
}

StreamEvents Peer::Events() {
  return {[this](Payload message) {
            MutexLock lock(mutex_);
            messages_.push_back(message.ToString());
            cond_.NotifyAll();
          },
          [this](absl::Status status) {
            MutexLock lock(mutex_);
            closed_ = std::move(status);
            cond_.NotifyAll();
          }};
}

bool Peer::AwaitMessages(size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (messages_.size() < count) {
    if (!cond_.WaitUntil(mutex_, deadline)) return messages_.size() >= count;
  }
  return true;
}

std::optional<absl::Status> Peer::AwaitClosed() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (!closed_.has_value()) {
    if (!cond_.WaitUntil(mutex_, deadline)) break;
  }
  return closed_;
}

std::vector<std::string> Peer::messages() {
  MutexLock lock(mutex_);
  return messages_;
}

bool Peer::closed() {
  MutexLock lock(mutex_);
  return closed_.has_value();
}

Server::Server(OnMessage on_message, const std::string& address, std::vector<UnaryMethod> unary)
    : transport_(MakeParticipant()),
      loop_(transport_->MakeServerLoop("test-server")),
      on_message_(std::move(on_message)) {
  for (UnaryMethod& method : unary) {
    if (method.loop == nullptr) method.loop = loop_.get();
  }
  const auto accept = [this](std::unique_ptr<MessageStream> stream) {
    auto owned = std::make_unique<Peer>();
    Peer* peer = owned.get();
    peer->stream = std::move(stream);
    StreamEvents events = peer->Events();
    peer->stream->SetEvents({[this, peer, record = events.on_message](Payload message) {
                               record(message);
                               if (on_message_) on_message_(*peer, std::move(message));
                             },
                             events.on_closed});
    MutexLock lock(mutex_);
    peers_.push_back(std::move(owned));
    cond_.NotifyAll();
  };
  auto listener = transport_->Listen(address, {{{kMethod, loop_.get(), accept}}, std::move(unary)});
  CAPTURE(listener.status().ToString());
  REQUIRE(listener.ok());
  listener_ = *std::move(listener);
  address_ = address.substr(0, address.rfind(':')) + fmt::format(":{}", listener_->port());
}

Server::~Server() {
  listener_->Shutdown();
  loop_.reset();
}

Peer& Server::AwaitAccepted(size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (peers_.size() < count) {
    const bool in_time = cond_.WaitUntil(mutex_, deadline);
    REQUIRE((in_time || peers_.size() >= count));
  }
  return *peers_[count - 1];
}

Peer& Client::Dial(const std::string& address, const std::string& method) {
  peers_.push_back(std::make_unique<Peer>());
  Peer& peer = *peers_.back();
  RunOn(*loop_, [&] { peer.stream = transport_->Dial(*loop_, address, method, peer.Events()); });
  return peer;
}

Peer& Client::Dial(const std::string& address, const std::string& method, StreamEvents events) {
  peers_.push_back(std::make_unique<Peer>());
  Peer& peer = *peers_.back();
  RunOn(*loop_,
        [&] { peer.stream = transport_->Dial(*loop_, address, method, std::move(events)); });
  return peer;
}

void Client::Send(Peer& peer, const std::string& bytes) {
  loop_->Post([&peer, bytes] { peer.stream->Send(Payload::CopyOf(bytes)); });
}

void Client::Close(Peer& peer) {
  RunOn(*loop_, [&] { peer.stream->Close(); });
}

Slice OwnerCount::Wrap(std::shared_ptr<const std::string> bytes) {
  made_.fetch_add(1);
  const auto* data = reinterpret_cast<const uint8_t*>(bytes->data());
  const size_t size = bytes->size();
  const std::shared_ptr<const void> owner(data, [this, bytes](const void*) {
    MutexLock lock(mutex_);
    released_.fetch_add(1);
    cond_.NotifyAll();
  });
  return Slice{data, size, owner};
}

bool OwnerCount::AwaitNone() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (released_.load() < made_.load()) {
    if (!cond_.WaitUntil(mutex_, deadline)) return released_.load() == made_.load();
  }
  return true;
}

std::string Pattern(uint64_t seed, size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(Mix64(seed * 0x100000 + i / 8) >> (8 * (i % 8)));
  }
  return bytes;
}

}  // namespace kvstore::testing
