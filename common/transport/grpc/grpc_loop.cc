#include "common/transport/grpc/grpc_loop.h"

#include <grpc/support/time.h>
#include <pthread.h>

#include <utility>
#include <vector>

#include "common/base/check.h"

namespace kvstore {
namespace {

gpr_timespec DeadlineOf(int64_t due_ms) {
  if (due_ms == TaskQueue::kNever) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  if (due_ms == 0) return gpr_time_0(GPR_CLOCK_MONOTONIC);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(due_ms - SteadyNowMs(), GPR_TIMESPAN));
}

}  // namespace

GrpcLoop::GrpcLoop(std::unique_ptr<grpc::CompletionQueue> queue,
                   grpc::ServerCompletionQueue* server_queue, const std::string& name)
    : queue_(std::move(queue)), server_queue_(server_queue) {
  // An alarm that is due comes back from the queue at once: gRPC's way to wake its poller.
  tasks_ = std::make_shared<TaskQueue>(
      [this] { alarm_.Set(queue_.get(), gpr_time_0(GPR_CLOCK_MONOTONIC), &wake_tag_); });
  thread_ = std::thread([this, name] { Run(name); });
}

GrpcLoop::~GrpcLoop() {
  KVS_CHECK(!InLoop());
  Post([this] { stopping_ = true; });
  thread_.join();
}

void GrpcLoop::Run(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  tasks_->Adopt();
  void* tag = nullptr;
  bool ok = false;
  for (;;) {
    tasks_->RunDue();
    if (stopping_) {
      AbortCalls();
      if (calls_.empty() && tasks_->Empty()) break;
    }
    const gpr_timespec deadline = DeadlineOf(tasks_->PrepareSleep());
    if (queue_->AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT) {
      static_cast<CompletionTag*>(tag)->OnComplete(ok);
    }
  }
  tasks_->Close();
  queue_->Shutdown();
  // What still comes: a wake-up that was under way.
  while (queue_->Next(&tag, &ok)) static_cast<CompletionTag*>(tag)->OnComplete(ok);
}

void GrpcLoop::AbortCalls() {
  std::vector<std::shared_ptr<GrpcCall>> calls;  // Abort may release
  calls.reserve(calls_.size());
  for (const auto& [raw, call] : calls_) calls.push_back(call);
  for (const std::shared_ptr<GrpcCall>& call : calls) call->Abort();
}

void GrpcLoop::OnWake(bool) { tasks_->WakeArrived(); }

void GrpcLoop::Keep(std::shared_ptr<GrpcCall> call) {
  KVS_DCHECK(InLoop());
  GrpcCall* raw = call.get();
  calls_.emplace(raw, std::move(call));
  if (stopping_) raw->Abort();
}

void GrpcLoop::Release(GrpcCall* call) {
  KVS_DCHECK(InLoop());
  calls_.erase(call);
}

}  // namespace kvstore
