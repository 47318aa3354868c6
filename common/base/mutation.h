// Deliberately broken variants of the protocol cores. The simulator must catch each of them; that
// is how we know it would catch the same mistake made by accident (tests/simulation).
//
// In every build but the simulator's mutant build Broken() is constant false and costs nothing.
#pragma once

#include <array>
#include <string_view>

namespace kvstore {

enum class Mutation {
  kNone,
  kNoDedup,                // server: a repeated contribution is folded again
  kCountMessages,          // server: a round closes after N messages instead of N workers
  kAckBeforeApply,         // server: a push is answered DONE when it is received
  kPublishBeforePersist,   // scheduler: tells before the state is on disk
  kPublishWithOlderState,  // scheduler: tells when the write is done that was under way then
  kSumInArrivalOrder,      // server: folds contributions as they arrive
  kTornPull,               // server: a pull is answered at once with whatever version there is
  kLateReplyWritten,       // client: a reply to a request that is over is delivered
  kResendReencodes,        // client: a resend encodes the value again
  kAsyncDedupForgotten,    // server: a worker's new stream forgets its last asynchronous push
  kAsyncOrderSwapped,      // server: an asynchronous push is applied before its turn
  kCommandRunAgain,        // server: a repeated command is run again
  kFragmentIsWhole,        // server: the first fragment counts as the whole contribution
  kFragmentTwice,          // server: a repeated fragment of an open contribution is folded again
  kFragmentOutOfOrder,     // server: fragments of a contribution are folded as they arrive
  kFragmentsLoseCount,     // client: every fragment is a push of its own round
  kDropForgetsRequests,    // server: what was taken back is created by a late repeat of its Init
  kWindowCountsRounds,  // client: a push goes when few rounds are open, however old the oldest is
};

struct MutationName {
  Mutation mutation;
  std::string_view name;
};
inline constexpr std::array<MutationName, 18> kMutations = {{
    {Mutation::kNoDedup, "no_dedup"},
    {Mutation::kCountMessages, "count_messages"},
    {Mutation::kAckBeforeApply, "ack_before_apply"},
    {Mutation::kPublishBeforePersist, "publish_before_persist"},
    {Mutation::kPublishWithOlderState, "publish_with_older_state"},
    {Mutation::kSumInArrivalOrder, "sum_in_arrival_order"},
    {Mutation::kTornPull, "torn_pull"},
    {Mutation::kLateReplyWritten, "late_reply_written"},
    {Mutation::kResendReencodes, "resend_reencodes"},
    {Mutation::kAsyncDedupForgotten, "async_dedup_forgotten"},
    {Mutation::kAsyncOrderSwapped, "async_order_swapped"},
    {Mutation::kCommandRunAgain, "command_run_again"},
    {Mutation::kFragmentIsWhole, "fragment_is_whole"},
    {Mutation::kFragmentTwice, "fragment_twice"},
    {Mutation::kFragmentOutOfOrder, "fragment_out_of_order"},
    {Mutation::kFragmentsLoseCount, "fragments_lose_count"},
    {Mutation::kDropForgetsRequests, "drop_forgets_requests"},
    {Mutation::kWindowCountsRounds, "window_counts_rounds"},
}};

#ifdef KVS_WITH_MUTATIONS
// Set by the simulator before a run; the simulator is single-threaded.
inline Mutation active_mutation = Mutation::kNone;
inline bool Broken(Mutation mutation) { return active_mutation == mutation; }
#else
constexpr bool Broken(Mutation) { return false; }
#endif

}  // namespace kvstore
