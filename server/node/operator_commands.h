// OperatorCommands: commands that an operator sends to a server's controller (kvctl command), each
// carried out once, however often it is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "common/model/command.h"
#include "common/transport/transport.h"
#include "server/service/shard.h"

namespace kvstore {

// Loop-bound.
class OperatorCommands {
 public:
  static constexpr size_t kKeptMax = 64;  // under way, or done and remembered

  // `handler`: null where the server has no controller. `post`: has a task done on the loop.
  OperatorCommands(CommandHandler handler, std::function<void(std::function<void()>)> post);

  // Carries out the command that `asked`, a RunCommandRequest, has; one of a nonce that was there
  // before gets that one's outcome, when there is one. Errors, by `reply`: INVALID_ARGUMENT for
  // other bytes, for nonce 0, and what CheckCommand refuses; UNIMPLEMENTED without a controller;
  // RESOURCE_EXHAUSTED if kKeptMax commands are under way; the controller's own.
  void Run(const Payload& asked, const UnaryReply& reply);

 private:
  struct Order {
    uint64_t number = 0;  // in the order in which they came
    std::vector<UnaryReply> waiting;
    std::optional<absl::Status> outcome;
  };
  bool MakeRoom();
  void OnDone(uint64_t nonce, const absl::Status& outcome);

  const CommandHandler handler_;
  const std::function<void(std::function<void()>)> post_;
  std::map<uint64_t, Order> orders_;  // by nonce
  uint64_t last_number_ = 0;
};

}  // namespace kvstore
