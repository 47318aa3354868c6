#include "client/dist/server_reach.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/await_memory.h"
#include "common/transport/methods.h"

namespace kvstore {
namespace {

// How many servers a message names: with a hundred of them behind one firewall a few names say it
// all.
constexpr size_t kServersNamedMax = 3;

}  // namespace

// An event of a stream or a timer comes once, so each waits until it has its memory. Dial() and
// Tell() may be called again after std::bad_alloc.
struct ServerReach::Attempt : std::enable_shared_from_this<Attempt> {
  struct Target {
    Server server;
    bool reached = false;
    std::string trouble;  // why it is not reached; empty while nothing is known
    std::unique_ptr<MessageStream> stream;
  };

  Attempt(Transport* t, EventLoop* l, ServerReachOptions o, Told f)
      : transport(t), loop(l), options(o), told(std::move(f)) {}

  void Begin(std::vector<Server> servers, const Attempt* before);
  std::string TroubleOf(const Server& server) const;
  void Dial(size_t index);
  void OnOpen(size_t index) noexcept;
  void OnClosed(size_t index, const absl::Status& status) noexcept;
  void OnPatienceOver() noexcept;
  void Tell();

  Transport* const transport;
  EventLoop* const loop;
  const ServerReachOptions options;
  const Told told;
  std::vector<Target> targets;
  size_t missing = 0;
  std::string last_told;  // the message; empty: none
  bool told_ok = false;
};

void ServerReach::Attempt::Begin(std::vector<Server> servers, const Attempt* before) {
  missing = servers.size();
  targets.resize(servers.size());
  for (size_t i = 0; i < targets.size(); ++i) {
    targets[i].server = std::move(servers[i]);
    if (before != nullptr) targets[i].trouble = before->TroubleOf(targets[i].server);
    Dial(i);
  }
  loop->Post([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self != nullptr) AwaitMemory([&] { self->Tell(); });
  });
  loop->PostAfter(options.patience_ms, [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self != nullptr) self->OnPatienceOver();
  });
}

std::string ServerReach::Attempt::TroubleOf(const Server& server) const {
  for (const Target& target : targets) {
    if (target.server.rank == server.rank && target.server.address == server.address) {
      return target.reached ? "" : target.trouble;
    }
  }
  return "";
}

// Dials shard 0; any would do, since all are behind the same address.
void ServerReach::Attempt::Dial(size_t index) {
  StreamEvents events;
  events.on_open = [weak = weak_from_this(), index] {
    if (const auto self = weak.lock(); self != nullptr) self->OnOpen(index);
  };
  events.on_closed = [weak = weak_from_this(), index](const absl::Status& status) {
    if (const auto self = weak.lock(); self != nullptr) self->OnClosed(index, status);
  };
  targets[index].stream =
      transport->Dial(*loop, targets[index].server.address, ShardMethod(0), std::move(events));
}

void ServerReach::Attempt::OnOpen(size_t index) noexcept {
  Target& target = targets[index];
  target.reached = true;
  target.stream.reset();
  --missing;
  AwaitMemory([&] { Tell(); });
}

void ServerReach::Attempt::OnClosed(size_t index, const absl::Status& status) noexcept {
  Target& target = targets[index];
  target.stream.reset();
  AwaitMemory([&] {
    std::string trouble = status.ok() ? "it closed the connection" : std::string(status.message());
    // The message names the address already.
    const std::string prefix = fmt::format("{} {}: ", target.server.address, ShardMethod(0));
    if (trouble.rfind(prefix, 0) == 0) trouble.erase(0, prefix.size());
    target.trouble = std::move(trouble);
  });
  AwaitMemory([&] {
    loop->PostAfter(options.redial_ms, [weak = weak_from_this(), index] {
      if (const auto self = weak.lock(); self != nullptr) AwaitMemory([&] { self->Dial(index); });
    });
  });
  AwaitMemory([&] { Tell(); });
}

void ServerReach::Attempt::OnPatienceOver() noexcept {
  AwaitMemory([&] {
    for (Target& target : targets) {
      if (!target.reached && target.trouble.empty()) {
        target.trouble =
            fmt::format("no answer for {:g} s", static_cast<double>(options.patience_ms) / 1000);
      }
    }
    Tell();
  });
}

void ServerReach::Attempt::Tell() {
  if (missing == 0) {
    if (!told_ok) told(absl::OkStatus());
    told_ok = true;
    return;
  }
  std::string names;
  size_t troubled = 0;
  for (const Target& target : targets) {
    if (target.reached || target.trouble.empty()) continue;
    if (++troubled > kServersNamedMax) continue;
    names += fmt::format("{}server {} at {} ({})", names.empty() ? "" : ", ", target.server.rank,
                         target.server.address, target.trouble);
  }
  if (troubled == 0) return;
  if (troubled > kServersNamedMax)
    names += fmt::format(" and {} more", troubled - kServersNamedMax);
  std::string message = "cannot reach " + names;
  if (last_told == message) return;
  told(absl::UnavailableError(message));
  last_told = std::move(message);
}

ServerReach::ServerReach(Transport* transport, EventLoop* loop, ServerReachOptions options)
    : transport_(transport), loop_(loop), options_(options) {}
ServerReach::~ServerReach() = default;

void ServerReach::Try(std::vector<Server> servers, Told told) {
  const std::shared_ptr<Attempt> before = std::move(attempt_);
  attempt_ = std::make_shared<Attempt>(transport_, loop_, options_, std::move(told));
  attempt_->Begin(std::move(servers), before.get());
}

void ServerReach::Stop() { attempt_.reset(); }

}  // namespace kvstore
