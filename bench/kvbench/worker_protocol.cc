#include "bench/kvbench/worker_protocol.h"

#include <fmt/format.h>

#include <cstdlib>
#include <limits>
#include <sstream>

#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

// Reads fields of a line; the first problem stands.
class FieldReader {
 public:
  explicit FieldReader(const Line& line) : line_(line) {}

  std::string Text(const std::string& name) {
    const auto found = line_.fields.find(name);
    if (found != line_.fields.end()) return found->second;
    status_.Update(absl::InvalidArgumentError(
        fmt::format("'{}': field {} expected, got none", line_.verb, name)));
    return "";
  }
  double Number(const std::string& name) {
    const std::string text = Text(name);
    if (!status_.ok()) return 0;
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || *end != '\0') {
      status_.Update(absl::InvalidArgumentError(
          fmt::format("'{}': {}: a number expected, got '{}'", line_.verb, name, text)));
    }
    return number;
  }
  uint64_t Whole(const std::string& name) { return static_cast<uint64_t>(Number(name)); }
  const absl::Status& status() const { return status_; }

 private:
  const Line& line_;
  absl::Status status_;
};

// Exact when read back.
std::string Exact(double number) {
  return fmt::format("{:.{}g}", number, std::numeric_limits<double>::max_digits10);
}

}  // namespace

absl::StatusOr<Line> ParseLine(const std::string& line) {
  Line parsed;
  std::istringstream words(line);
  words >> parsed.verb;
  if (parsed.verb == "wrong" || parsed.verb == "failed") {
    std::getline(words >> std::ws, parsed.text);
    return parsed;
  }
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(
          fmt::format("name=value expected, got '{}' in '{}'", word, line));
    }
    parsed.fields[word.substr(0, equals)] = word.substr(equals + 1);
  }
  if (parsed.verb.empty()) return absl::InvalidArgumentError("a verb expected, got an empty line");
  return parsed;
}

std::string FormatLine(const Line& line) {
  std::string text = line.verb;
  for (const auto& [name, value] : line.fields) text += " " + name + "=" + value;
  if (line.text.empty()) return text;
  text += " ";
  for (const char c : line.text) text += c == '\n' ? ' ' : c;  // one line
  return text;
}

Line LineOf(const PrepareCommand& command) {
  std::string pids;
  for (const pid_t pid : command.server_pids)
    pids += fmt::format("{}{}", pids.empty() ? "" : ",", pid);
  const Case& measured = command.measured;
  return {"prepare",
          {{"workload", std::string(WorkloadName(measured.workload))},
           {"value_bytes", fmt::to_string(measured.value_bytes)},
           {"keys", fmt::to_string(measured.keys)},
           {"window", fmt::to_string(measured.window)},
           {"workers", fmt::to_string(measured.workers)},
           {"dtype", DataTypeName(measured.dtype)},
           {"optimizer", std::string(OptimizerName(measured.optimizer))},
           {"compression", measured.compression},
           {"model", measured.model},
           {"height", fmt::to_string(measured.height)},
           {"first_key", fmt::to_string(command.first_key)},
           {"seed", fmt::to_string(command.seed)},
           {"server_pids", pids}},
          ""};
}

Line LineOf(const RunCommand& command) {
  return {"run",
          {{"warmup_s", Exact(command.warmup_s)},
           {"seconds", Exact(command.seconds)},
           {"rounds", fmt::to_string(command.rounds)}},
          ""};
}

Line LineOf(const Sample& sample) {
  return {"ok",
          {{"seconds", Exact(sample.seconds)},
           {"operations", fmt::to_string(sample.operations)},
           {"payload_bytes", fmt::to_string(sample.payload_bytes)},
           {"client_cpu_s", Exact(sample.client_cpu_s)},
           {"server_cpu_s", Exact(sample.server_cpu_s)},
           {"bytes_moved", fmt::to_string(sample.client_bytes.moved)},
           {"bytes_copied", fmt::to_string(sample.client_bytes.copied)},
           {"p50_us", Exact(sample.p50_us)},
           {"p99_us", Exact(sample.p99_us)}},
          ""};
}

absl::StatusOr<PrepareCommand> PrepareFromLine(const Line& line) {
  FieldReader reader(line);
  PrepareCommand command;
  const std::string workload = reader.Text("workload");
  command.measured.value_bytes = reader.Whole("value_bytes");
  command.measured.keys = reader.Whole("keys");
  command.measured.window = reader.Whole("window");
  command.measured.workers = static_cast<int>(reader.Whole("workers"));
  const std::string dtype = reader.Text("dtype");
  const std::string optimizer = reader.Text("optimizer");
  command.measured.compression = reader.Text("compression");
  command.measured.model = reader.Text("model");
  command.measured.height = static_cast<int64_t>(reader.Whole("height"));
  command.first_key = static_cast<int>(reader.Whole("first_key"));
  command.seed = reader.Whole("seed");
  std::istringstream pids(reader.Text("server_pids"));
  for (std::string pid; std::getline(pids, pid, ',');) {
    command.server_pids.push_back(static_cast<pid_t>(std::atoi(pid.c_str())));
  }
  KVS_RETURN_IF_ERROR(reader.status());
  KVS_ASSIGN_OR_RETURN(command.measured.workload, WorkloadFromName(workload));
  KVS_ASSIGN_OR_RETURN(command.measured.dtype, DataTypeFromName(dtype));
  KVS_ASSIGN_OR_RETURN(command.measured.optimizer, OptimizerFromName(optimizer));
  return command;
}

absl::StatusOr<RunCommand> RunFromLine(const Line& line) {
  FieldReader reader(line);
  RunCommand command;
  command.warmup_s = reader.Number("warmup_s");
  command.seconds = reader.Number("seconds");
  command.rounds = reader.Whole("rounds");
  KVS_RETURN_IF_ERROR(reader.status());
  return command;
}

absl::StatusOr<Sample> SampleFromLine(const Line& line) {
  FieldReader reader(line);
  Sample sample;
  sample.seconds = reader.Number("seconds");
  sample.operations = reader.Whole("operations");
  sample.payload_bytes = reader.Whole("payload_bytes");
  sample.client_cpu_s = reader.Number("client_cpu_s");
  sample.server_cpu_s = reader.Number("server_cpu_s");
  sample.client_bytes.moved = reader.Whole("bytes_moved");
  sample.client_bytes.copied = reader.Whole("bytes_copied");
  sample.p50_us = reader.Number("p50_us");
  sample.p99_us = reader.Number("p99_us");
  KVS_RETURN_IF_ERROR(reader.status());
  return sample;
}

}  // namespace kvstore::bench
