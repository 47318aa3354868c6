// FrameCutter: requests become entries, entries become frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>

#include "client/core/client_core.h"
#include "client/core/requests.h"

namespace kvstore::client_internal {

// Packs entries into frames for one stream.
class FrameCutter {
 public:
  FrameCutter(FrameHeader header, ShardAddress to, ClientOutbox* out)
      : header_(header), to_(to), out_(out) {}

  void Add(const Request& request, bool as_probe) {
    const bool brings_optimizer =
        request.ask.op == Op::kSetOptimizer || request.ask.op == Op::kCheckOptimizer;
    const bool alone = brings_optimizer || request.ask.op == Op::kCommand;
    const size_t bytes = as_probe ? 0 : request.ask.data.size() + request.command.body.size();
    if (frame_ == kNone || bytes_ + bytes > kFramePayloadTarget ||
        out_->frames[frame_].frame.parts.size() == kPartsPerFrameMax || alone) {
      frame_ = out_->frames.size();
      bytes_ = 0;
      keys_.clear();
      out_->frames.push_back({to_, {}});
      out_->frames.back().frame.header = header_;
    }
    Frame& frame = out_->frames[frame_].frame;
    bytes_ += bytes;
    PartEntry& entry = frame.parts.emplace_back();
    entry.op = as_probe ? Op::kProbe : request.ask.op;
    entry.key = request.ask.id.key;
    entry.part = request.ask.id.part;
    entry.round = request.round;
    entry.request = request.id;
    entry.step = request.ask.step;
    if (as_probe) {
      entry.probed_op = request.ask.op;
      return;
    }
    entry.data = request.ask.data;
    entry.rows = request.ask.rows;
    if (request.ask.fragments > 1) {
      entry.fragment = request.ask.fragment;
      entry.fragments = request.ask.fragments;
    }
    entry.create = request.ask.create;
    if (entry.op == Op::kInit && keys_.insert(entry.key).second) {
      frame.keys.push_back(request.ask.key);
    }
    if (brings_optimizer) frame.optimizer = request.optimizer;
    if (entry.op == Op::kCommand) frame.command = request.command;
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;
  FrameHeader header_;
  ShardAddress to_;
  ClientOutbox* out_;
  size_t frame_ = kNone;
  size_t bytes_ = 0;
  std::set<KeyId> keys_;
};

}  // namespace kvstore::client_internal
