// SchedulerSession: the thin shell that runs a MembershipCore over a transport: dials, encodes,
// decodes, keeps the time. Servers and workers use the same.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/membership/core/membership_core.h"
#include "common/transport/loop_timer.h"
#include "common/transport/transport.h"

namespace kvstore {

// Loop-bound; may be made before its loop runs anything of it, and destroyed after its loop.
class SchedulerSession {
 public:
  // What a call or an event brought: everything of the outbox from `registered` on. Called last;
  // must not destroy the session.
  using Learned = std::function<void(const MembershipOutbox&)>;

  // `transport` and `loop` outlive the session, unless the loop is destroyed first.
  SchedulerSession(Transport* transport, EventLoop* loop, std::string scheduler,
                   MembershipOptions options, Learned learned);
  ~SchedulerSession();

  void Start();
  uint64_t Barrier(uint64_t deadline_ms);
  // See MembershipCore.
  void Confirm(uint64_t attempt);
  void NotReady(uint64_t attempt, const std::string& why);
  void Begin();
  void Leave();
  void ReportFailure(const std::string& message);
  // Closes the session for good; nothing is learned any more.
  void Stop();

  const MembershipCore& core() const { return core_; }
  // Why there is no session: what the transport or the scheduler said last. Empty: nothing yet.
  const std::string& trouble() const { return trouble_; }

 private:
  template <typename Call>
  void Run(Call call);
  void Dial();
  void OnMessage(const Payload& bytes);
  void OnClosed(const absl::Status& status);

  Transport* const transport_;
  EventLoop* const loop_;
  const std::string scheduler_;
  MembershipCore core_;
  const Learned learned_;
  LoopTimer timer_;
  std::unique_ptr<MessageStream> stream_;
  std::string trouble_;
  bool stopped_ = false;
};

}  // namespace kvstore
