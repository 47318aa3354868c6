// What an operator asks and orders about the numbers of the optimizer: of all shards.
#include <spdlog/spdlog.h>

#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/model/number_reader.h"
#include "server/node/server_node.h"
#include "server/node/server_status.h"

namespace kvstore {

// The answers of the shards. Each arrives on its shard's thread.
struct ServerNode::NumbersGathering {
  Mutex mutex;
  std::vector<OptimizerReport> answers KVS_GUARDED_BY(mutex);
  absl::Status refused KVS_GUARDED_BY(mutex);  // the first
  size_t answered KVS_GUARDED_BY(mutex) = 0;
  size_t shards = 0;
  UnaryReply reply;
};

void ServerNode::OrderNumbers(const Payload& asked, const UnaryReply& reply) {
  v1::NumbersOrderRequest order;
  if (!order.ParseFromString(asked.ToString()) || order.verb() > v1::NUMBERS_VERB_DROP) {
    return reply(absl::InvalidArgumentError(
        "a kvstore.v1.NumbersOrderRequest with a verb from 0 to 3 expected"));
  }
  const auto verb = static_cast<NumbersVerb>(order.verb());
  NumbersChange change;
  change.from_step = order.from_step();
  for (const auto& [name, number] : order.numbers()) change.numbers[name] = number;
  if (verb != NumbersVerb::kShow) {
    spdlog::info("an operator's order: {} of optimizer '{}' at step {}",
                 v1::NumbersVerb_Name(order.verb()), Quotable(order.optimizer()),
                 order.from_step());
  }
  const auto gathering = std::make_shared<NumbersGathering>();
  gathering->shards = shards_.size();
  gathering->reply = reply;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->OrderNumbers(verb, order.optimizer(), change,
                        [gathering](const absl::StatusOr<OptimizerReport>& answer) {
                          const MutexLock lock(gathering->mutex);
                          if (answer.ok()) {
                            gathering->answers.push_back(*answer);
                          } else if (gathering->refused.ok()) {
                            gathering->refused = answer.status();
                          }
                          if (++gathering->answered < gathering->shards) return;
                          if (!gathering->refused.ok()) {
                            return gathering->reply(gathering->refused);
                          }
                          v1::NumbersReport report;
                          AddUpOptimizers(gathering->answers, &report);
                          gathering->reply(report.SerializeAsString());
                        });
  }
}

}  // namespace kvstore
