// Cut: how the value of one key travels: in which parts, as which pieces of a contribution, and
// where in the outputs that are pulled into the bytes of a reply belong. One implementation per
// storage: DenseCut, RowSparseCut. The verbs (push_operation.h and the like) are written once over
// this interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "client/dist/lent_parts.h"
#include "client/reduce/contribution.h"
#include "client/reduce/reducer.h"
#include "client/reduce/under_way.h"
#include "client/store/row_requests.h"
#include "client/store/store_backend.h"
#include "common/cluster/identity.h"
#include "common/wire/piece.h"

namespace kvstore {

// What one request brings of a contribution: a dense part, or the rows of one stripe. Rows that are
// too many for one request come in several pieces, their fragments.
struct PartPiece {
  PartIndex part = 0;
  Piece piece;
};

// What one request of a pull asks for, and where its reply belongs.
struct Question {
  PartIndex part = 0;
  // If the key is row_sparse: the ids, as in Piece, and where their rows belong in the outputs.
  Payload ids;
  uint32_t rows = 0;
  uint64_t rows_from = 0;
  RowPlaces places;
  // The reply is written into `outputs` of the operation's outputs, from number `first_output` on.
  size_t first_output = 0;
  size_t outputs = 0;
};

// Mostly one, for which no memory is taken.
using Questions = absl::InlinedVector<Question, 1>;

// Immutable.
class Cut {
 public:
  virtual ~Cut() = default;

  virtual PartIndex parts() const = 0;

  // The contribution in pieces, in ascending order of parts and, within a part, of fragments; at
  // least one for every part, because a round of a part needs every worker. `lent` is null, or
  // lends each part by itself. `encoded`: a codec is going to encode them, which wants all ids
  // listed. May throw std::bad_alloc.
  virtual std::vector<PartPiece> Pieces(const Contribution& contribution, LentParts* lent,
                                        bool encoded) const = 0;

  // What a kPull, kPushPull or kPullRows asks for, in ascending order of parts for each output.
  // Makes room in the outputs of a kPullRows, as the operation's ids say, and moves these there;
  // none for a pull of no rows. May throw std::bad_alloc.
  virtual Questions QuestionsOf(KeyOperation* operation) const = 0;

  // How many bytes answer the question.
  virtual size_t ReplyBytes(const Question& question) const = 0;
  // Writes a reply of that size into the question's outputs, which are those of the operation; into
  // those on GPUs by the reducer, and that may be under way when this returns.
  // Errors: those of Reducer::BeginBroadcast. May throw std::bad_alloc.
  virtual absl::StatusOr<UnderWayPtr> Write(const Question& question, const Payload& reply,
                                            absl::Span<const NDArray> outputs,
                                            const Reducer& reducer) const = 0;
};

}  // namespace kvstore
