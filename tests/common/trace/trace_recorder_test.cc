#include "common/trace/trace_recorder.h"

#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

namespace kvstore {
namespace {

TraceEvent EventNow(Round round = 1, KeyId key = 7) {
  TraceEvent event;
  event.begin_ns = SteadyNowNs();
  event.key = key;
  event.round = round;
  return event;
}

constexpr uint64_t kBlockBytes = TraceLane::kBlockEvents * sizeof(TraceEvent);

TEST_CASE("a recorder is on between start and stop, unless it pauses", "[trace]") {
  TraceRecorder recorder(kBlockBytes);
  CHECK_FALSE(recorder.on());
  recorder.Pause(true);
  recorder.Start();
  CHECK_FALSE(recorder.on());
  recorder.Pause(false);
  CHECK(recorder.on());
  recorder.Stop();
  CHECK_FALSE(recorder.on());
  recorder.Pause(true);
  recorder.Pause(false);
  CHECK_FALSE(recorder.on());
}

TEST_CASE("memory is bounded: what comes when it is full is counted and lost", "[trace]") {
  TraceRecorder recorder(2 * kBlockBytes + kBlockBytes / 2);
  TraceLane* const lane = recorder.AddLane("a");
  TraceLane* const other = recorder.AddLane("b");
  recorder.Start();
  const uint64_t room = 2 * TraceLane::kBlockEvents;
  for (Round round = 1; round <= room + 10; ++round) lane->Record(EventNow(round), "");
  CHECK(lane->size() == room);
  CHECK(lane->lost() == 10);
  // The lanes share one bound: this one comes too late.
  other->Record(EventNow(), "");
  CHECK(other->size() == 0);
  CHECK(other->lost() == 1);
  // The oldest are kept, in their order.
  CHECK(lane->Read(0).front().event.round == 1);
  CHECK(lane->Read(0).size() == TraceLane::kBlockEvents);
  CHECK(lane->Read(room - 1).back().event.round == room);
  CHECK(lane->Read(room).empty());
  // Names take of the same memory.
  recorder.Start();
  CHECK(lane->size() == 0);
  CHECK(lane->lost() == 0);
  lane->Record(EventNow(1, 8), std::string(2 * kBlockBytes, 'x'));
  CHECK(lane->lost() == 1);
  // A start gives everything back.
  recorder.Start();
  for (Round round = 1; round <= room; ++round) other->Record(EventNow(round), "");
  CHECK(other->size() == room);
  CHECK(other->lost() == 0);
}

TEST_CASE("after the first loss nothing is kept, so a recording has no gap", "[trace]") {
  TraceRecorder recorder(kBlockBytes);
  TraceLane* const lane = recorder.AddLane("a");
  recorder.Start();
  lane->Record(EventNow(1, 1), std::string(kBlockBytes + 1, 'x'));  // its name has no room
  lane->Record(EventNow(2, 2), "");                                 // there would be room for it
  CHECK(lane->size() == 0);
  CHECK(lane->lost() == 2);
}

TEST_CASE("what began before the recording is not in it", "[trace]") {
  TraceRecorder recorder(kBlockBytes);
  TraceLane* const lane = recorder.AddLane("a");
  const TraceEvent early = EventNow();
  recorder.Start();
  lane->Record(early, "");
  CHECK(lane->size() == 0);
  CHECK(lane->lost() == 0);
  lane->Record(EventNow(), "");
  CHECK(lane->size() == 1);
}

TEST_CASE("names are kept once and read with their events", "[trace]") {
  TraceRecorder recorder(2 * kBlockBytes);
  TraceLane* const lane = recorder.AddLane("a");
  recorder.Start();
  lane->Record(EventNow(1, 1), "conv1.weight");
  lane->Record(EventNow(2, 2), "");
  lane->Record(EventNow(3, 1), "conv1.weight");
  const std::vector<NamedEvent> events = lane->Read(0);
  REQUIRE(events.size() == 3);
  CHECK(events[0].key_name == "conv1.weight");
  CHECK(events[1].key_name.empty());
  CHECK(events[2].key_name == "conv1.weight");
}

TEST_CASE("lanes record while others read, start and stop", "[trace]") {
  TraceRecorder recorder(8 * kBlockBytes);
  constexpr int kThreads = 3;
  std::vector<TraceLane*> lanes;
  for (int i = 0; i < kThreads; ++i) lanes.push_back(recorder.AddLane(std::to_string(i)));
  std::vector<std::thread> threads;
  for (TraceLane* lane : lanes) {
    threads.emplace_back([lane] {
      for (Round round = 1; round <= 20000; ++round) {
        if (lane->on()) lane->Record(EventNow(round, round % 5), "key");
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    recorder.Start();
    for (TraceLane* lane : lanes) {
      for (const NamedEvent& each : lane->Read(0)) CHECK(each.key_name == "key");
    }
    recorder.Stop();
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace kvstore
