// OpenRequests: who hears of each request that is under way, by its ticket. A ticket says where in
// the table its entry is, and in its upper half, since places are used again, the how manieth it
// is:
//
//   tickets 1·2³²+0, 2·2³²+1   two requests, in the places 0 and 1
//   the first is over          place 0 is free
//   ticket 3·2³²+0             the next request
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "client/core/client_core.h"
#include "client/dist/part_sink.h"

namespace kvstore {

// Threading: thread-compatible.
class OpenRequests {
 public:
  struct Entry {
    std::shared_ptr<PartSink> sink;  // null: the place is free
    Op op = Op::kUnspecified;
    size_t index = 0;
    Ticket ticket = 0;
    size_t left = 1;  // of a group: so many of its requests are open
  };

  // Makes room: the next `more` Adds take no memory. May throw std::bad_alloc; then nothing has
  // changed.
  void MakeRoomFor(size_t more) {
    if (more <= free_.size()) return;
    const size_t before = entries_.size();
    const size_t after = before + more - free_.size();
    entries_.reserve(after > entries_.capacity() ? 2 * after : after);
    free_.reserve(entries_.capacity());
    entries_.resize(after);
    for (size_t place = after; place > before; --place) {
      free_.push_back(static_cast<uint32_t>(place - 1));
    }
  }
  // May throw std::bad_alloc; then nothing has changed.
  Ticket Add(std::shared_ptr<PartSink> sink, Op op, size_t index, size_t requests = 1) {
    MakeRoomFor(1);
    const uint32_t place = free_.back();
    free_.pop_back();
    const Ticket ticket = ++added_ << 32 | place;
    entries_[place] = {std::move(sink), op, index, ticket, requests};
    return ticket;
  }
  // The entry of an open request. Good until the next Add.
  const Entry& Of(Ticket ticket) const { return entries_[static_cast<uint32_t>(ticket)]; }
  // One of the requests of a ticket is over. Returns its sink if it was the last one, else null.
  std::shared_ptr<PartSink> Over(Ticket ticket) {
    if (--entries_[static_cast<uint32_t>(ticket)].left > 0) return nullptr;
    return Take(ticket).sink;
  }
  // The entry of a ticket that is of no more use.
  Entry Take(Ticket ticket) {
    const auto place = static_cast<uint32_t>(ticket);
    free_.push_back(place);
    return std::exchange(entries_[place], Entry());
  }
  // Calls `visit` for each entry until it returns false.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const Entry& entry : entries_) {
      if (entry.sink != nullptr && !visit(entry)) return;
    }
  }

 private:
  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;  // with room for all places
  uint64_t added_ = 0;
};

}  // namespace kvstore
