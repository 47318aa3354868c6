#include "common/model/worker_tensors.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvstore {

std::string WorkerTensorName(std::string_view name, WorkerRank rank) {
  return fmt::format("{}@{}", name, rank);
}

std::optional<WorkerRank> WorkerOfTensor(std::string_view name, std::string_view tensor) {
  if (tensor.size() <= name.size() + 1 || tensor.substr(0, name.size()) != name ||
      tensor[name.size()] != '@') {
    return std::nullopt;
  }
  const std::string_view digits = tensor.substr(name.size() + 1);
  uint64_t rank = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    rank = rank * 10 + static_cast<uint64_t>(digit - '0');
    if (rank >= kReaderRank) return std::nullopt;
  }
  if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
  return static_cast<WorkerRank>(rank);
}

std::optional<size_t> TensorsOfNoWorker(const std::vector<std::string>& names,
                                        std::string_view by_worker) {
  if (by_worker.empty()) return names.size();
  size_t others = 0;
  while (others < names.size() && !WorkerOfTensor(by_worker, names[others]).has_value()) ++others;
  std::optional<WorkerRank> above;
  for (size_t i = others; i < names.size(); ++i) {
    const std::optional<WorkerRank> rank = WorkerOfTensor(by_worker, names[i]);
    if (!rank.has_value() || (above.has_value() && *rank <= *above)) return std::nullopt;
    above = rank;
  }
  if (names.size() - others > kWorkerTensorsMax) return std::nullopt;
  return others;
}

bool AreTensors(const std::vector<std::string>& names, const std::vector<std::string>& expected,
                std::string_view by_worker) {
  const std::optional<size_t> others = TensorsOfNoWorker(names, by_worker);
  return others.has_value() && *others == expected.size() &&
         std::equal(expected.begin(), expected.end(), names.begin());
}

}  // namespace kvstore
