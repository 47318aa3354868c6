// How requests come to be: what is submitted is planned, which takes all the memory that it will
// need, and then done.
#include <algorithm>
#include <utility>

#include "client/core/client_core_impl.h"

namespace kvstore {

ClientCore::Impl::NewRequests ClientCore::Impl::Make(size_t count) {
  NewRequests requests;
  requests.reserve(count);
  requests_.MakeRoomFor(count);
  while (requests.size() < count) requests.push_back(MakeOne());
  return requests;
}

std::unique_ptr<ClientCore::Impl::Request> ClientCore::Impl::MakeOne() {
  if (spare_.empty()) return std::make_unique<Request>();
  std::unique_ptr<Request> request = std::move(spare_.back());
  spare_.pop_back();
  return request;
}

ClientCore::Impl::Request* ClientCore::Impl::Add(std::unique_ptr<Request> owned) {
  Request* request = owned.get();
  request->id = ++last_request_;
  request->order = request->id;
  requests_.emplace(request->id, std::move(owned));
  return request;
}

absl::Status ClientCore::Impl::Usable() const {
  if (!job_ended_.ok()) return job_ended_;
  if (routing_ == nullptr) return absl::FailedPreconditionError("the cluster is not routed yet");
  return absl::OkStatus();
}

void ClientCore::Impl::AddRefusals(const PartRequest& ask, const absl::Status& status,
                                   ClientOutbox* out) {
  const auto add = [&](PartId id, uint32_t member) {
    Completion& done = out->done.emplace_back();
    done.ticket = ask.ticket;
    done.id = id;
    done.member = member;
    done.status = status;
  };
  if (ask.group == nullptr) return add(ask.id, 0);
  const auto& members = ask.group->members;
  for (size_t i = 0; i < members.size(); ++i) add(members[i].id, static_cast<uint32_t>(i));
}

const absl::Status* ClientCore::Impl::FailureOf(Op op, const PartQueue& part) const {
  if (op != Op::kPush && op != Op::kPull) return nullptr;
  return failures_.Find(part.key, part.ends);
}

ClientCore::Impl::PartQueue& ClientCore::Impl::PartOf(const PartRequest& ask, PartId id) {
  PartQueue& part = order_.MakeRoom(id);
  if (ask.op == Op::kInit) failures_.Expect(*ask.key);
  if (part.key == nullptr) part.key = failures_.Of(id.key);
  return part;
}

ClientCore::Impl::Plan ClientCore::Impl::PlanOf(const std::vector<PartRequest>& requests) {
  ++submissions_;
  Plan plan;
  plan.steps.reserve(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const PartRequest& ask = requests[i];
    if (ask.group != nullptr) {
      PlanGroup(ask, i, &plan);
      continue;
    }
    PartQueue& part = PartOf(ask, ask.id);
    if (const absl::Status* const failure = FailureOf(ask.op, part)) {
      plan.refusals.push_back({i, nullptr, failure});
      continue;
    }
    PartOrder::PlanSingle(part, submissions_);
    plan.steps.push_back({MakeOne(), i});
    plan.steps.back().request->part = &part;
    ++plan.singles;
  }
  return plan;
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): what the plan has is returned with it

void ClientCore::Impl::Submit(int64_t now_ms, std::vector<PartRequest>&& requests,
                              ClientOutbox* out) {
  if (const absl::Status usable = Usable(); !usable.ok()) {
    size_t count = 0;
    for (const PartRequest& ask : requests) {
      count += ask.group == nullptr ? 1 : ask.group->members.size();
    }
    out->done.reserve(out->done.size() + count);
    for (const PartRequest& ask : requests) AddRefusals(ask, usable, out);
    return;
  }
  Plan plan = PlanOf(requests);
  requests_.MakeRoomFor(plan.singles);
  groups_.MakeRoomFor(plan.groups);
  out->done.reserve(out->done.size() + plan.refusals.size());
  // From here on nothing takes memory: all are submitted or, above, none is.
  for (const Plan::Refusal& refusal : plan.refusals) {
    const PartRequest& ask = requests[refusal.asked];
    Completion& done = out->done.emplace_back();
    done.ticket = ask.ticket;
    done.id = refusal.member == nullptr ? ask.id : refusal.member->id;
    if (refusal.member != nullptr) {
      done.member = static_cast<uint32_t>(refusal.member - ask.group->members.data());
    }
    done.status = *refusal.status;
    done.key_failed = true;
  }
  for (Plan::Step& step : plan.steps) {
    if (step.request->is_group()) {
      AddGroup(std::move(step.request));
      continue;
    }
    if (step.asked != SIZE_MAX) step.request->ask = std::move(requests[step.asked]);
    Request* request = Add(std::move(step.request));
    PartQueue& part = *request->part;
    const int priority = request->ask.priority;
    request->shard = routing_->OwnerOf(request->ask.id);
    // The order within a part stays that of submission, so a request that is urgent makes those
    // before it as urgent. Then it gets its round and its place in the part, and goes at once
    // unless something holds it.
    PartOrder::RaiseTo(priority, part, [&](Request& earlier) { Raise(earlier, priority); });
    PartOrder::Add(request);
    LetGo(part);
  }
  Send(now_ms, out);
}

void ClientCore::Impl::Submit(int64_t now_ms, const ShardRequest& request, ClientOutbox* out) {
  if (const absl::Status usable = Usable(); !usable.ok()) {
    Completion& done = out->done.emplace_back();
    done.ticket = request.ticket;
    done.status = usable;
    return;
  }
  // One request to each shard, or to the first shard of each server; the submitter hears once, when
  // all have answered.
  const bool first_shard_only = InfoOf(request.op).scope == OpScope::kFirstShard;
  std::vector<ShardAddress> shards = streams_.shards();
  if (first_shard_only) {
    shards.erase(std::remove_if(shards.begin(), shards.end(),
                                [](const ShardAddress& shard) { return shard.shard != 0; }),
                 shards.end());
  }
  NewRequests made = Make(shards.size());
  const auto to_shards = std::make_shared<const ShardRequest>(request);
  for (size_t i = 0; i < shards.size(); ++i) {
    Request& each = *made[i];
    each.ask.op = request.op;
    each.ask.ticket = request.ticket;
    each.ask.step = request.step;
    each.to_shards = to_shards;
    each.shard = shards[i];
  }
  shard_groups_[request.ticket].remaining = shards.size();
  // From here on nothing takes memory.
  for (std::unique_ptr<Request>& each : made) streams_.Queue(*Add(std::move(each)));
  Send(now_ms, out);
}

}  // namespace kvstore
