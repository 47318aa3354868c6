// Streams between two loops of one process. A stream is a link with two ends; an end is touched on
// its loop's thread only, and speaks to the other end by posting to that end's loop. Since posts
// keep their order, so do messages.
//
// A message is copied when it arrives, as a wire would do: the sender's owners are released then,
// and no write of the sender reaches the receiver. It arrives in slices of at most 16 KiB, like
// HTTP/2 frames, so that receivers meet cuts in their tests.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_set>

#include "absl/status/status.h"
#include "common/transport/task_queue.h"
#include "common/transport/transport.h"

namespace kvstore {

class InprocEnd;

// What is left of a loop in the hands of its streams.
class LoopEnd {
 public:
  explicit LoopEnd(std::shared_ptr<TaskQueue> tasks) : tasks_(std::move(tasks)) {}

  TaskQueue& tasks() { return *tasks_; }
  // Loop's thread only.
  void Add(std::shared_ptr<InprocEnd> end);
  void Remove(const std::shared_ptr<InprocEnd>& end);
  void Stop();  // breaks all streams of the loop

 private:
  const std::shared_ptr<TaskQueue> tasks_;
  std::unordered_set<std::shared_ptr<InprocEnd>> ends_;
  bool stopped_ = false;
};

// What the two ends of a stream share.
struct InprocLink {
  // Set when the link is broken: messages that are under way are lost. Release by the one who
  // breaks, acquire by the receiver.
  std::atomic<bool> broken{false};
  std::atomic<uint64_t>* messages = nullptr;  // the network's counter; relaxed
  size_t message_bytes_max = kMessageBytesMax;
};

class InprocEnd : public std::enable_shared_from_this<InprocEnd> {
 public:
  InprocEnd(std::shared_ptr<LoopEnd> loop, std::shared_ptr<InprocLink> link, std::string peer)
      : loop_(std::move(loop)), link_(std::move(link)), peer_name_(std::move(peer)) {}

  // To be called before any event.
  void Connect(const std::shared_ptr<InprocEnd>& other) { other_ = other; }

  // ---- the stream's side: on the loop's thread
  void SetEvents(StreamEvents events);
  void Send(Payload message);
  void Close() { End(absl::OkStatus(), /*tell=*/false); }
  size_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }
  const std::string& peer() const { return peer_name_; }
  bool InLoop() const { return over_ || loop_->tasks().InOwner(); }

  // ---- from anywhere: posts to the loop
  void PostOpen();
  void PostReceive(Payload message);
  // Ends this end, after what was posted before.
  void PostEnd(const absl::Status& status) noexcept;
  void PostTask(std::function<void()> task) { loop_->tasks().Post(std::move(task)); }

  // ---- on the loop's thread
  // Becomes one of the loop's streams.
  void EnterLoop() { loop_->Add(shared_from_this()); }
  // The end of the stream here: on_closed(status) if `tell`; the other end sees `status` too.
  void End(const absl::Status& status, bool tell);

 private:
  void Receive(const Payload& message);

  const std::shared_ptr<LoopEnd> loop_;
  const std::shared_ptr<InprocLink> link_;
  const std::string peer_name_;
  std::weak_ptr<InprocEnd> other_;
  std::shared_ptr<StreamEvents> events_;
  // Sent and not yet received. Relaxed: a number to look at.
  std::atomic<size_t> queued_bytes_{0};
  bool over_ = false;
};

class InprocStream final : public MessageStream {
 public:
  explicit InprocStream(std::shared_ptr<InprocEnd> end) : end_(std::move(end)) {}
  ~InprocStream() override { end_->Close(); }
  InprocStream(const InprocStream&) = delete;
  InprocStream& operator=(const InprocStream&) = delete;

  void SetEvents(StreamEvents events) override { end_->SetEvents(std::move(events)); }
  void Send(Payload message) override { end_->Send(std::move(message)); }
  size_t queued_bytes() const override { return end_->queued_bytes(); }
  void Close() override { end_->Close(); }
  std::string peer() const override { return end_->peer(); }

 private:
  std::shared_ptr<InprocEnd> end_;
};

}  // namespace kvstore
