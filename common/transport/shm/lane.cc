#include "common/transport/shm/lane.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace kvstore {
namespace {

constexpr size_t kPageBytes = 4096;
// After the pages of the token and the two lanes' marks, and a multiple of a block.
constexpr size_t kDataOffset = kLaneBlockBytes;

static_assert(std::atomic<uint32_t>::is_always_lock_free, "two processes share marks");
static_assert((kLaneBlocksMax + 1) * sizeof(uint32_t) <= kPageBytes);
static_assert(3 * kPageBytes <= kDataOffset);

uint32_t BlocksOf(size_t bytes) {
  return static_cast<uint32_t>((bytes + kLaneBlockBytes - 1) / kLaneBlockBytes);
}

}  // namespace

size_t LaneMemory::BytesFor(uint32_t blocks) {
  return kDataOffset + size_t{2} * blocks * kLaneBlockBytes;
}

LaneMemory::LaneMemory(std::shared_ptr<SharedMemory> memory, uint32_t blocks, int lane)
    : memory_(std::move(memory)),
      blocks_(blocks),
      data_offset_(kDataOffset + static_cast<size_t>(lane) * blocks * kLaneBlockBytes),
      // New memory is zero, which is what these atomics are to begin with.
      marks_(reinterpret_cast<std::atomic<uint32_t>*>(memory_->data() +
                                                      static_cast<size_t>(1 + lane) * kPageBytes)) {
  KVS_CHECK(blocks <= kLaneBlocksMax && memory_->size() >= BytesFor(blocks));
}

bool LaneMemory::Reserve(uint32_t block, uint32_t count) const {
  return memory_->Reserve(data_offset_ + block * kLaneBlockBytes, count * kLaneBlockBytes);
}

std::optional<Extent> LaneSender::Put(const Payload& message) {
  const uint32_t count = BlocksOf(message.size());
  if (broken_ || count == 0 || count > memory_.blocks()) return std::nullopt;
  TakeBack(/*all=*/false);
  std::optional<uint32_t> block = FindFree(count);
  if (!block.has_value()) {
    TakeBack(/*all=*/true);
    block = FindFree(count);
    if (!block.has_value()) return std::nullopt;
  }
  if (*block + count > reserved_) {
    if (!memory_.Reserve(reserved_, *block + count - reserved_)) {
      broken_ = true;
      return std::nullopt;
    }
    reserved_ = *block + count;
  }
  sent_.push_back({*block, count});
  std::fill_n(used_.begin() + *block, count, 1);
  message.CopyTo(memory_.data() + *block * kLaneBlockBytes);
  memory_.mark(*block).store(1, std::memory_order_release);
  return Extent{*block, static_cast<uint32_t>(message.size())};
}

void LaneSender::TakeBack(bool all) {
  const auto read = [this](const Sent& sent) {
    // Acquire: what the receiver read of it comes before what is written there next.
    return memory_.mark(sent.block).load(std::memory_order_acquire) == 0;
  };
  while (!sent_.empty() && read(sent_.front())) {
    Free(sent_.front());
    sent_.pop_front();
  }
  if (!all) return;
  const auto end = std::remove_if(sent_.begin(), sent_.end(), [&](const Sent& sent) {
    if (!read(sent)) return false;
    Free(sent);
    return true;
  });
  sent_.erase(end, sent_.end());
}

void LaneSender::Free(const Sent& sent) { std::fill_n(used_.begin() + sent.block, sent.count, 0); }

std::optional<uint32_t> LaneSender::FindFree(uint32_t count) const {
  uint32_t run = 0;
  for (uint32_t block = 0; block < used_.size(); ++block) {
    run = used_[block] != 0 ? 0 : run + 1;
    if (run == count) return block + 1 - count;
  }
  return std::nullopt;
}

std::optional<Payload> LaneReceiver::Take(const Extent& extent) {
  const LaneMemory& memory = shared_->memory;
  const uint32_t count = BlocksOf(extent.bytes);
  if (count == 0 || count > memory.blocks() || extent.block > memory.blocks() - count) {
    return std::nullopt;
  }
  struct Reading {
    Reading(std::shared_ptr<Shared> lane, uint32_t first, uint32_t blocks)
        : shared(std::move(lane)), block(first), count(blocks) {}
    ~Reading() {
      shared->memory.mark(block).store(0, std::memory_order_release);
      shared->blocks_read.fetch_add(count, std::memory_order_release);
    }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    const std::shared_ptr<Shared> shared;
    const uint32_t block;
    const uint32_t count;
  };
  auto reading = std::make_shared<const Reading>(shared_, extent.block, count);
  blocks_taken_ += count;
  return Payload(
      Slice{memory.data() + extent.block * kLaneBlockBytes, extent.bytes, std::move(reading)});
}

bool LaneReceiver::RoomIsDue() {
  if (shared_->memory.starving().load(std::memory_order_seq_cst) == 0) return false;
  const uint64_t read = shared_->blocks_read.load(std::memory_order_acquire);
  const bool enough = read - blocks_told_ >= shared_->memory.blocks() / 4 || read == blocks_taken_;
  if (!enough) return false;
  blocks_told_ = read;
  shared_->memory.starving().store(0, std::memory_order_seq_cst);
  return true;
}

}  // namespace kvstore
