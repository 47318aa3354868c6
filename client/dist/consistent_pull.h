// ConsistentPull: a reader's pull of several keys, or of their rows, at one round (Pull and
// PullRowSparse with `consistent`). It asks for all parts, keeps what comes until all of it is of
// one round, and writes the outputs then.
//
// Which round: the highest that any part has answered with. Every other part will have that one, as
// all workers push every key equally often; so it is asked to wait for it, and those that have
// passed it meanwhile name the next one. Example: parts 0 to 2 answer with versions 7, 8 and 7. 0
// and 2 are asked for 8 or later: both answer with 8, and that is the round. When training rests
// all parts have the same version, and one question is enough.
//
// Threading: made, and asked for its requests, on any thread; OnPart on the session's loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "client/dist/any_cut.h"
#include "client/dist/cut.h"
#include "client/dist/part_codec.h"
#include "client/dist/part_sink.h"
#include "client/order/dependency_engine.h"
#include "client/store/staged_outputs.h"
#include "client/store/store_backend.h"

namespace kvstore {

class ConsistentPull final : public PartSink, public std::enable_shared_from_this<ConsistentPull> {
 public:
  using Operations = std::vector<std::shared_ptr<KeyOperation>>;

  // `operations`: all kPull or all kPullRows, of different keys, each with outputs. `token`:
  // finished once, but for a pull of nothing.
  ConsistentPull(Operations operations, TokenPtr token, std::shared_ptr<PartCodec> codec,
                 std::shared_ptr<const Reducer> reducer);

  // What is asked first. Called once. If that is nothing (no rows, of any key) there is nothing to
  // wait for, and nobody finishes the token. May throw std::bad_alloc; then whoever asked drops the
  // rows that the outputs have room for (DropRows).
  PartAsks Asks();

  PartAsks OnPart(Op op, size_t index, Completion completion) noexcept override;
  uint64_t operation_id() const override { return token_->id(); }

 private:
  // One request about a part: what it asks, and what came of it.
  struct Piece {
    size_t operation = 0;
    Question question;
    Payload ids;  // of the question, for when it is asked again
    Round version = 0;
    Payload reply;
  };

  // An array of rows that is named for several keys gets those of the last one, as if the keys were
  // pulled one after the other: it has room for the rows of one.
  void LeaveOutputsToTheLast();
  // `version`: at least that one; 0: the last.
  PartAsk AskFor(size_t index, Round version);
  // All that was asked is answered: what is to be asked again, if it is not of one round.
  PartAsks AsksForTheRest();
  absl::Status WriteAll();

  const TokenPtr token_;
  const Operations operations_;
  const std::shared_ptr<PartCodec> codec_;
  const std::shared_ptr<const Reducer> reducer_;
  std::vector<AnyCut> cuts_;           // by operation
  std::vector<StagedOutputs> staged_;  // likewise
  std::vector<Piece> pieces_;          // fixed by Asks, but for version and reply
  size_t open_ = 0;                    // asked and not answered
  bool over_ = false;                  // the token is finished
};

}  // namespace kvstore
