// RequestGroups: the open groups of requests (PartGroup). A group stands, as one Request, in its
// stream's queue and list, while its members stand each in the order of its own part. A member that
// is answered in the usual way ends; one of which there is anything else to be said (it was put
// off, is not known to the server, was refused, or was asked after) leaves the group, and goes on
// as a request by itself, with its number.
//
// Example: a group, number 99, of the requests 100 to 103: pushes of round 7 to four keys, one
// frame.
//
//   100, 101, 103 are done      three completions; the group has one open member
//   the stream breaks           the group is asked after: one probe, number 102
//   102 is unknown              it leaves the group, which is over, and is sent again by itself
//
// Loop-bound, pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "client/core/request.h"

namespace kvstore::client_internal {

class RequestGroups {
 public:
  // Makes room: the next `more` Adds take no memory.
  void MakeRoomFor(size_t more) {
    if (groups_.size() + more <= groups_.capacity()) return;
    groups_.reserve(std::max(2 * groups_.size(), groups_.size() + more));
  }
  // A group whose numbers are higher than those of all others.
  void Add(std::unique_ptr<Request> group) {
    open_ += group->open_members;
    groups_.push_back(std::move(group));
  }
  // The group that the number is of, if that member is open; else null.
  Request* Find(RequestId id) {
    if (groups_.empty()) return nullptr;
    if (!Has(id)) {
      const auto behind =
          std::upper_bound(groups_.begin(), groups_.end(), id,
                           [](RequestId wanted, const auto& group) { return wanted < group->id; });
      if (behind == groups_.begin()) return nullptr;
      last_ = static_cast<size_t>(behind - groups_.begin()) - 1;
      if (!Has(id)) return nullptr;
    }
    Request& group = *groups_[last_];
    return group.MemberWith(id)->open ? &group : nullptr;
  }
  // A member is over, or has left the group. True: it was the last one.
  bool Close(Request& group, Member& member) {
    member.open = false;
    --open_;
    return --group.open_members == 0;
  }
  // Takes out a group without open members.
  std::unique_ptr<Request> Take(const Request& group) {
    const auto it =
        std::lower_bound(groups_.begin(), groups_.end(), group.id,
                         [](const auto& each, RequestId wanted) { return each->id < wanted; });
    std::unique_ptr<Request> taken = std::move(*it);
    groups_.erase(it);
    return taken;
  }
  size_t open() const { return open_; }
  const std::vector<std::unique_ptr<Request>>& all() const { return groups_; }

 private:
  // Whether it is a number of the group that was found last: answers mostly come in order.
  bool Has(RequestId id) const {
    if (last_ >= groups_.size()) return false;
    return groups_[last_]->MemberWith(id) != nullptr;
  }

  std::vector<std::unique_ptr<Request>> groups_;  // in the order of their numbers
  size_t last_ = 0;
  size_t open_ = 0;  // members of all of them
};

}  // namespace kvstore::client_internal
