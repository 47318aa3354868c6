#include "common/trace/trace_json.h"

#include <fmt/format.h>

#include <chrono>
#include <iterator>
#include <string_view>

#include "common/base/hash.h"
#include "common/base/json_writer.h"

namespace kvstore {
namespace {

int64_t WallMinusSteadyNs() {
  using std::chrono::duration_cast;
  using std::chrono::nanoseconds;
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return duration_cast<nanoseconds>(wall).count() - SteadyNowNs();
}

std::string Quoted(std::string_view text) {
  JsonWriter json;
  json.Value(text);
  return json.text();
}

struct Writer {
  const TraceNode& node;
  size_t lane;
  std::string* text;

  // Begins an event's line; the caller adds the rest and the closing brace.
  void Begin(std::string_view name, std::string_view category, char phase, int64_t ns) const {
    fmt::format_to(std::back_inserter(*text),
                   ",\n{{\"name\":\"{}\",\"cat\":\"{}\",\"ph\":\"{}\",\"ts\":{},\"pid\":{},"
                   R"("tid":{})",
                   name, category, phase, TraceMicros(ns), node.pid(), lane + 1);
  }
};

void AppendArguments(const NamedEvent& named, std::string* text) {
  const TraceEvent& event = named.event;
  const std::string key =
      named.key_name.empty() ? std::to_string(static_cast<int64_t>(event.key)) : named.key_name;
  fmt::format_to(std::back_inserter(*text), R"(,"args":{{"key":{},"part":{},"round":{})",
                 Quoted(key), event.part, event.round);
  if (event.rank != kNoRank) {
    fmt::format_to(std::back_inserter(*text), R"(,"worker":{})", event.rank);
  }
  fmt::format_to(std::back_inserter(*text), R"(,"bytes":{}}})", event.bytes);
}

// What tells two waits apart that overlap.
uint64_t WaitId(const TraceEvent& event) {
  return FlowId(static_cast<JobId>(event.begin_ns), {event.key, event.part}, event.round,
                event.rank);
}

}  // namespace

uint32_t TraceNode::pid() const {
  constexpr uint32_t kReaders = uint32_t{1} << 30;
  if (!reader.empty()) return kReaders + (static_cast<uint32_t>(HashBytes(reader)) % kReaders | 1);
  return (is_server ? 8 : 9) + 2 * rank;
}

std::string TraceNode::name() const {
  return fmt::format("{} {}", category(), reader.empty() ? std::to_string(rank) : reader);
}

std::string_view TraceNode::category() const {
  if (!reader.empty()) return "reader";
  return is_server ? "server" : "worker";
}

std::string TraceMicros(int64_t ns) {
  const bool negative = ns < 0;
  const uint64_t size = negative ? 0 - static_cast<uint64_t>(ns) : static_cast<uint64_t>(ns);
  return fmt::format("{}{}.{:03}", negative ? "-" : "", size / 1000, size % 1000);
}

std::string TraceBeginning(const std::string& other) {
  return fmt::format("{{\"displayTimeUnit\":\"ms\",\"otherData\":{{{}}},\"traceEvents\":[\n",
                     other);
}

std::string TraceNodeData(const TraceNode& node, const TraceRecorder& recorder) {
  uint64_t kept = 0;
  uint64_t lost = 0;
  for (const auto& lane : recorder.lanes()) {
    kept += lane->size();
    lost += lane->lost();
  }
  // Numbers over 2^53 as text: many readers of JSON have doubles only.
  return fmt::format(R"("node":{},"pid":{},"events_kept":{},"events_lost":{},)"
                     R"("memory_bytes_max":{},"wall_minus_steady_ns":"{}")",
                     Quoted(node.name()), node.pid(), kept, lost, recorder.bytes_max(),
                     WallMinusSteadyNs());
}

std::string TraceNames(const TraceNode& node, const TraceRecorder& recorder) {
  std::string text =
      fmt::format(R"({{"name":"process_name","ph":"M","pid":{},"tid":0,"args":{{"name":{}}}}})",
                  node.pid(), Quoted(node.name()));
  for (size_t lane = 0; lane < recorder.lanes().size(); ++lane) {
    fmt::format_to(std::back_inserter(text),
                   ",\n{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":{},\"tid\":{},\"args\":"
                   R"({{"name":{}}}}})",
                   node.pid(), lane + 1, Quoted(recorder.lanes()[lane]->name()));
  }
  return text;
}

void AppendTraceLines(const TraceNode& node, size_t lane, const NamedEvent& named, int64_t shift_ns,
                      std::string* text) {
  const TraceEvent& event = named.event;
  const int64_t begin_ns = event.begin_ns + shift_ns;
  const std::string_view name = TraceKindName(event.kind);
  const std::string_view category = node.category();
  const Writer write{node, lane, text};
  if (event.is_span && event.kind == TraceKind::kWait) {
    // Waits overlap, so they are no slices of a thread.
    for (const bool begins : {true, false}) {
      write.Begin(name, category, begins ? 'b' : 'e',
                  begins ? begin_ns : begin_ns + event.duration_ns);
      fmt::format_to(std::back_inserter(*text), R"(,"id2":{{"local":"{:#x}"}})", WaitId(event));
      if (begins) AppendArguments(named, text);
      *text += '}';
    }
  } else if (event.is_span) {
    write.Begin(name, category, 'X', begin_ns);
    fmt::format_to(std::back_inserter(*text), R"(,"dur":{})", TraceMicros(event.duration_ns));
    AppendArguments(named, text);
    *text += '}';
  }
  if (event.step == FlowStep::kNone) return;
  const char phase = event.step == FlowStep::kBegins   ? 's'
                     : event.step == FlowStep::kPasses ? 't'
                                                       : 'f';
  write.Begin("contribution", "flow", phase, begin_ns);
  // "bp":"e": it belongs to the slice around it, not to the next one.
  fmt::format_to(std::back_inserter(*text), R"(,"id":"{:#x}"{}}})", event.flow,
                 phase == 's' ? "" : R"(,"bp":"e")");
}

}  // namespace kvstore
