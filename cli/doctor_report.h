// What `kvctl doctor` prints: the facts of this machine that decide what a job can do on it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "client/base/environment.h"
#include "client/device/device_library.h"

namespace kvstore {

struct DoctorReport {
  std::string version;
  std::string host;
  std::vector<std::pair<std::string, std::string>> addresses;  // interface, address
  std::string scheduler;  // as this process's environment has it; empty: not set
  std::string node_host;  // the same
  bool shared_memory = false;
  DeviceFacts devices;
  std::string nccl_file;
  std::string nccl_version;  // empty: it cannot be used
  std::string nccl_missing;  // why
};

// Looks. Opens the plugin for GPUs and NCCL as the SDK would with this environment.
DoctorReport Examine(const Environment& environment, const std::string& version);

std::string DoctorAsTable(const DoctorReport& report);
std::string DoctorAsJson(const DoctorReport& report);

}  // namespace kvstore
