// DistOperation: one operation on one key of a dist store, as requests about its parts, and what
// becomes of them; but for those that move rows (DistRowOperation).
//
// Bytes are lent, not copied: a pushed part's slice is the caller's array, kept by the operation's
// token, so that the operation completes only when the core and the transport have given every
// byte back. Pulled bytes are written straight into the outputs. When an output is the very array
// that is lent (PushPull in place), each pulled part waits until its own lent bytes are back.
//
// Threading: made on any thread; OnPart on the session's loop. What is lent comes back on any
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "client/core/client_core.h"
#include "client/core/init_undo.h"
#include "client/dist/dist_session.h"
#include "client/order/dependency_engine.h"
#include "client/store/store_backend.h"
#include "common/cluster/partitioner.h"

namespace kvstore {

class DistOperation final : public PartSink, public std::enable_shared_from_this<DistOperation> {
 public:
  // What the operation sends: `spec.bytes` bytes at `data`. `copy` owns them if they are the SDK's;
  // null: they are the caller's.
  struct Source {
    const uint8_t* data = nullptr;
    std::shared_ptr<const void> copy;
  };

  // The value that the operation contributes: where it is, if it is one of default storage; else,
  // as a copy, the left fold of the values in list order, rounded once to the key's dtype. Nothing
  // for a pull or an empty array. May throw std::bad_alloc.
  static Source SourceOf(const KeyOperation& operation);

  // The key of an Init, as the servers are told of it.
  static KeySpec WireKeyOf(const KeyOperation& operation);

  // `rank_0`: this worker brings the value of an Init.
  DistOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token, Source source,
                bool rank_0);

  // Called once. Another's Init than rank 0's asks about part 0, which every value has; the answer
  // says whether both mean the same key, and what it is if that was not
  // known. Then it asks about the other parts.
  std::vector<PartRequest> Requests();

  uint64_t operation_id() const override { return token_->id(); }
  std::vector<PartRequest> OnPart(Op op, size_t index, const Completion& completion) override;

 private:
  class Loan;

  std::vector<PartRequest> RequestsOf(PartIndex begin, PartIndex end);
  // Takes over what the server says of the key; null: nothing.
  absl::Status Learn(const KeySpec* key);
  PartIndex Parts() const;
  Slice SliceOf(PartIndex part);
  absl::Status CheckPulled(const Completion& completion) const;
  void Write(PartIndex part, const Payload& data) const;

  // Until the loop, the core and every loan are done with this. First, so that it goes last: when
  // the operation completes its arrays are free.
  const TokenPtr token_;
  const std::shared_ptr<KeyOperation> operation_;
  const Source source_;
  const bool rank_0_;
  bool in_place_ = false;
  std::vector<std::weak_ptr<Loan>> loans_;  // by part; only in place
  // Loop.
  InitUndo undo_;  // of rank 0's Init
  size_t open_ = 0;
  absl::Status status_;
};

}  // namespace kvstore
