#include "common/transport/inproc/inproc_transport.h"

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/detached_status.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/transport/check_methods.h"
#include "common/transport/dead_stream.h"
#include "common/transport/host_port.h"
#include "common/transport/inproc/inproc_loop.h"
#include "common/transport/unary_reply.h"

namespace kvstore {
namespace {

class InprocListener final : public Listener {
 public:
  InprocListener(std::shared_ptr<InprocNetwork> network, std::shared_ptr<InprocListenerState> state)
      : network_(std::move(network)), state_(std::move(state)) {}
  ~InprocListener() override { Shutdown(); }
  InprocListener(const InprocListener&) = delete;
  InprocListener& operator=(const InprocListener&) = delete;

  int port() const override { return ParseHostPort(state_->address())->port; }
  void Shutdown() override {
    if (shut_down_) return;
    shut_down_ = true;
    network_->Unbind(state_->address());
    state_->Shutdown();
  }

 private:
  const std::shared_ptr<InprocNetwork> network_;
  const std::shared_ptr<InprocListenerState> state_;
  bool shut_down_ = false;
};

}  // namespace

std::unique_ptr<EventLoop> InprocTransport::MakeLoop(const std::string& name) {
  return std::make_unique<InprocLoop>(name, /*serves=*/false);
}

std::unique_ptr<EventLoop> InprocTransport::MakeServerLoop(const std::string& name) {
  return std::make_unique<InprocLoop>(name, /*serves=*/true);
}

absl::StatusOr<std::unique_ptr<Listener>> InprocTransport::Listen(const std::string& address,
                                                                  ListenOptions options) {
  KVS_RETURN_IF_ERROR(CheckMethods<InprocLoop>(options));
  KVS_ASSIGN_OR_RETURN(std::shared_ptr<InprocListenerState> state,
                       network_->Bind(address, std::move(options)));
  return std::make_unique<InprocListener>(network_, std::move(state));
}

std::unique_ptr<MessageStream> InprocTransport::Dial(EventLoop& loop, const std::string& address,
                                                     const std::string& method,
                                                     StreamEvents events) {
  KVS_CHECK(loop.InLoop());
  absl::StatusOr<std::shared_ptr<InprocListenerState>> listener = network_->Find(address);
  if (!listener.ok()) {
    return std::make_unique<DeadStream>(loop, std::move(events), listener.status());
  }
  auto link = std::make_shared<InprocLink>();
  link->messages = network_->message_counter();
  link->message_bytes_max = network_->message_bytes_max();
  auto client = std::make_shared<InprocEnd>(static_cast<InprocLoop&>(loop).end(), link,
                                            fmt::format("inproc:{}", address));
  // The end is entered and posted to from here on: if memory runs out, the handle closes it.
  auto handle = std::make_unique<InprocStream>(client);
  client->SetEvents(std::move(events));
  client->EnterLoop();
  client->PostOpen();  // before anything that the listener says
  if (absl::Status accepted = (*listener)->Accept(method, link, client); !accepted.ok()) {
    client->PostEnd(accepted);
  }
  return handle;
}

absl::StatusOr<std::string> InprocTransport::CallUnary(const std::string& address,
                                                       const std::string& method,
                                                       const std::string& request,
                                                       int64_t deadline_ms) {
  struct Answer {
    Mutex mutex;
    CondVar cond;
    std::optional<absl::StatusOr<std::string>> result KVS_GUARDED_BY(mutex);
  };
  KVS_ASSIGN_OR_RETURN(const std::shared_ptr<InprocListenerState> listener,
                       network_->Find(address));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
  const auto answer = std::make_shared<Answer>();
  KVS_RETURN_IF_ERROR(
      listener->Call(method, request, MakeUnaryReply([answer](absl::StatusOr<std::string> result) {
                       MutexLock lock(answer->mutex);
                       if (!result.ok()) result = Detached(result.status());
                       answer->result = std::move(result);
                       answer->cond.NotifyAll();
                     })));
  MutexLock lock(answer->mutex);
  while (!answer->result.has_value()) {
    if (!answer->cond.WaitUntil(answer->mutex, deadline) && !answer->result.has_value()) {
      return absl::DeadlineExceededError(
          fmt::format("{} {}: no answer within {} ms", address, method, deadline_ms));
    }
  }
  // Moved: a copy would share the status with the thread that answered.
  return *std::move(answer->result);
}

}  // namespace kvstore
