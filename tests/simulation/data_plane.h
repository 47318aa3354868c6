// How frames cross the simulated network: as the bytes of the real encoder, cut into slices at
// random places, or as a copy of the structure; never as references to the sender's memory, which
// may be reused once a request is over.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/wire/frame.h"
#include "tests/simulation/rng.h"

namespace kvstore::sim {

// The same bytes, in slices of random sizes.
Payload CutAtRandom(const std::string& bytes, Rng& rng);
// The same frame, with bytes of its own.
std::shared_ptr<RequestFrame> CopyOf(const RequestFrame& frame);
std::shared_ptr<ReplyFrame> CopyOf(const ReplyFrame& frame);

template <typename Frame>
class FrameInTransit {
 public:
  // `encode`: through EncodeFrame and DecodeFrame.
  FrameInTransit(const Frame& frame, bool encode, Rng& rng) {
    if (encode) {
      bytes_ = std::make_shared<const Payload>(CutAtRandom(EncodeFrame(frame).ToString(), rng));
    } else {
      frame_ = CopyOf(frame);
    }
  }

  // What arrives. Errors: what DecodeFrame finds, only from a broken encoder or decoder.
  absl::StatusOr<std::shared_ptr<const Frame>> Arrive() const {
    if (frame_ != nullptr) return frame_;
    absl::StatusOr<Frame> decoded = DecodeFrame<Frame>(*bytes_);
    if (!decoded.ok()) return decoded.status();
    return std::make_shared<const Frame>(*std::move(decoded));
  }

 private:
  std::shared_ptr<const Frame> frame_;
  std::shared_ptr<const Payload> bytes_;
};
using RequestInTransit = FrameInTransit<RequestFrame>;
using ReplyInTransit = FrameInTransit<ReplyFrame>;

// "PUSH 3/1 r4.0/2 #17, PULL …" and "PUSH 3/1 r4 #17 RECEIVED, …" for traces.
std::string DescribeFrame(const RequestFrame& frame);
std::string DescribeFrame(const ReplyFrame& frame);

}  // namespace kvstore::sim
