#include "common/transport/inproc/inproc_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/transport/host_port.h"
#include "common/transport/inproc/inproc_loop.h"

namespace kvstore {
namespace {

absl::Status NotServed(const std::string& address, const std::string& method) {
  return absl::UnimplementedError(
      fmt::format("{}: method {} is not served there", address, method));
}

absl::Status ShutDownStatus(const std::string& address) {
  return absl::UnavailableError(fmt::format("{}: the listener shut down", address));
}

template <typename Method>
const Method* FindMethod(const std::vector<Method>& methods, const std::string& name) {
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [&name](const Method& method) { return method.method == name; });
  return found == methods.end() ? nullptr : &*found;
}

// A listener on all addresses is found under each of them.
std::string WildcardOf(const HostPort& address) { return fmt::format("0.0.0.0:{}", address.port); }
bool IsWildcard(const HostPort& address) {
  return address.host == "0.0.0.0" || address.host == "::";
}

}  // namespace

absl::Status InprocListenerState::Accept(const std::string& method,
                                         const std::shared_ptr<InprocLink>& link,
                                         const std::shared_ptr<InprocEnd>& client) {
  const ServedMethod* served = FindMethod(options_.methods, method);
  if (served == nullptr) return NotServed(address_, method);
  auto* loop = static_cast<InprocLoop*>(served->loop);
  MutexLock lock(mutex_);
  if (closing_) return ShutDownStatus(address_);
  auto server =
      std::make_shared<InprocEnd>(loop->end(), link, fmt::format("inproc:{}", ++accepted_));
  server->Connect(client);
  client->Connect(server);
  const auto gone = [](const Connection& connection) { return connection.server.expired(); };
  connections_.erase(std::remove_if(connections_.begin(), connections_.end(), gone),
                     connections_.end());
  connections_.push_back({link, client, server});
  // Posted under the lock, so that the end which Shutdown posts comes after it.
  loop->Post([server, accept = served->acceptor] {
    try {
      server->EnterLoop();
      accept(std::make_unique<InprocStream>(server));
    } catch (const std::bad_alloc&) {
      server->End(absl::UnavailableError("no memory for a stream"), /*tell=*/true);
    }
  });
  return absl::OkStatus();
}

absl::Status InprocListenerState::Call(const std::string& method, const std::string& request,
                                       UnaryReply reply) {
  const UnaryMethod* served = FindMethod(options_.unary_methods, method);
  if (served == nullptr) return NotServed(address_, method);
  MutexLock lock(mutex_);
  if (closing_) return ShutDownStatus(address_);
  served->loop->Post([served, request, reply = std::move(reply)] {
    served->handler(Payload::CopyOf(request), reply);
  });
  return absl::OkStatus();
}

void InprocListenerState::BreakStreams() {
  std::vector<Connection> connections;
  {
    MutexLock lock(mutex_);
    connections.swap(connections_);
  }
  const absl::Status status = absl::UnavailableError(fmt::format("{}: connection lost", address_));
  for (const Connection& connection : connections) {
    connection.link->broken.store(true, std::memory_order_release);
    if (const auto client = connection.client.lock()) client->PostEnd(status);
    if (const auto server = connection.server.lock()) server->PostEnd(status);
  }
}

void InprocListenerState::Shutdown() {
  std::vector<Connection> connections;
  {
    MutexLock lock(mutex_);
    closing_ = true;
    connections.swap(connections_);
  }
  for (const Connection& connection : connections) {
    if (const auto server = connection.server.lock()) server->PostEnd(ShutDownStatus(address_));
  }
  // When these tasks have run, so have the ends posted before them. The last task to go opens the
  // gate, also if its loop drops it.
  struct Gate {
    Mutex mutex;
    CondVar cond;
    bool open KVS_GUARDED_BY(mutex) = false;
  };
  const auto gate = std::make_shared<Gate>();
  {
    const std::shared_ptr<void> pass(nullptr, [gate](void*) {
      MutexLock lock(gate->mutex);
      gate->open = true;
      gate->cond.NotifyAll();
    });
    const auto post = [&pass](EventLoop* loop) {
      KVS_CHECK(!loop->InLoop());
      loop->Post([pass] {});
    };
    for (const ServedMethod& method : options_.methods) post(method.loop);
    for (const UnaryMethod& method : options_.unary_methods) post(method.loop);
  }
  MutexLock lock(gate->mutex);
  while (!gate->open) gate->cond.Wait(gate->mutex);
}

void InprocNetwork::BreakStreams(const std::string& address) {
  std::shared_ptr<InprocListenerState> listener;
  {
    MutexLock lock(mutex_);
    const auto found = listeners_.find(address);
    if (found == listeners_.end()) return;
    listener = found->second;
  }
  listener->BreakStreams();
}

void InprocNetwork::SetUnreachable(const std::string& address, bool unreachable) {
  MutexLock lock(mutex_);
  if (unreachable) {
    unreachable_.insert(address);
  } else {
    unreachable_.erase(address);
  }
}

absl::StatusOr<std::shared_ptr<InprocListenerState>> InprocNetwork::Bind(const std::string& address,
                                                                         ListenOptions options) {
  KVS_ASSIGN_OR_RETURN(HostPort wanted, ParseHostPort(address));
  MutexLock lock(mutex_);
  if (wanted.port == 0) wanted.port = next_port_++;
  const std::string bound = IsWildcard(wanted) ? WildcardOf(wanted) : HostPortString(wanted);
  if (listeners_.count(bound) != 0 || listeners_.count(WildcardOf(wanted)) != 0) {
    return absl::UnavailableError(fmt::format("address {}: already in use", bound));
  }
  auto state = std::make_shared<InprocListenerState>(bound, std::move(options));
  listeners_.emplace(bound, state);
  return state;
}

void InprocNetwork::Unbind(const std::string& address) {
  MutexLock lock(mutex_);
  listeners_.erase(address);
}

absl::StatusOr<std::shared_ptr<InprocListenerState>> InprocNetwork::Find(
    const std::string& address) {
  KVS_ASSIGN_OR_RETURN(const HostPort wanted, ParseHostPort(address));
  MutexLock lock(mutex_);
  auto found = listeners_.find(HostPortString(wanted));
  if (found == listeners_.end()) found = listeners_.find(WildcardOf(wanted));
  if (found == listeners_.end() || unreachable_.count(address) != 0) {
    return absl::UnavailableError(fmt::format("{}: nobody there", address));
  }
  return found->second;
}

}  // namespace kvstore
