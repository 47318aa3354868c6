#include "common/trace/trace_json.h"

#include <catch2/catch.hpp>
#include <string>

namespace kvstore {
namespace {

NamedEvent Span(TraceKind kind) {
  NamedEvent named;
  named.event.kind = kind;
  named.event.begin_ns = 1234567;
  named.event.duration_ns = 2001;
  named.event.key = 17;
  named.event.part = 2;
  named.event.round = 3;
  named.event.rank = 1;
  named.event.bytes = 400;
  return named;
}

std::string Lines(const TraceNode& node, const NamedEvent& named, int64_t shift_ns = 0) {
  std::string text;
  AppendTraceLines(node, 4, named, shift_ns, &text);
  return text;
}

TEST_CASE("a span is a slice of its thread, in microseconds", "[trace]") {
  CHECK(Lines({true, 1}, Span(TraceKind::kFold)) ==
        ",\n{\"name\":\"fold\",\"cat\":\"server\",\"ph\":\"X\",\"ts\":1234.567,\"pid\":10,"
        R"("tid":5,"dur":2.001,"args":{"key":"17","part":2,"round":3,"worker":1,)"
        R"("bytes":400}})");
}

TEST_CASE("a shift moves an event, below zero too", "[trace]") {
  CHECK(Lines({false, 0}, Span(TraceKind::kPull), -1234567 - 1)
            .find(R"("cat":"worker","ph":"X","ts":-0.001,"pid":9,)") != std::string::npos);
  CHECK(Lines({false, 0}, Span(TraceKind::kPull), 433).find(R"("ts":1235.000,)") !=
        std::string::npos);
}

TEST_CASE("a wait is an async slice of its process", "[trace]") {
  const std::string lines = Lines({true, 0}, Span(TraceKind::kWait));
  CHECK(lines.find(R"("name":"wait","cat":"server","ph":"b","ts":1234.567)") != std::string::npos);
  CHECK(lines.find(R"("name":"wait","cat":"server","ph":"e","ts":1236.568)") != std::string::npos);
}

TEST_CASE("a contribution passes through the span that it is with", "[trace]") {
  NamedEvent named = Span(TraceKind::kUpdate);
  named.event.rank = kNoRank;
  named.event.step = FlowStep::kPasses;
  named.event.flow = 0xabc;
  const std::string flow =
      ",\n{\"name\":\"contribution\",\"cat\":\"flow\",\"ph\":\"t\",\"ts\":1234.567,\"pid\":8,"
      R"("tid":5,"id":"0xabc","bp":"e"})";
  const std::string span = Lines({true, 0}, named);
  CHECK(span.substr(span.size() - flow.size()) == flow);
  CHECK(span.find("worker") == std::string::npos);
  named.event.is_span = false;
  CHECK(Lines({true, 0}, named) == flow);
}

TEST_CASE("names of keys are JSON, whatever is in them", "[trace]") {
  NamedEvent named = Span(TraceKind::kPush);
  named.key_name = "a\"b\\c";
  CHECK(Lines({true, 0}, named).find(R"("key":"a\"b\\c")") != std::string::npos);
}

TEST_CASE("a reader is named by its host and process, and its events are of none of the members",
          "[trace]") {
  const TraceNode reader{false, kNoRank, "node0:4711"};
  const TraceNode other{false, kNoRank, "node1:4711"};
  CHECK(reader.name() == "reader node0:4711");
  CHECK(reader.pid() >= uint32_t{1} << 30);
  CHECK(reader.pid() % 2 == 1);  // as a worker's
  CHECK(other.pid() != reader.pid());
  NamedEvent named = Span(TraceKind::kPull);
  named.event.rank = kNoRank;
  const std::string line = Lines(reader, named);
  CHECK(line.find(R"("cat":"reader","ph":"X")") != std::string::npos);
  CHECK(line.find(R"("pid":)" + std::to_string(reader.pid())) != std::string::npos);
  CHECK(line.find("worker") == std::string::npos);
  CHECK(TraceNode{true, 1}.name() == "server 1");
  CHECK(TraceNode{false, 2}.name() == "worker 2");
}

TEST_CASE("one contribution has one id on every node, and others have others", "[trace]") {
  constexpr uint64_t kId = FlowId(1, {7, 0}, 3, 0);
  CHECK(FlowId(1, {7, 0}, 3, 0) == kId);
  CHECK(FlowId(2, {7, 0}, 3, 0) != kId);
  CHECK(FlowId(1, {8, 0}, 3, 0) != kId);
  CHECK(FlowId(1, {7, 1}, 3, 0) != kId);
  CHECK(FlowId(1, {7, 0}, 4, 0) != kId);
  CHECK(FlowId(1, {7, 0}, 3, 1) != kId);
}

}  // namespace
}  // namespace kvstore
