// KeyFailures: which keys of this worker have failed. A push of a value has one request for each
// part. If a server refuses one of them for good, while another part is accepted, the parts are at
// different rounds: that one waits for a round that will never come. No later push can mend that,
// and a pull would wait, so the key has failed, until it is deleted or reset.
//
// Example: a key of parts 0 and 1. Of its push of round 5 part 0 is received; part 1 is refused:
// the key has failed. If the refusal comes first, it fails when part 0 is received; if part 0 is
// refused, too, it fails when either is given a later round: rounds 1 to 4 of both are closed, and
// whatever follows waits for round 5.
//
// What fails no key: an updater that fails (that closes the round, for all parts); NOT_FOUND, which
// says that the key was deleted or reset, and ABORTED, that somebody else has our rank.
//
// Loop-bound, pure.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "client/core/request.h"
#include "common/base/flat_map.h"
#include "common/wire/frame.h"

namespace kvstore::client_internal {

class KeyFailures {
 public:
  // A key is about to be made here. May throw std::bad_alloc; then nothing has changed.
  void Expect(const KeySpec& key);

  // What is known of a key. Stays where it is.
  struct Known {
    uint64_t ends = 0;       // what follows is of the pushes since that many
    Round accepted = 0;      // the last round of which any part was accepted
    Round refused = 0;       // the first round of which any was refused; 0: none
    absl::Status failure{};  // OK: it has not failed
    PartIndex part = 0;      // which was refused
    absl::Status refusal{};  // why
    std::string name{};
  };
  // Null: it was not made here.
  Known* Of(KeyId key) const {
    const auto found = keys_.find(key);
    return found == keys_.end() ? nullptr : found->second.get();
  }

  struct Push {
    PartId id;
    Round round = 0;
    uint64_t ends = 0;  // as of Request
  };
  // A reply about a push, of which it says how far it got. `key`: what Of() has returned for it.
  // May throw std::bad_alloc; then nothing has changed.
  void Hear(Known* key, const Push& push, const ReplyEntry& entry);

  // Why the key has failed, in the time between two ends of it (Request::ends); null: it has not.
  const absl::Status* Find(const Known* key, uint64_t ends) const {
    if (failed_ == 0 || key == nullptr) return nullptr;
    return key->ends == ends && !key->failure.ok() ? &key->failure : nullptr;
  }

 private:
  FlatMap<KeyId, std::unique_ptr<Known>> keys_;
  size_t failed_ = 0;  // of them
};

}  // namespace kvstore::client_internal
