// GrpcLoop: an event loop that is one thread polling one completion queue. Two threads on one queue
// cost 46 % of the throughput (measured while the protocol was designed), so a queue never has a
// second one.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "common/transport/task_queue.h"
#include "common/transport/transport.h"

namespace kvstore {

// What is given to gRPC as a tag and comes back from the completion queue.
class CompletionTag {
 public:
  virtual void OnComplete(bool ok) = 0;

 protected:
  ~CompletionTag() = default;
};

// Calls a method of its owner, which must stay alive while the operation is outstanding.
template <typename T>
class MethodTag final : public CompletionTag {
 public:
  MethodTag(T* self, void (T::*method)(bool ok)) : self_(self), method_(method) {}
  void OnComplete(bool ok) override { (self_->*method_)(ok); }

 private:
  T* self_;
  void (T::*method_)(bool ok);
};

// A call with operations on a loop's queue. The loop keeps it alive until it is released.
class GrpcCall {
 public:
  virtual ~GrpcCall() = default;
  // Called when the loop is about to stop: the call must tell no more events, end as fast as
  // possible, and then be released.
  virtual void Abort() = 0;
};

class GrpcLoop final : public EventLoop {
 public:
  // `server_queue` is the same queue for a loop of a server, null for one that only dials.
  GrpcLoop(std::unique_ptr<grpc::CompletionQueue> queue, grpc::ServerCompletionQueue* server_queue,
           const std::string& name);
  ~GrpcLoop() override;

  void Post(std::function<void()> task) override { tasks_->Post(std::move(task)); }
  void PostAfter(int64_t delay_ms, std::function<void()> task) override {
    tasks_->PostAfter(delay_ms, std::move(task));
  }
  bool InLoop() const override { return tasks_->InOwner(); }

  // The tasks, for those who may still post when the loop is gone.
  const std::shared_ptr<TaskQueue>& tasks() const { return tasks_; }
  grpc::CompletionQueue* queue() { return queue_.get(); }
  // Null for a loop that only dials.
  grpc::ServerCompletionQueue* server_queue() { return server_queue_; }
  bool serves() const { return server_queue_ != nullptr; }

  // Loop's thread only. A call that is kept while the loop stops is aborted at once. Release may
  // destroy the call: the caller touches it no more.
  void Keep(std::shared_ptr<GrpcCall> call);
  void Release(GrpcCall* call);

 private:
  void Run(const std::string& name);
  void AbortCalls();
  void OnWake(bool ok);

  std::unique_ptr<grpc::CompletionQueue> queue_;
  grpc::ServerCompletionQueue* server_queue_;
  grpc::Alarm alarm_;  // set by one thread at a time: TaskQueue calls `wake` under its lock
  MethodTag<GrpcLoop> wake_tag_{this, &GrpcLoop::OnWake};
  std::shared_ptr<TaskQueue> tasks_;
  // Loop's thread only.
  std::unordered_map<GrpcCall*, std::shared_ptr<GrpcCall>> calls_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kvstore
