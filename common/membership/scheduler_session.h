// SchedulerSession: the thin shell that runs a MembershipCore over a transport: dials, encodes,
// decodes, keeps the time. Servers and workers use the same.
//
// Memory: a call is tried on a draft of the core, so that one that finds none has not happened.
// What happened and cannot be sent, and a message that cannot be taken, break the session: the core
// opens another one, on which all that is open is said again. What cannot be learned is told again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/membership/core/membership_core.h"
#include "common/transport/loop_timer.h"
#include "common/transport/transport.h"

namespace kvstore {

// Loop-bound; may be made before its loop runs anything of it, and destroyed after its loop.
class SchedulerSession {
 public:
  // What a call or an event brought: everything of the outbox from `registered` on. Called last;
  // must not destroy the session. If it throws std::bad_alloc it is called again with the same.
  using Learned = std::function<void(const MembershipOutbox&)>;

  // `transport` and `loop` outlive the session, unless the loop is destroyed first.
  SchedulerSession(Transport* transport, EventLoop* loop, std::string scheduler,
                   MembershipOptions options, Learned learned);
  ~SchedulerSession();

  void Start() noexcept;
  // See MembershipCore. Without memory for these two the scheduler will propose again.
  void Confirm(uint64_t attempt) noexcept;
  void NotReady(uint64_t attempt, const std::string& why) noexcept;
  // These may throw std::bad_alloc; then they have not happened.
  uint64_t Barrier(uint64_t deadline_ms);
  void Begin();
  void Leave();
  void ReportFailure(const std::string& message);
  // Closes the session for good; nothing is learned any more.
  void Stop();

  const MembershipCore& core() const { return core_; }
  // Why there is no session: what the transport or the scheduler said last. Empty: nothing yet.
  const std::string& trouble() const { return trouble_; }

 private:
  // May throw std::bad_alloc; then nothing has happened.
  template <typename Call>
  void Run(Call call);
  // The same for events; false if nothing has happened.
  template <typename Call>
  bool TryRun(Call call) noexcept;
  void Dial();
  void Learn(MembershipOutbox out) noexcept;
  void LearnAll() noexcept;
  void OnTimer() noexcept;
  void OnMessage(const Payload& bytes) noexcept;
  void OnClosed(const absl::Status& status) noexcept;
  // The last thing that every event does: what there was no memory for is tried again.
  void CatchUp() noexcept;

  Transport* const transport_;
  EventLoop* const loop_;
  const std::string scheduler_;
  MembershipCore core_;
  const Learned learned_;
  LoopTimer timer_;
  std::unique_ptr<MessageStream> stream_;
  std::string trouble_;
  bool broken_ = false;  // the stream is gone, and the core has not heard of it yet
  std::vector<MembershipOutbox> unlearned_;  // has room for kUnlearnedMax, and never moves
  bool learning_ = false;                    // learned_ is being called
  bool stopped_ = false;
};

}  // namespace kvstore
