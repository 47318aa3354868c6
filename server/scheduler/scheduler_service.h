// SchedulerService: the thin shell that runs a SchedulerCore on one loop: sessions in, persist,
// then messages out (S1), the timer, and the operator's question. The state file has a thread of
// its own, so that whoever waits for the disk keeps nobody else waiting; PersistQueue says what may
// be told when.
//
// Memory: a call is tried on a draft of the core, which becomes the core when what it wants
// published has its place in the queue; so a call that finds no memory has not happened. A message
// that is not taken, or an answer that cannot be sent, closes its session: the node comes back and
// asks again. The end of a session, a timer and a write are tried again. The process ends for none
// of it. (What gRPC itself does without memory is not in our hands: docs/operations.md.)
//
//   /kvstore.v1.Scheduler/Session    a stream per node
//   /kvstore.v1.Scheduler/GetStatus  unary
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/transport/loop_timer.h"
#include "common/transport/transport.h"
#include "server/scheduler/core/persist_queue.h"
#include "server/scheduler/core/scheduler_core.h"
#include "server/scheduler/state_file.h"

namespace kvstore {

struct SchedulerServiceOptions {
  SchedulerOptions core;
  std::string listen;  // HOST:PORT, port 0: the system chooses
  // A session that says nothing for so long after it opened is closed.
  int64_t first_message_ms = 10000;
  // More sessions that have said nothing yet are refused with RESOURCE_EXHAUSTED.
  size_t silent_sessions_max = 1024;
  // A session is closed with RESOURCE_EXHAUSTED if it sends more while so many of its messages are
  // not answered yet (because the disk is slow), or so many bytes of answers not read.
  size_t unanswered_messages_max = 1u << 16;
  size_t unread_bytes_max = 16u << 20;
};

struct SchedulerServiceEvents {
  // The state could not be written: nothing is answered any more, and the process must end.
  std::function<void(absl::Status)> on_broken;
  // A job is over, and everybody who had a part in it was told, or was away for too long.
  std::function<void(v1::JobEnded)> on_job_over;
};

class SchedulerService {
 public:
  // Goes on from what `file` holds; null: the state is in memory only. Serves when it returns.
  // `transport` outlives the service; events come on the service's thread.
  // Errors: DATA_LOSS or FAILED_PRECONDITION the state (SchedulerCore::CheckState, StateFile);
  // those of Transport::Listen.
  static absl::StatusOr<std::unique_ptr<SchedulerService>> Start(SchedulerServiceOptions options,
                                                                 std::unique_ptr<StateFile> file,
                                                                 Transport* transport,
                                                                 SchedulerServiceEvents events);
  // Closes all sessions; what was sent before still goes out.
  ~SchedulerService();

  int port() const { return listener_->port(); }

 private:
  struct Session {
    std::unique_ptr<MessageStream> stream;
    bool spoke = false;
    size_t unanswered = 0;  // messages whose answers are not sent yet
    bool closing = false;   // the core has closed it; it ends when what was said before is sent
    bool lost = false;      // it is closed, and the core has not heard of it yet
  };

  SchedulerService(SchedulerServiceOptions options, std::unique_ptr<StateFile> file,
                   Transport* transport, SchedulerServiceEvents events);
  absl::Status Begin(std::optional<v1::SchedulerState> state);
  absl::Status Listen(Transport* transport);

  // May throw std::bad_alloc; then the stream ends, and nothing has changed.
  void Accept(std::unique_ptr<MessageStream> stream);
  void OnMessage(SessionId id, const Payload& bytes) noexcept;
  // May throw std::bad_alloc; then the message is not taken.
  void Take(SessionId id, const Payload& bytes);
  void OnSilence(SessionId id) noexcept;
  void OnClosed(SessionId id) noexcept;
  void OnTimer() noexcept;
  void RefuseAndClose(SessionId id, const absl::Status& why) noexcept;
  void Lose(Session* session) noexcept;
  // Does a call as a whole (true) or, without memory, not at all.
  template <typename Call>
  bool Run(Call call) noexcept;
  // Begins to write the newest state, if it is not on disk and no write is under way.
  void Write() noexcept;
  void Save(const v1::SchedulerState& state) noexcept;  // on the writer's thread
  void OnWritten(const absl::Status& status) noexcept;
  void Apply(const std::shared_ptr<const SchedulerOutbox>& out) noexcept;
  // The last thing that every event does: tells the core of lost sessions, and does what is still
  // to be done because there was no memory for it.
  void CatchUp() noexcept;

  const SchedulerServiceOptions options_;
  const std::unique_ptr<StateFile> file_;  // of the writer, once it listens
  const SchedulerServiceEvents events_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<EventLoop> writer_;  // its tasks use loop_, never the other way round

  // Refusals, made before they are needed.
  const absl::Status silent_;
  const absl::Status too_many_silent_;

  // Of the loop, from the moment it listens.
  std::unique_ptr<SchedulerCore> core_;
  PersistQueue untold_;
  LoopTimer timer_;
  std::map<SessionId, Session> sessions_;
  SessionId last_session_ = 0;
  size_t silent_sessions_ = 0;
  size_t lost_sessions_ = 0;
  std::shared_ptr<const SchedulerOutbox> ending_;  // whose job_ended is still to be told
  bool over_ = false;  // stopping, or broken: the core hears nothing any more

  std::unique_ptr<Listener> listener_;
};

}  // namespace kvstore
