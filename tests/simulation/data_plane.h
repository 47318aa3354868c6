// How frames cross the simulated network: as the bytes of the real encoder, cut into slices at
// random places, or as a copy of the structure; never as references to the sender's memory, which
// may be reused once a request is over.
#pragma once

#include <memory>

#include "common/wire/frame.h"
#include "tests/simulation/rng.h"

namespace kvstore::sim {

class FrameInTransit {
 public:
  // `encode`: through EncodeFrame and DecodeFrame.
  FrameInTransit(const Frame& frame, bool encode, Rng& rng);

  // What arrives. Errors: what DecodeFrame finds, only from a broken encoder or decoder.
  absl::StatusOr<std::shared_ptr<const Frame>> Arrive() const;

 private:
  std::shared_ptr<const Frame> frame_;
  std::shared_ptr<const Payload> bytes_;
};

// "PUSH 3/1 r4.0/2 #17 RECEIVED, PULL …" for traces.
std::string DescribeFrame(const Frame& frame);

}  // namespace kvstore::sim
