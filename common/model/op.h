// Op: what a request asks for, and kOps: the one table of what each op is. Whoever wants to know
// something about an op in general (must it bring a round? who may send it?) asks this table; only
// what an op does is written elsewhere (client/core, server/core).
//
// A new op: its number here and in proto/kvstore/v1/data.proto, its row in kOps, and what it does.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvstore {

// Numbers as in data.proto. A decoded Op may be a number outside of this list: request_check
// refuses it.
enum class Op : uint32_t {
  kUnspecified = 0,
  kInit = 1,
  kPush = 2,
  kPull = 3,
  kProbe = 4,
  kLeave = 5,
  kSetOptimizer = 6,
  kCommand = 7,
  kTakeBack = 8,
  kCheckOptimizer = 9,
  kProfile = 10,
  kNorms = 11,
  kDelete = 12,
  kReset = 13,
  kSetNumbers = 14,
  kReadState = 15,
  kWriteState = 16,
};

// What one request is about.
enum class OpScope : uint8_t {
  kPart,        // one part of a key's value; it goes to the shard that has the part
  kShard,       // everything on a shard; it goes to every shard
  kFirstShard,  // a server; it goes to shard 0 of every server
};

// Which bytes the request's piece (common/wire/piece.h) has.
enum class OpBytes : uint8_t {
  kNone,
  kIds,    // of a row-sparse key the ids of rows, else none
  kValue,  // of a dense key the part's bytes, of a row-sparse one ids and their rows; or none
  kNote,   // common/wire/norm_note.h, common/wire/state_page.h
};

// What `round` of the request means.
enum class OpRound : uint8_t {
  kNone,
  kContributes,  // the round that it contributes to, from 1
  kOfPush,       // the round of the push that it is about, from 1
  kAsksVersion,  // the version that is asked for; 0 is the last one
};

// How a worker orders its requests about one part (client/core/part_order.h).
enum class OpOrder : uint8_t {
  kFree,   // in no order
  kRead,   // later writes wait until it is over
  kWrite,  // waits until earlier reads are over
  kAlone,  // waits until everything earlier is over, and everything later waits until it is over
};

// What travels beside the request, in its frame.
enum class OpExtra : uint8_t { kNone, kKey, kOptimizer, kCommand };

enum class OpTrait : uint8_t {
  kInFragments,   // the piece may be one fragment of several
  kProbed,        // a PROBE may ask what became of it
  kAnswersBytes,  // its reply has a payload
  kRank0Only,
  kReads,  // a reader may send it, too, as long as it brings nothing (server/service/request_check)
};

// What an op is. Its row in the table names what differs from the defaults here, in any order.
struct OpInfo {
  template <typename... Properties>
  constexpr OpInfo(Op op_, std::string_view name_, OpScope scope_, Properties... properties)
      : op(op_), name(name_), scope(scope_) {
    (Set(properties), ...);
  }

  Op op;
  std::string_view name;
  OpScope scope;
  OpBytes bytes = OpBytes::kNone;
  OpRound round = OpRound::kNone;
  OpOrder order = OpOrder::kFree;
  OpExtra extra = OpExtra::kNone;
  bool in_fragments = false;
  bool may_be_probed = false;
  bool answers_bytes = false;
  bool rank_0_only = false;
  bool reads = false;

 private:
  constexpr void Set(OpBytes value) { bytes = value; }
  constexpr void Set(OpRound value) { round = value; }
  constexpr void Set(OpOrder value) { order = value; }
  constexpr void Set(OpExtra value) { extra = value; }
  constexpr void Set(OpTrait trait) {
    in_fragments |= trait == OpTrait::kInFragments;
    may_be_probed |= trait == OpTrait::kProbed;
    answers_bytes |= trait == OpTrait::kAnswersBytes;
    rank_0_only |= trait == OpTrait::kRank0Only;
    reads |= trait == OpTrait::kReads;
  }
};

// All ops, in the order of their numbers, from 1. (An INIT may come from every rank; that the value
// of a key comes from rank 0 is checked by server/core.)
inline constexpr std::array kOps = {
    OpInfo(Op::kInit, "INIT", OpScope::kPart, OpBytes::kValue, OpOrder::kAlone, OpExtra::kKey,
           OpTrait::kInFragments, OpTrait::kProbed, OpTrait::kReads),
    OpInfo(Op::kPush, "PUSH", OpScope::kPart, OpBytes::kValue, OpOrder::kWrite,
           OpRound::kContributes, OpTrait::kInFragments, OpTrait::kProbed),
    OpInfo(Op::kPull, "PULL", OpScope::kPart, OpBytes::kIds, OpOrder::kRead, OpRound::kAsksVersion,
           OpTrait::kAnswersBytes, OpTrait::kProbed, OpTrait::kReads),
    OpInfo(Op::kProbe, "PROBE", OpScope::kPart, OpTrait::kReads),
    OpInfo(Op::kLeave, "LEAVE", OpScope::kShard),
    OpInfo(Op::kSetOptimizer, "SET_OPTIMIZER", OpScope::kShard, OpExtra::kOptimizer,
           OpTrait::kRank0Only),
    OpInfo(Op::kCommand, "COMMAND", OpScope::kFirstShard, OpExtra::kCommand),
    OpInfo(Op::kTakeBack, "TAKE_BACK", OpScope::kPart, OpOrder::kAlone, OpTrait::kProbed,
           OpTrait::kRank0Only),
    OpInfo(Op::kCheckOptimizer, "CHECK_OPTIMIZER", OpScope::kShard, OpExtra::kOptimizer,
           OpTrait::kRank0Only),
    OpInfo(Op::kProfile, "PROFILE", OpScope::kFirstShard, OpExtra::kCommand, OpTrait::kRank0Only),
    OpInfo(Op::kNorms, "NORMS", OpScope::kPart, OpBytes::kNote, OpRound::kOfPush),
    OpInfo(Op::kDelete, "DELETE", OpScope::kPart, OpOrder::kAlone, OpTrait::kProbed),
    OpInfo(Op::kReset, "RESET", OpScope::kPart, OpOrder::kAlone, OpTrait::kProbed),
    OpInfo(Op::kSetNumbers, "SET_NUMBERS", OpScope::kShard, OpExtra::kOptimizer,
           OpTrait::kRank0Only),
    OpInfo(Op::kReadState, "READ_STATE", OpScope::kPart, OpBytes::kNote, OpOrder::kRead,
           OpTrait::kAnswersBytes),
    OpInfo(Op::kWriteState, "WRITE_STATE", OpScope::kPart, OpBytes::kNote, OpOrder::kAlone,
           OpTrait::kProbed, OpTrait::kRank0Only),
};

// Null for a number that is no op.
constexpr const OpInfo* FindOp(Op op) {
  const auto number = static_cast<uint32_t>(op);
  return number >= 1 && number <= kOps.size() ? &kOps[number - 1] : nullptr;
}

// What a known op is; undefined for a number that is no op. For ops of our own making, or after
// request_check.
constexpr const OpInfo& InfoOf(Op op) { return kOps[static_cast<uint32_t>(op) - 1]; }

// "PUSH"; "OP?" for a number that is no op.
constexpr std::string_view OpName(Op op) {
  const OpInfo* info = FindOp(op);
  return info == nullptr ? "OP?" : info->name;
}

constexpr bool OpsAreInOrder() {
  for (std::size_t i = 0; i < kOps.size(); ++i) {
    if (static_cast<std::size_t>(kOps[i].op) != i + 1) return false;
  }
  return true;
}
static_assert(OpsAreInOrder(), "FindOp() takes an op's number for its place");

}  // namespace kvstore
