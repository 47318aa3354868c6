#include "cli/doctor_report.h"

#include <fmt/format.h>

#include "cli/printer.h"
#include "client/device/nccl_library.h"
#include "common/base/json_writer.h"
#include "common/transport/local_address.h"

namespace kvstore {
namespace {

// 13010 is 13.1.
std::string CudaVersion(uint32_t number) {
  return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

std::string OrNotSet(const std::string& text) { return text.empty() ? "not set" : text; }

}  // namespace

DoctorReport Examine(const Environment& environment, const std::string& version) {
  DoctorReport report;
  report.version = version;
  report.host = ThisHostName();
  report.addresses = InterfaceHosts();
  report.scheduler = environment.scheduler;
  report.node_host = environment.node_host;
  report.shared_memory = environment.shared_memory;
  report.devices = DeviceLibrary::Look(environment.cuda_plugin);
  report.nccl_file = NcclLibrary::FileOf(environment.nccl_library);
  if (const auto nccl = NcclLibrary::Open(environment.nccl_library); nccl.ok()) {
    report.nccl_version = (*nccl)->version();
  } else {
    report.nccl_missing = std::string(nccl.status().message());
  }
  return report;
}

std::string DoctorAsTable(const DoctorReport& report) {
  Table table({"what", "here"});
  table.AddRow({"kvstore", report.version});
  table.AddRow({"host", report.host});
  for (const auto& [interface, address] : report.addresses) {
    table.AddRow({"address", fmt::format("{} ({})", address, interface)});
  }
  table.AddRow({"scheduler", OrNotSet(report.scheduler)});
  table.AddRow({"node host", OrNotSet(report.node_host)});
  table.AddRow({"shared memory", report.shared_memory ? "on" : "off"});
  const DeviceFacts& devices = report.devices;
  table.AddRow({"plugin", devices.plugin.empty()
                              ? fmt::format("{} cannot be used", devices.plugin_file)
                              : fmt::format("{} ({})", devices.plugin_file, devices.plugin)});
  if (!devices.missing.empty()) table.AddRow({"missing", devices.missing});
  if (!devices.gpus.empty()) {
    const kvstore_device_facts& gpu = devices.gpus.front();
    table.AddRow({"driver", fmt::format("for CUDA {}, the plugin's is {}", CudaVersion(gpu.driver),
                                        CudaVersion(gpu.runtime))});
  }
  table.AddRow({"GPUs", fmt::format("{}{}", devices.gpus.size(),
                                    devices.simulated ? ", not real: simulated on the CPU" : "")});
  for (size_t i = 0; i < devices.gpus.size(); ++i) {
    const kvstore_device_facts& gpu = devices.gpus[i];
    table.AddRow(
        {fmt::format("gpu({})", i), fmt::format("{}, {} MiB, compute {}.{}", gpu.name,
                                                gpu.memory_bytes >> 20, gpu.major, gpu.minor)});
  }
  if (report.nccl_version.empty()) {
    table.AddRow({"NCCL", "missing: " + report.nccl_missing});
  } else {
    table.AddRow({"NCCL", fmt::format("{} ({})", report.nccl_version, report.nccl_file)});
  }
  return table.ToString();
}

std::string DoctorAsJson(const DoctorReport& report) {
  JsonWriter json;
  json.BeginObject().Member("version", report.version).Member("host", report.host);
  json.Key("addresses").BeginArray();
  for (const auto& [interface, address] : report.addresses) {
    json.BeginObject().Member("interface", interface).Member("address", address).End();
  }
  json.End()
      .Member("scheduler", report.scheduler)
      .Member("node_host", report.node_host)
      .Member("shared_memory", report.shared_memory);
  const DeviceFacts& devices = report.devices;
  json.Key("plugin")
      .BeginObject()
      .Member("file", devices.plugin_file)
      .Member("found", !devices.plugin.empty())
      .Member("name", devices.plugin)
      .Member("simulated", devices.simulated)
      .Member("missing", devices.missing)
      .End();
  json.Key("gpus").BeginArray();
  for (const kvstore_device_facts& gpu : devices.gpus) {
    json.BeginObject()
        .Member("name", std::string(gpu.name))
        .Member("memory_bytes", uint64_t{gpu.memory_bytes})
        .Member("compute", fmt::format("{}.{}", gpu.major, gpu.minor))
        .Member("driver", CudaVersion(gpu.driver))
        .Member("runtime", CudaVersion(gpu.runtime))
        .End();
  }
  json.End()
      .Key("nccl")
      .BeginObject()
      .Member("file", report.nccl_file)
      .Member("found", !report.nccl_version.empty())
      .Member("version", report.nccl_version)
      .Member("missing", report.nccl_missing)
      .End()
      .End();
  return json.text() + "\n";
}

}  // namespace kvstore
