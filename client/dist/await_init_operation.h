// AwaitInitOperation: the Init of a worker that is not rank 0, and a reader's question what a key
// is that it is to pull. It brings nothing: it is over when rank 0's value is there, all parts of
// it. If the call named an array, the servers compare its dtype and shape with what rank 0 said,
// and the compression in any case; if the array was empty, they say what the key is.
//
// Until then nobody here knows how many parts there are. So it asks about part 0 first, which every
// value has, and about the others when it has the answer.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "client/dist/dist_operation.h"
#include "client/dist/reading_codec.h"

namespace kvstore {

class AwaitInitOperation final : public DistOperation {
 public:
  // `compression`: of the key's pushes, as this worker has it. `reading`: null, or what a reader's
  // pulls are decoded by, which hears of the key.
  AwaitInitOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token,
                     CompressionConfig compression, std::shared_ptr<ReadingCodec> reading = nullptr)
      : DistOperation(std::move(operation), std::move(token)),
        compression_(std::move(compression)),
        reading_(std::move(reading)) {}

  // Called once.
  PartAsks Asks();

 private:
  absl::Status Take(Op op, size_t index, Completion completion, PartAsks* next) override;
  // Fills in the operation's spec from what the server says of the key; null: it says nothing.
  absl::Status Learn(const KeySpec* key) const;

  const CompressionConfig compression_;
  const std::shared_ptr<ReadingCodec> reading_;
};

}  // namespace kvstore
