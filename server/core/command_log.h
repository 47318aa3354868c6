// CommandLog: the commands that workers sent to a server, each of which runs once however often it
// comes. A command is named by its worker's incarnation and its request number; what became of it
// is kept, for the repeats that come later.
//
// Shard-bound, pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "server/core/reply_batch.h"

namespace kvstore {

class CommandLog {
 public:
  // Commands that are kept of one worker. The oldest that is done is forgotten for a new one.
  static constexpr size_t kKeptMax = 64;

  enum class Kind {
    kNew,        // to be run, as `ticket`
    kRunning,    // a repeat; its answer now goes to the stream that asked last
    kDone,       // a repeat of one that is over, as `outcome` says
    kForgotten,  // older than one that was forgotten, so perhaps a repeat: not run
    kFull,       // kKeptMax of this worker are running
  };
  struct Arrival {
    Kind kind = Kind::kNew;
    uint64_t ticket = 0;
    absl::Status outcome;
  };
  // Notes the arrival of a command, and says what is to become of it. If it throws std::bad_alloc
  // nothing is noted, as if the command had not come.
  Arrival Arrived(const ReplyTo& from, const EntryHead& request);

  struct Answer {
    ReplyTo to;
    EntryHead request;
  };
  // Notes the outcome, and returns who is to be told of it; nothing if the log was cleared since
  // the command came.
  std::optional<Answer> Finish(uint64_t ticket, absl::Status outcome);

  // A new job.
  void Clear();

 private:
  struct Entry {
    ReplyTo to;
    EntryHead request;
    bool done = false;
    absl::Status outcome;
  };
  struct Worker {
    std::map<RequestId, Entry> kept;
    RequestId forgotten_through = 0;
  };
  std::map<Incarnation, Worker> workers_;
  std::map<uint64_t, std::pair<Incarnation, RequestId>> running_;  // by ticket
  uint64_t last_ticket_ = 0;                                       // never begins anew
};

}  // namespace kvstore
