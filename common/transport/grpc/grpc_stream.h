// GrpcStream: what both ends of a stream have in common: one read and one write outstanding, a
// queue of messages, an orderly end. GrpcClientStream and GrpcServerStream add how a call begins
// and how it ends.
//
// The end. A stream winds down once: because Close() was called, the peer half-closed, the listener
// shuts down, or the call broke. Winding down means: the queue is flushed, then the last operation
// (WritesDone or Finish) goes out, then gRPC hands the outstanding tags back, then OnReleased. A
// peer that does not take the rest is given kCloseLingerMs, then the call is cancelled. It is
// cancelled at once when there is no memory for a message, or whoever receives one throws
// std::bad_alloc: what the peer was not told it asks for again, on another stream.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/transport/grpc/grpc_loop.h"
#include "common/transport/transport.h"

namespace kvstore {

inline constexpr int64_t kCloseLingerMs = 2000;

// Loop-bound.
class GrpcStream : public GrpcCall, public std::enable_shared_from_this<GrpcStream> {
 public:
  // What MessageStream offers; see there.
  void SetEvents(StreamEvents events);
  void Send(Payload message);
  void Close();
  size_t queued_bytes() const { return queued_bytes_; }
  virtual std::string peer() const = 0;
  virtual Identity caller() const = 0;

  void Abort() override;
  bool InLoop() const { return over_ || loop_->InLoop(); }

 protected:
  GrpcStream(GrpcLoop* loop, size_t message_bytes_max)
      : loop_(loop), message_bytes_max_(message_bytes_max) {}

  // The operations of gRPC's stream object.
  virtual void StartRead(grpc::ByteBuffer* message, CompletionTag* tag) = 0;
  virtual void StartWrite(const grpc::ByteBuffer& message, CompletionTag* tag) = 0;
  virtual void StartEnd(CompletionTag* tag) = 0;  // after the last write
  virtual void Cancel() = 0;
  // Ends the stream in disorder, because of our side.
  virtual void Fail(absl::Status status) = 0;
  // Called when no message comes any more: the peer half-closed, or the call is dead.
  virtual void OnReadsOver() = 0;
  // No operation of this class is outstanding; the derived class adds its own to the sum.
  virtual bool IsOver() const = 0;
  // Why the stream ended, for on_closed.
  virtual absl::Status FinalStatus() = 0;
  // All is over, and told. Gives back what belongs to gRPC: the user's handle may live much longer.
  virtual void OnReleased() = 0;

  // The call is established: begins to read and to write.
  void Open();
  void TellOpen();
  // Ends the stream after what is queued; see above.
  void WindDown();
  // To be called when the call is dead: drops what is queued, which will not go out.
  void DropQueue();
  // Ends the stream at once. Allocates nothing of ours.
  void Break();
  // If nothing is outstanding: tells on_closed, and lets the loop forget the stream, which may
  // destroy it. To be the last statement of every completion.
  void FinishIfOver();

  GrpcLoop* loop() const { return loop_; }
  bool winding_down() const { return winding_down_; }
  bool ended() const { return ended_; }

 private:
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnEnded(bool ok);
  void WriteNext();
  void Deliver(Payload message);
  void CancelLater();

  GrpcLoop* const loop_;
  const size_t message_bytes_max_;
  // Shared, so that an event may destroy the stream while it runs. Null: nobody listens.
  std::shared_ptr<StreamEvents> events_;
  std::deque<Payload> queue_;
  size_t queued_bytes_ = 0;
  grpc::ByteBuffer read_message_;
  grpc::ByteBuffer written_message_;
  MethodTag<GrpcStream> read_tag_{this, &GrpcStream::OnRead};
  MethodTag<GrpcStream> write_tag_{this, &GrpcStream::OnWritten};
  MethodTag<GrpcStream> end_tag_{this, &GrpcStream::OnEnded};
  bool open_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool winding_down_ = false;
  bool ending_ = false;  // StartEnd is outstanding
  bool ended_ = false;   // StartEnd was called
  bool over_ = false;
};

// What the user of a stream holds. Destroying it closes the stream, which lives on in its loop
// until gRPC has handed everything back.
class GrpcStreamHandle final : public MessageStream {
 public:
  explicit GrpcStreamHandle(std::shared_ptr<GrpcStream> stream) : stream_(std::move(stream)) {}
  ~GrpcStreamHandle() override { stream_->Close(); }
  GrpcStreamHandle(const GrpcStreamHandle&) = delete;
  GrpcStreamHandle& operator=(const GrpcStreamHandle&) = delete;

  void SetEvents(StreamEvents events) override { stream_->SetEvents(std::move(events)); }
  void Send(Payload message) override { stream_->Send(std::move(message)); }
  size_t queued_bytes() const override { return stream_->queued_bytes(); }
  void Close() override { stream_->Close(); }
  std::string peer() const override { return stream_->peer(); }
  Identity caller() const override { return stream_->caller(); }

 private:
  std::shared_ptr<GrpcStream> stream_;
};

}  // namespace kvstore
