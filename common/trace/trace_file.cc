#include "common/trace/trace_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "common/base/status_macros.h"

namespace kvstore {
namespace {

absl::Status Failed(const std::string& path, int error) {
  return absl::FailedPreconditionError(fmt::format("profile {}: cannot be written: {}", path,
                                                   std::generic_category().message(error)));
}

struct Closer {
  void operator()(FILE* file) const { std::fclose(file); }
};

absl::Status Put(FILE* file, const std::string& path, const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), file) == text.size()) return absl::OkStatus();
  return Failed(path, errno);
}

// The events of one lane; those that come meanwhile are not in the file.
absl::Status PutLane(const TraceNode& node, const TraceRecorder& recorder, size_t lane,
                     uint64_t size, FILE* file, const std::string& path) {
  std::string text;
  for (uint64_t first = 0; first < size; first += TraceLane::kBlockEvents) {
    text.clear();
    std::vector<NamedEvent> events = recorder.lanes()[lane]->Read(first);
    if (events.size() > size - first) events.resize(size - first);
    for (const NamedEvent& event : events) AppendTraceLines(node, lane, event, 0, &text);
    KVS_RETURN_IF_ERROR(Put(file, path, text));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTraceFolder(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("profile {}: the folder '{}' expected, there is none", path, folder.string()));
}

absl::Status WriteTraceFile(const TraceNode& node, const TraceRecorder& recorder,
                            const std::string& path, const std::string& more_data) {
  const std::string unfinished = path + ".part";
  const std::unique_ptr<FILE, Closer> file(std::fopen(unfinished.c_str(), "w"));
  if (file == nullptr) return Failed(unfinished, errno);
  std::vector<uint64_t> sizes;
  for (const auto& lane : recorder.lanes()) sizes.push_back(lane->size());
  KVS_RETURN_IF_ERROR(
      Put(file.get(), unfinished,
          TraceBeginning(TraceNodeData(node, recorder) + more_data) + TraceNames(node, recorder)));
  for (size_t lane = 0; lane < sizes.size(); ++lane) {
    KVS_RETURN_IF_ERROR(PutLane(node, recorder, lane, sizes[lane], file.get(), unfinished));
  }
  KVS_RETURN_IF_ERROR(Put(file.get(), unfinished, kTraceEnd));
  if (std::fflush(file.get()) != 0) return Failed(unfinished, errno);
  if (std::rename(unfinished.c_str(), path.c_str()) != 0) return Failed(path, errno);
  return absl::OkStatus();
}

}  // namespace kvstore
