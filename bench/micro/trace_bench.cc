// What the profiler costs: ns for each span, off and on, and for the clock that it reads twice.
//
//   trace_bench [MILLIONS_OF_SPANS]
//
// A span is what a server's core makes of a fold: WorkSpan over ShardRecorder into a lane. "bare"
// is the loop without one. The best of five runs counts; the events are counted at the end, so that
// nothing is optimised away.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "common/base/clock.h"
#include "server/service/shard_recorder.h"

namespace kvstore {
namespace {

constexpr int kRuns = 5;

double BestNs(int64_t spans, const std::function<void(int64_t)>& run) {
  double best = 1e9;
  for (int i = 0; i < kRuns; ++i) {
    const int64_t begin = SteadyNowNs();
    run(spans);
    best = std::min(best, static_cast<double>(SteadyNowNs() - begin) / static_cast<double>(spans));
  }
  return best;
}

int Main(int64_t spans) {
  KeySpec key;
  key.key = 7;
  key.name = "conv1.weight";
  TraceRecorder trace(static_cast<uint64_t>(spans) * sizeof(TraceEvent) * 2 + (1u << 20));
  ShardRecorder recorder(trace.AddLane("shard0"));
  volatile uint64_t sink = 0;
  const auto work = [&](WorkRecorder* to, int64_t count) {
    recorder.Refresh();
    for (int64_t i = 0; i < count; ++i) {
      const WorkSpan span(to, {Work::kFold, &key, 0, static_cast<Round>(i), 0, 4096, 1});
      sink = sink + 1;
    }
  };
  const double bare = BestNs(spans, [&](int64_t count) {
    for (int64_t i = 0; i < count; ++i) sink = sink + 1;
  });
  const double clock = BestNs(spans, [&](int64_t count) {
    for (int64_t i = 0; i < count; ++i) sink = sink + static_cast<uint64_t>(SteadyNowNs());
  });
  const double off = BestNs(spans, [&](int64_t count) { work(&recorder, count); });
  const double on = BestNs(spans, [&](int64_t count) {
    trace.Start();
    work(&recorder, count);
  });
  const uint64_t kept = trace.lanes()[0]->size();
  trace.Stop();
  fmt::print("loop {:.2f} ns, with the clock read once {:.2f} ns\n", bare, clock);
  fmt::print("span off {:.2f} ns more, on {:.1f} ns more ({} of {} events kept)\n", off - bare,
             on - bare, kept, spans);
  return kept == static_cast<uint64_t>(spans) ? 0 : 1;
}

}  // namespace
}  // namespace kvstore

int main(int argc, char** argv) {
  const int64_t millions = argc > 1 ? std::atoll(argv[1]) : 1;
  return kvstore::Main(millions * 1000000);
}
