#include "bench/kvbench/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include "bench/kvbench/statistics.h"
#include "common/base/json_writer.h"
#include "kvstore/kvstore.h"

namespace kvstore::bench {
namespace {

using Figure = double (*)(const Sample&);

double GigabytesPerS(const Sample& sample) { return sample.bytes_per_s() / 1e9; }
double OperationsPerS(const Sample& sample) { return sample.operations_per_s(); }
double P50(const Sample& sample) { return sample.p50_us; }
double P99(const Sample& sample) { return sample.p99_us; }
double ClientCpu(const Sample& sample) {
  return sample.client_cpu_s / (static_cast<double>(sample.payload_bytes) / 1e9);
}
double ServerCpu(const Sample& sample) {
  return sample.server_cpu_s / (static_cast<double>(sample.payload_bytes) / 1e9);
}

std::vector<double> FiguresOf(const std::vector<Sample>& samples, Figure figure) {
  std::vector<double> figures;
  for (const Sample& sample : samples) figures.push_back(figure(sample));
  return figures;
}

Summary Of(const std::vector<Sample>& samples, Figure figure) {
  return Summarize(FiguresOf(samples, figure));
}

Summary MemcpyOf(const CaseResult& result) {
  std::vector<double> figures = result.memcpy_bytes_per_s;
  for (double& figure : figures) figure /= 1e9;
  return Summarize(figures);
}

bool ServerCpuKnown(const std::vector<Sample>& samples) {
  return !samples.empty() && samples[0].server_cpu_s >= 0;
}

// Ours in units of the limit: for speeds more is better, for latencies less.
double Ratio(const Summary& ours, const Summary& limit) {
  return limit.median == 0 ? 0 : ours.median / limit.median;
}

std::string SizeText(uint64_t bytes) {
  if (bytes >= (1u << 20) && bytes % (1u << 20) == 0) return fmt::format("{}m", bytes >> 20);
  if (bytes >= (1u << 10) && bytes % (1u << 10) == 0) return fmt::format("{}k", bytes >> 10);
  return fmt::to_string(bytes);
}

std::string Spread(const Summary& summary, int digits) {
  return fmt::format("{:.{}f} [{:.{}f}-{:.{}f}]", summary.median, digits, summary.min, digits,
                     summary.max, digits);
}

std::string CpuText(const std::vector<Sample>& samples) {
  if (samples.empty()) return "-";
  if (!ServerCpuKnown(samples)) return fmt::format("{:.2f}", Of(samples, ClientCpu).median);
  return fmt::format("{:.2f}+{:.2f}", Of(samples, ClientCpu).median, Of(samples, ServerCpu).median);
}

struct CopiesPerByte {
  double workers = 0;
  double servers = 0;
};

// Bytes copied per byte of payload moved, by the workers and by the servers; nothing if nothing
// was counted.
std::optional<CopiesPerByte> CopiesOf(const CaseResult& result) {
  ByteCounts workers;
  for (const Sample& sample : result.store) {
    workers.moved += sample.client_bytes.moved;
    workers.copied += sample.client_bytes.copied;
  }
  const ByteCounts& servers = result.server_bytes;
  if (workers.moved == 0 || servers.moved == 0) return std::nullopt;
  return CopiesPerByte{static_cast<double>(workers.copied) / static_cast<double>(workers.moved),
                       static_cast<double>(servers.copied) / static_cast<double>(servers.moved)};
}

std::string CopiesText(const CaseResult& result) {
  const std::optional<CopiesPerByte> copies = CopiesOf(result);
  return copies ? fmt::format("{:.2f}+{:.2f}", copies->workers, copies->servers) : "-";
}

// Of the store, or of raw TCP where only that was measured.
std::string OperationsText(const CaseResult& result) {
  const Summary rate = Of(result.store.empty() ? result.tcp : result.store, OperationsPerS);
  return fmt::format("{:.{}f}", rate.median, rate.median < 1000 ? 2 : 0);
}

std::string LatencyText(const std::vector<Sample>& samples) {
  if (samples.empty()) return "";
  return fmt::format(" p50 {}, p99 {}", Spread(Of(samples, P50), 1), Spread(Of(samples, P99), 1));
}

std::string CoresText(const Cores& cores) {
  return cores.empty() ? "any" : fmt::format("{}", fmt::join(cores, ","));
}

// "f32 sgd 1000000": what the values are, what becomes of a round, how high the table is, which
// model it is.
std::string KindText(const Case& measured) {
  if (!InRounds(measured.workload)) return DataTypeName(measured.dtype);
  std::string text =
      fmt::format("{} {}", DataTypeName(measured.dtype), OptimizerName(measured.optimizer));
  if (measured.height > 0) text += fmt::format(" {}", measured.height);
  if (!measured.model.empty()) text += " " + measured.model;
  if (!measured.compression.empty()) text += " " + measured.compression;
  return text;
}

constexpr char kRow[] =
    "{:<10}{:<17}{:>7}{:>6}{:>7}{:>5}  {:>19}{:>10}  {:>19}{:>8}  {:>21}{:>8}  {:>10} {:>10}  "
    "{:>10}\n";

void WriteFigures(JsonWriter* json, const char* name, const std::vector<double>& figures) {
  json->Key(name).BeginArray();
  for (const double figure : figures) json->Value(figure);
  json->End();
}

void WriteSummary(JsonWriter* json, const char* name, const std::vector<double>& figures) {
  const Summary summary = Summarize(figures);
  json->Key(name).BeginObject();
  json->Member("median", summary.median);
  json->Member("min", summary.min);
  json->Member("max", summary.max);
  WriteFigures(json, "samples", figures);
  json->End();
}

void WriteSamples(JsonWriter* json, const char* name, const Case& measured,
                  const std::vector<Sample>& samples) {
  json->Key(name);
  if (samples.empty()) {
    json->Null();
    return;
  }
  json->BeginObject();
  WriteSummary(json, "gb_per_s", FiguresOf(samples, GigabytesPerS));
  WriteSummary(json, "operations_per_s", FiguresOf(samples, OperationsPerS));
  WriteSummary(json, "client_cpu_s_per_gb", FiguresOf(samples, ClientCpu));
  if (ServerCpuKnown(samples)) {
    WriteSummary(json, "server_cpu_s_per_gb", FiguresOf(samples, ServerCpu));
  }
  if (measured.workload == Workload::kLatency) {
    WriteSummary(json, "p50_us", FiguresOf(samples, P50));
    WriteSummary(json, "p99_us", FiguresOf(samples, P99));
  }
  json->End();
}

void WriteResult(JsonWriter* json, const CaseResult& result) {
  const Case& measured = result.measured;
  const bool latency = measured.workload == Workload::kLatency;
  const Figure main = latency ? P50 : GigabytesPerS;
  json->BeginObject();
  json->Member("workload", WorkloadName(measured.workload));
  json->Member("dtype", DataTypeName(measured.dtype));
  json->Member("optimizer", OptimizerName(measured.optimizer));
  if (measured.height > 0) json->Member("height", measured.height);
  if (!measured.model.empty()) json->Member("model", measured.model);
  if (!measured.compression.empty()) json->Member("compression", measured.compression);
  json->Member("value_bytes", uint64_t{measured.value_bytes});
  json->Member("keys", uint64_t{measured.keys});
  json->Member("in_flight", uint64_t{measured.window});
  json->Member("workers", measured.workers);
  json->Member("servers", result.servers);
  WriteSamples(json, "store", measured, result.store);
  WriteSamples(json, "tcp", measured, result.tcp);
  std::vector<double> copied = result.memcpy_bytes_per_s;
  for (double& figure : copied) figure /= 1e9;
  WriteSummary(json, "memcpy_gb_per_s", copied);
  if (!measured.compression.empty() && !result.store.empty()) {
    double moved = 0, payload = 0;
    for (const Sample& sample : result.store) {
      moved += static_cast<double>(sample.client_bytes.moved);
      payload += static_cast<double>(sample.payload_bytes);
    }
    json->Member("worker_bytes_moved_per_byte", moved / payload);
  }
  if (const auto copies = CopiesOf(result)) {
    json->Member("worker_bytes_copied_per_byte", copies->workers);
    json->Member("server_bytes_copied_per_byte", copies->servers);
  }
  if (!result.memory_ratios.empty()) {
    WriteFigures(json, "server_memory_over_held", result.memory_ratios);
    WriteFigures(json, "server_memory_over_held_at_rest", result.memory_ratios_at_rest);
  }
  json->Key(latency ? "p50_over_tcp" : "gb_per_s_over_tcp");
  if (result.tcp.empty() || result.store.empty()) {
    json->Null();
  } else {
    json->Value(Ratio(Of(result.store, main), Of(result.tcp, main)));
  }
  if (!latency && !result.store.empty()) {
    json->Member("gb_per_s_over_memcpy", Ratio(Of(result.store, GigabytesPerS), MemcpyOf(result)));
  }
  json->End();
}

void WriteCores(JsonWriter* json, const char* name, const Cores& cores) {
  json->Key(name).BeginArray();
  for (const int core : cores) json->Value(core);
  json->End();
}

}  // namespace

std::string Header(const Options& options, const MachineInfo& machine, const CorePlan& cores) {
  std::string text = fmt::format(
      "kvbench {}{}, store {}{}, seed {}; median [min-max] of {} x {:g} s; GB = 10^9 bytes of "
      "payload\n",
      Version(), machine.commit.empty() ? "" : " (" + machine.commit + ")", options.store,
      options.tls ? " with TLS" : "", options.seed, options.repeats, options.seconds);
  text += fmt::format("machine: {}, {} cores, {}, TCP {}; workers on cores {}, servers on {}\n\n",
                      machine.cpu, machine.cores, machine.kernel,
                      options.congestion.empty() ? machine.congestion : options.congestion,
                      CoresText(cores.clients), CoresText(cores.servers));
  text +=
      fmt::format(kRow, "workload", "kind", "value", "keys", "flight", "WxS", "store GB/s", "op/s",
                  "raw TCP GB/s", "x TCP", "memcpy GB/s", "x copy", "CPU s/GB", "TCP's", "copies");
  return text;
}

std::string Row(const CaseResult& result) {
  const Case& measured = result.measured;
  const std::vector<Sample>& ours = result.store;
  const std::vector<Sample>& tcp = result.tcp;
  const Summary copy = MemcpyOf(result);
  const bool both = !ours.empty() && !tcp.empty();
  auto speed = [](const std::vector<Sample>& samples) {
    return samples.empty() ? "-" : Spread(Of(samples, GigabytesPerS), 2);
  };
  auto ratio = [](const Summary& a, const Summary& b) {
    return fmt::format("{:.2f}", Ratio(a, b));
  };
  const Summary our_speed = Of(ours, GigabytesPerS);
  std::string text = fmt::format(
      kRow, WorkloadName(measured.workload), KindText(measured), SizeText(measured.value_bytes),
      measured.keys, measured.window,
      result.servers == 0 ? "-" : fmt::format("{}x{}", measured.workers, result.servers),
      speed(ours), OperationsText(result), speed(tcp),
      both ? ratio(our_speed, Of(tcp, GigabytesPerS)) : "-", Spread(copy, 2),
      ours.empty() ? "-" : ratio(our_speed, copy), CpuText(ours), CpuText(tcp), CopiesText(result));
  if (!result.memory_ratios.empty()) {
    text += fmt::format(
        "  memory of each server over that of its values and state: {:.2f}; {} s later: {:.2f}\n",
        fmt::join(result.memory_ratios, ", "), result.rest,
        fmt::join(result.memory_ratios_at_rest, ", "));
  }
  if (measured.workload != Workload::kLatency) return text;

  text += "  latency in us:" + LatencyText(ours) + (both ? "; raw TCP" : "") + LatencyText(tcp);
  if (both) text += fmt::format("; p50 is {} x raw TCP's", ratio(Of(ours, P50), Of(tcp, P50)));
  return text + "\n";
}

std::string Json(const Options& options, const MachineInfo& machine, const CorePlan& cores,
                 const std::vector<CaseResult>& results) {
  JsonWriter json;
  json.BeginObject();
  json.Key("kvbench").BeginObject();
  json.Member("version", Version());
  json.Member("commit", machine.commit);
  json.End();
  json.Key("machine").BeginObject();
  json.Member("cpu", machine.cpu);
  json.Member("cores", machine.cores);
  json.Member("kernel", machine.kernel);
  json.Member("tcp_congestion", machine.congestion);
  json.End();
  json.Key("options").BeginObject();
  json.Member("store", options.store);
  json.Member("tls", options.tls);
  json.Member("seconds", options.seconds);
  json.Member("repeats", options.repeats);
  json.Member("seed", uint64_t{options.seed});
  json.Member("raw_tcp_congestion",
              options.congestion.empty() ? machine.congestion : options.congestion);
  WriteCores(&json, "worker_cores", cores.clients);
  WriteCores(&json, "server_cores", cores.servers);
  json.End();
  json.Key("results").BeginArray();
  for (const CaseResult& result : results) WriteResult(&json, result);
  json.End();
  json.End();
  return json.text();
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (file.good()) return absl::OkStatus();
  return absl::UnavailableError(fmt::format("{}: {}", path, std::strerror(errno)));
}

}  // namespace kvstore::bench
