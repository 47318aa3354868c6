// FailedUpdates: why updates of a part failed, by the name of the push (or round) whose outcome it
// is. Room for one more is made before an update begins: when it has failed it cannot be repeated,
// so that its outcome must not be lost for want of memory.
//
// Shard-bound, pure.
#pragma once

#include <map>
#include <utility>

#include "absl/status/status.h"

namespace kvstore {

template <typename Name>
class FailedUpdates {
 public:
  // Makes room for one Note(). May throw std::bad_alloc; costs nothing while none was used.
  void MakeRoom() {
    if (!spare_.empty()) return;
    std::map<Name, absl::Status> one;
    one.try_emplace(Name());
    spare_ = one.extract(one.begin());
  }
  // `name` failed. MakeRoom() was called before.
  void Note(const Name& name, absl::Status why) noexcept {
    spare_.key() = name;
    spare_.mapped() = std::move(why);
    failed_.insert(std::move(spare_));
  }
  // OK for whatever did not fail, or is forgotten.
  absl::Status Of(const Name& name) const {
    const auto it = failed_.find(name);
    return it == failed_.end() ? absl::OkStatus() : it->second;
  }
  // Forgets those from `first` to `last`.
  void Forget(const Name& first, const Name& last) noexcept {
    failed_.erase(failed_.lower_bound(first), failed_.upper_bound(last));
  }

 private:
  std::map<Name, absl::Status> failed_;
  typename std::map<Name, absl::Status>::node_type spare_;
};

}  // namespace kvstore
