#include "tests/simulation/member.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "tests/simulation/scheduler_node.h"

namespace kvstore::sim {

Member::Member(World& world, Network& network, SchedulerNode& scheduler, ProcessId process,
               MembershipOptions options, Learned learned)
    : world_(world),
      network_(network),
      scheduler_(scheduler),
      process_(process),
      nonce_(options.registration.nonce()),
      core_(std::move(options)),
      learned_(std::move(learned)),
      alarm_(world, process, [this] {
        Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
          core.OnTimer(now_ms, out);
        });
      }) {}

template <typename Call>
void Member::Run(Call call) {
  MembershipOutbox out;
  call(core_, world_.clock_ms(process_), &out);
  for (v1::NodeMessage& message : out.messages) {
    if (!session_) world_.Fail(world_.name(process_) + " sends to the scheduler without a session");
    ++world_.stats().messages;
    // This member may be gone when it arrives.
    network_.ToAcceptor(*session_,
                        [&scheduler = scheduler_, id = *session_, message = std::move(message)] {
                          scheduler.OnMessage(id, message);
                        });
  }
  if (out.close) {
    if (session_) network_.Close(*session_, /*by_acceptor=*/false);
    session_.reset();
  }
  if (out.dial) Dial();
  alarm_.Arm(core_.NextTimerMs());
  learned_(out);  // last: the owner may end this process
}

void Member::Dial() {
  if (session_) world_.Fail(world_.name(process_) + " dials although it has a session");
  const auto id = std::make_shared<ConnId>(0);
  *id = network_.Dial(
      process_, scheduler_.process(), /*lossy=*/false,
      [this] {
        Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
          core.OnSessionUp(now_ms, out);
        });
      },
      [this] {
        session_.reset();
        Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
          core.OnSessionDown(now_ms, out);
        });
      });
  session_ = *id;
  scheduler_.Expect(*id, nonce_, [this, id](const v1::SchedulerMessage& message) {
    if (session_ != *id) return;
    Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
      core.OnMessage(now_ms, message, out);
    });
  });
}

void Member::Start() {
  Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) { core.Start(now_ms, out); });
}

uint64_t Member::Barrier(uint64_t deadline_ms) {
  uint64_t generation = 0;
  Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    generation = core.Barrier(now_ms, deadline_ms, out);
  });
  return generation;
}

void Member::Confirm(uint64_t attempt) {
  Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.Confirm(now_ms, attempt, out);
  });
}

void Member::NotReady(uint64_t attempt, const std::string& why) {
  Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.NotReady(now_ms, attempt, why, out);
  });
}

void Member::Begin() {
  Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) { core.Begin(now_ms, out); });
}

void Member::Leave() {
  Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) { core.Leave(now_ms, out); });
}

void Member::ReportFailure(const std::string& message) {
  Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.ReportFailure(now_ms, message, out);
  });
}

}  // namespace kvstore::sim
