// WaitingRoom: the requests of a shard that wait, each in the record of its part: an Init for the
// value, a push for the end of its round, a pull for its version. It bounds how many there are and
// how much memory they take, and answers them when their time has come.
//
// Shard-bound, pure.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "server/core/fragments.h"
#include "server/core/part_table.h"
#include "server/core/reply_batch.h"
#include "server/core/server_core.h"
#include "server/core/waiter.h"
#include "server/core/work_recorder.h"

namespace kvstore {

// What a reply to a push brings: what there is to be told of norms, or nothing.
Payload NormsFor(const Part& part, WorkerRank rank, Round round);

class WaitingRoom {
 public:
  // `parts` and `view` outlive the room, and so does `recorder`, if it is not null.
  WaitingRoom(const ServerCoreOptions& options, PartTable* parts, const View* view,
              WorkRecorder* recorder)
      : options_(options), parts_(parts), view_(view), recorder_(recorder) {
    parking_.bytes_max = options.parked_bytes_max;
  }

  // The memory of what waits, and of contributions that are before their turn.
  ParkingLot& parking() { return parking_; }
  uint64_t parked_bytes() const { return parking_.bytes; }

  // A new job: nobody waits. (PartTable::Begin has cleared the records.)
  void Clear();

  // The request waits. If it throws std::bad_alloc, it does not. What a pull asks for is copied; a
  // repeat is answered in the place of what it repeats. Errors: RESOURCE_EXHAUSTED, then nothing is
  // kept; `*retry`: there will be room again.
  absl::Status Park(Waiter waiter, bool* retry);
  // The request of that node that waits in the record; null if there is none.
  static Waiter* Find(PartRecord& record, const ReplyTo& from, RequestId request);
  // Answers the waiting requests of the record, which has a part, whose time has come. Returns
  // since when the oldest one of them waited that is a pull of another worker than `of`; nothing if
  // there was none. If it throws std::bad_alloc, the others wait on, for somebody to ask after
  // them: AnswerIfReady().
  std::optional<int64_t> AnswerReady(WorkerRank of, PartRecord& record, ReplyBatch& replies);
  // Forgets the requests of a reader that wait to be answered on the stream. Nothing if it is a
  // worker's, whose requests outlive their streams.
  void ForgetReader(PeerId peer) noexcept;
  // Tells the waiting pushes of the record, which has a part, of the norms that their updates wait
  // for. If it throws std::bad_alloc: as AnswerReady.
  static void TellNorms(const PartRecord& record, ReplyBatch& replies);
  // A life of the record has ended: pushes and pulls that waited get NOT_FOUND. If its value was
  // deleted DELETEs are done, and RESETs get NOT_FOUND, too; if it was reset RESETs are done, and
  // DELETEs wait on. If it throws std::bad_alloc, those who were not answered will ask, and hear
  // the same.
  void EndLife(PartRecord& record, ReplyBatch& replies);
  // Answers one of the waiting requests, if its time has come. True: it was answered and waits no
  // more. False: it waits on.
  bool AnswerIfReady(PartRecord& record, Waiter& waiter, ReplyBatch& replies);
  // Answers a request about the part, which is in that life, if its time has come. False: it has to
  // wait.
  bool Answer(const Waiter& waiter, Part& part, uint64_t life, ReplyBatch& replies) const;

 private:
  // A waiter is in a record from now on, or no more.
  void CountIn(const Waiter& waiter) noexcept;
  void CountOut(const Waiter& waiter) noexcept;
  void DropAnswered(PartRecord& record);
  // Has the wait of a request recorded that is answered now.
  void RecordWait(const Waiter& waiter, const Part& part) const;
  // What a pull is told whose time has come.
  void AnswerPull(const Waiter& waiter, Part& part, ReplyBatch& replies, ReplyEntry* reply) const;

  const ServerCoreOptions options_;
  PartTable* const parts_;
  const View* const view_;
  WorkRecorder* const recorder_;
  ParkingLot parking_;
  uint64_t waiting_ = 0;          // in all records
  uint64_t readers_waiting_ = 0;  // of these, of readers
};

}  // namespace kvstore
