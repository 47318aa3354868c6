// A lane: one direction of a stream whose messages lie in memory that both ends share. The sender
// copies a message into free blocks and tells the other end where it lies, by a short message over
// the network; the receiver reads it there, and marks it as read when nobody needs it any more.
//
//   blocks     0    1    2    3    4    5    6    7        a message of 40 KB takes 3 blocks of 16
//   KiB
//            [A A A][B ][C C C    ][free       ]           A was read: its mark is 0, and the next
//   marks      0    1    1                                 message goes where it was
//
// Messages are read in any order. The lowest free blocks are used first, so that a lane of which
// little is needed stays in the cache, and takes no more memory than it needs.
//
// The sender alone knows which blocks are whose; of the shared memory it believes the marks alone.
// A receiver that lies about them spoils what it gets itself, and nothing else.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "common/transport/shm/shared_memory.h"
#include "common/wire/payload.h"

namespace kvstore {

// 16 KiB: small messages waste little, and a mark for each fits into one page.
inline constexpr size_t kLaneBlockBytes = 16 << 10;
inline constexpr uint32_t kLaneBlocksMax = 512;

// Where a message lies: from the start of block `block` on.
struct Extent {
  uint32_t block = 0;
  uint32_t bytes = 0;
};

// The two lanes of a stream within one piece of shared memory: a page for the token, one for the
// marks of each lane, then the blocks.
class LaneMemory {
 public:
  static size_t BytesFor(uint32_t blocks);

  // `lane`: 0 from the dialling end, 1 to it.
  LaneMemory(std::shared_ptr<SharedMemory> memory, uint32_t blocks, int lane);

  uint32_t blocks() const { return blocks_; }
  uint8_t* data() const { return memory_->data() + data_offset_; }
  // Not 0: the message that begins in this block was sent, and is still being read.
  std::atomic<uint32_t>& mark(uint32_t block) const { return marks_[block]; }
  // Not 0: the sender waits for room.
  std::atomic<uint32_t>& starving() const { return marks_[kLaneBlocksMax]; }
  bool Reserve(uint32_t block, uint32_t count) const;

 private:
  std::shared_ptr<SharedMemory> memory_;
  uint32_t blocks_;
  size_t data_offset_;
  std::atomic<uint32_t>* marks_;
};

// The sender's end. One thread.
class LaneSender {
 public:
  explicit LaneSender(LaneMemory memory) : memory_(std::move(memory)), used_(memory_.blocks()) {}

  bool Fits(size_t bytes) const { return bytes <= memory_.blocks() * kLaneBlockBytes; }
  // Copies the message into the lane. Nullopt: there is no room now. A message that does not fit
  // never has.
  std::optional<Extent> Put(const Payload& message);
  // The message that was just put there is not announced: its blocks are free again.
  void TakeBackUnannounced(const Extent& extent) { memory_.mark(extent.block).store(0); }
  // The system gave no memory for the lane: it will not be tried again.
  bool broken() const { return broken_; }
  // Asks the receiver to tell when there is room.
  void AskForRoom() { memory_.starving().store(1, std::memory_order_seq_cst); }

 private:
  struct Sent {
    uint32_t block = 0;
    uint32_t count = 0;
  };

  // Takes back what was read; `all`: not only what was sent first.
  void TakeBack(bool all);
  void Free(const Sent& sent);
  // The first of `count` free blocks in a row.
  std::optional<uint32_t> FindFree(uint32_t count) const;

  LaneMemory memory_;
  std::vector<uint8_t> used_;  // by block
  std::deque<Sent> sent_;      // the oldest first
  uint32_t reserved_ = 0;      // blocks for which the system has given memory
  bool broken_ = false;
};

// The receiver's end. Take and RoomIsDue on one thread; payloads go on any.
class LaneReceiver {
 public:
  explicit LaneReceiver(LaneMemory memory) : shared_(std::make_shared<Shared>(std::move(memory))) {}

  // The message that lies there; its bytes stay until the last copy of the payload is gone. Nullopt
  // if no message can lie there.
  std::optional<Payload> Take(const Extent& extent);
  // The sender waits for room, and enough was read to make it worth a word, or all of it: to be
  // asked when something was read. Answers true once.
  bool RoomIsDue();

 private:
  // Outlives the receiver while something of the lane is being read.
  struct Shared {
    explicit Shared(LaneMemory lane) : memory(std::move(lane)) {}
    const LaneMemory memory;
    std::atomic<uint64_t> blocks_read{0};  // release by readers, acquire by RoomIsDue
  };

  std::shared_ptr<Shared> shared_;
  uint64_t blocks_taken_ = 0;
  uint64_t blocks_told_ = 0;  // blocks_read when the sender was last told
};

}  // namespace kvstore
