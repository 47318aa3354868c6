#include "server/node/operator_commands.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {
namespace {

void Tell(const UnaryReply& reply, const absl::Status& outcome) {
  if (!outcome.ok()) return reply(outcome);
  reply(v1::RunCommandReply().SerializeAsString());
}

}  // namespace

OperatorCommands::OperatorCommands(CommandHandler handler,
                                   std::function<void(std::function<void()>)> post)
    : handler_(std::move(handler)), post_(std::move(post)) {}

void OperatorCommands::Run(const Payload& asked, const UnaryReply& reply) {
  v1::RunCommandRequest request;
  if (!request.ParseFromString(asked.ToString()) || request.nonce() == 0) {
    return reply(absl::InvalidArgumentError(
        "a kvstore.v1.RunCommandRequest with a nonce other than 0 expected"));
  }
  const absl::Status fits = CheckCommand(request.id(), request.body().size());
  if (!fits.ok()) return reply(fits);
  if (handler_ == nullptr) return reply(NoController(request.id()));
  const uint64_t nonce = request.nonce();
  if (const auto known = orders_.find(nonce); known != orders_.end()) {
    if (known->second.outcome) return Tell(reply, *known->second.outcome);
    known->second.waiting.push_back(reply);
    return;
  }
  if (!MakeRoom()) {
    return reply(absl::ResourceExhaustedError(
        fmt::format("command {}: at most {} commands under way expected", request.id(), kKeptMax)));
  }
  spdlog::info("an operator sends command {} with {} bytes", request.id(), request.body().size());
  Order& order = orders_[nonce];
  order.number = ++last_number_;
  order.waiting.push_back(reply);
  handler_(kReaderRank, {request.id(), request.body()}, [this, nonce](const absl::Status& outcome) {
    post_([this, nonce, outcome] { OnDone(nonce, outcome); });
  });
}

// Forgets the oldest one that is done, if there are too many.
bool OperatorCommands::MakeRoom() {
  if (orders_.size() < kKeptMax) return true;
  auto oldest = orders_.end();
  for (auto order = orders_.begin(); order != orders_.end(); ++order) {
    if (!order->second.outcome) continue;
    if (oldest == orders_.end() || order->second.number < oldest->second.number) oldest = order;
  }
  if (oldest == orders_.end()) return false;
  orders_.erase(oldest);
  return true;
}

void OperatorCommands::OnDone(uint64_t nonce, const absl::Status& outcome) {
  Order& order = orders_.at(nonce);
  order.outcome = outcome;
  for (const UnaryReply& reply : std::exchange(order.waiting, {})) Tell(reply, outcome);
}

}  // namespace kvstore
