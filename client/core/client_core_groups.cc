// What is other of requests in groups: how they are put together, what an answer to one means, and
// how one leaves its group.
#include <algorithm>
#include <utility>

#include "client/core/client_core_impl.h"

namespace kvstore {

using client_internal::DataOf;

void ClientCore::Impl::PlanGroup(const PartRequest& ask, size_t asked, Plan* plan) {
  const size_t first_step = plan->steps.size();
  const auto& members = ask.group->members;
  for (size_t i = 0; i < members.size(); ++i) {
    const PartId id = members[i].id;
    PartQueue& part = PartOf(ask, id);
    if (const absl::Status* const failure = FailureOf(ask.op, part)) {
      plan->refusals.push_back({asked, &members[i], failure});
      continue;
    }
    Round round = 0;
    const bool goes = order_.PlanForGroup(part, ask.op, submissions_, &round);
    const ShardAddress shard = routing_->OwnerOf(id);
    const auto joins = [&](const Plan::Step& step) {
      return step.request->is_group() && step.request->shard == shard &&
             step.request->round == round && step.request->members.size() < kGroupMembersMax &&
             step.request->member_bytes + members[i].size <= window_bytes_;
    };
    auto step =
        std::find_if(plan->steps.begin() + static_cast<std::ptrdiff_t>(first_step),
                     plan->steps.end(), [&](const auto& each) { return goes && joins(each); });
    if (step == plan->steps.end()) {
      std::unique_ptr<Request> made;
      if (goes && !spare_groups_.empty()) {
        made = std::move(spare_groups_.back());
        spare_groups_.pop_back();
      } else {
        made = MakeOne();
      }
      made->ask.op = ask.op;
      made->ask.ticket = ask.ticket;
      made->ask.priority = ask.priority;
      made->ask.step = ask.step;
      made->ask.group = ask.group;
      plan->steps.push_back({std::move(made)});
      step = plan->steps.end() - 1;
      Request& request = *step->request;
      if (goes) {
        request.round = round;
        request.shard = shard;
        request.members.reserve(members.size() - i);
        ++plan->groups;
      } else {
        request.part = &part;
        request.number = static_cast<uint32_t>(i);
        request.ask.id = id;
        request.ask.piece.data = DataOf(*ask.group, members[i]);
        ++plan->singles;
        continue;
      }
    }
    Request& group = *step->request;
    Member& member = group.members.emplace_back();
    member.part = &part;
    member.id = id;
    member.number = static_cast<uint32_t>(i);
    ++group.open_members;
    if (ask.op == Op::kPush) group.member_bytes += members[i].size;
  }
}

void ClientCore::Impl::AddGroup(std::unique_ptr<Request> owned) {
  Request& group = *owned;
  group.id = last_request_ + 1;
  group.order = group.id;
  last_request_ += 1 + group.members.size();
  const int priority = group.ask.priority;
  for (Member& member : group.members) {
    member.place.request = &group;
    PartOrder::RaiseTo(priority, *member.part, [&](Request& earlier) { Raise(earlier, priority); });
    PartOrder::AddMember(group, &member);
  }
  groups_.Add(std::move(owned));
  streams_.Queue(group);
}

void ClientCore::Impl::Raise(Request& request, int priority) {
  streams_.Raise(request, priority);
  for (const Member& member : request.members) {
    if (!member.open) continue;
    PartOrder::RaiseBefore(priority, member, [&](Request& earlier) { Raise(earlier, priority); });
  }
}

void ClientCore::Impl::OnMemberReply(int64_t now_ms, Request& group, Member& member,
                                     const ReplyFrame& reply, const ReplyEntry& entry,
                                     ClientOutbox* out) {
  const bool pushes = group.ask.op == Op::kPush;
  const bool received = entry.progress == Progress::kReceived;
  const bool usual = entry.code == absl::StatusCode::kOk && entry.op == group.ask.op &&
                     (entry.progress == Progress::kDone || (pushes && received)) &&
                     !(pushes && !entry.data.empty());
  if (!usual) return OnReply(now_ms, Split(now_ms, group, member), reply, entry, out);
  KeyFailures::Known* const known = member.part->key;
  const KeyId key = member.id.key;
  const uint64_t ends = member.ends;
  if (pushes) failures_.Hear(known, {member.id, group.round, ends}, entry);
  if (pushes && !norms_.empty()) HearNorms(member.id, group.round, entry);
  if (received) {
    streams_.ReleaseMember(group, member);
    streams_.HeardOf(now_ms, group);
  } else {
    Completion done;
    if (!pushes) done.data = entry.data;
    done.round = entry.version;
    done.staleness = entry.staleness;
    FinishMember(group, member, absl::OkStatus(), std::move(done), out);
  }
  if (!pushes) return;
  // Should there be no memory for this, the answers to the others come here again.
  if (const absl::Status* failed = failures_.Find(known, ends)) EndFailed(key, ends, *failed, out);
}

void ClientCore::Impl::Close(Request& group, Member& member) {
  streams_.ReleaseMember(group, member);
  if (!groups_.Close(group, member)) return;
  streams_.Forget(group);
  std::unique_ptr<Request> over = groups_.Take(group);
  if (spare_groups_.size() == kSpareGroupsMax) return;
  over->Clear();
  spare_groups_.push_back(std::move(over));
}

void ClientCore::Impl::FinishMember(Request& group, Member& member, absl::Status status,
                                    Completion done, ClientOutbox* out) {
  MakeRoomForOne(&out->done);
  // From here on nothing takes memory: it is open or, below, over and told.
  const PartQueue& part = *member.part;
  done.ticket = group.ask.ticket;
  done.id = member.id;
  done.member = member.number;
  done.request = group.NumberOf(member);
  if (group.ask.op == Op::kPush || !status.ok()) done.round = group.round;
  done.status = std::move(status);
  out->done.push_back(std::move(done));
  PartOrder::RemoveMember(member);
  Close(group, member);
  if (job_ended_.ok()) LetGo(part);
}

void ClientCore::Impl::FinishOpen(const Open& open, const absl::Status& status, Completion done,
                                  ClientOutbox* out) {
  if (open.member == nullptr) return Finish(*open.request, status, std::move(done), out);
  FinishMember(*open.request, *open.member, status, std::move(done), out);
}

ClientCore::Impl::Request& ClientCore::Impl::Split(int64_t now_ms, Request& group, Member& member) {
  const RequestId id = group.NumberOf(member);
  requests_.MakeRoomFor(1);
  std::unique_ptr<Request> owned = MakeOne();
  // From here on nothing takes memory.
  Request& single = *owned;
  single.id = id;
  single.order = id;
  single.number = member.number;
  single.ask.op = group.ask.op;
  single.ask.id = member.id;
  single.ask.ticket = group.ask.ticket;
  single.ask.priority = group.ask.priority;
  single.ask.step = group.ask.step;
  single.ask.piece.data = DataOf(*group.ask.group, group.ask.group->members[member.number]);
  requests_.emplace(id, std::move(owned));
  PartOrder::TakeOver(group, &member, &single);
  streams_.TakeOver(now_ms, group, member, single);
  Close(group, member);
  return single;
}

}  // namespace kvstore
