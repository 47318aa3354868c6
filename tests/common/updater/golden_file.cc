#include "tests/common/updater/golden_file.h"

#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>

namespace kvstore::testing {
namespace {

std::vector<uint64_t> ReadBits(std::istringstream& words) {
  std::vector<uint64_t> bits;
  for (std::string word; words >> word;) {
    bits.push_back(word == "nan" ? kNanBits : std::stoull(word, nullptr, 16));
  }
  return bits;
}

template <typename Number>
std::vector<Number> ReadNumbers(std::istringstream& words) {
  std::vector<Number> numbers;
  for (Number number; words >> number;) numbers.push_back(number);
  return numbers;
}

// "factor=0.5", "steps=3,50".
void ReadScheduleWord(const std::string& word, LrScheduleConfig* out) {
  const size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  std::istringstream numbers(word.substr(equals + 1));
  if (name != "steps") {
    out->parameters[name] = std::stod(numbers.str());
    return;
  }
  for (std::string step; std::getline(numbers, step, ',');) out->steps.push_back(std::stoull(step));
}

void ReadCaseLine(std::istringstream& words, GoldenCase* out) {
  std::string dtype;
  words >> out->optimizer >> dtype;
  for (const DType known : {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16}) {
    if (dtype == DTypeName(known)) out->dtype = known;
  }
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::string schedule = "lr_scheduler";
    if (name == schedule) {
      out->schedule.name = word.substr(equals + 1);
      continue;
    }
    if (word.compare(0, schedule.size() + 1, schedule + ".") == 0) {
      ReadScheduleWord(word.substr(schedule.size() + 1), &out->schedule);
      continue;
    }
    const double number = std::stod(word.substr(equals + 1));
    if (name == "lr_mult") {
      out->multipliers.lr_mult = number;
    } else if (name == "wd_mult") {
      out->multipliers.wd_mult = number;
    } else {
      out->parameters[name] = number;
    }
  }
}

}  // namespace

std::vector<GoldenCase> ReadGoldenFile(const std::string& file_name) {
  const std::string path = std::string(KVS_GOLDEN_OPTIMIZERS) + "/" + file_name;
  std::ifstream in(path);
  if (!in) throw std::runtime_error(path + ": cannot be opened");
  std::vector<GoldenCase> cases;
  int line_number = 0;
  for (std::string line; std::getline(in, line);) {
    ++line_number;
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string kind;
    uint64_t number = 0;
    words >> kind;
    if (kind == "case") {
      cases.emplace_back().title = line;
      ReadCaseLine(words, &cases.back());
      continue;
    }
    if (cases.empty()) throw std::runtime_error(path + ": no case line at the beginning");
    GoldenCase& current = cases.back();
    if (kind == "fold") {
      current.fold = ReadBits(words);
    } else if (kind == "value" && words >> number) {
      current.values[number] = ReadBits(words);
    } else if (kind == "sum" && words >> number) {
      current.sums[number] = ReadBits(words);
    } else if (kind == "exact" && words >> number) {
      current.exact[number] = ReadNumbers<double>(words);
    } else if (kind == "bound" && words >> number) {
      current.bounds[number] = ReadNumbers<double>(words);
    } else if (kind == "shape" && words >> current.height >> current.width) {
      continue;
    } else if (kind == "worker" && words >> number >> current.workers[number]) {
      continue;
    } else if (kind == "rows" && words >> number) {
      current.rows[number] = ReadNumbers<int64_t>(words);
    } else if (std::string name; kind == "state" && words >> number >> name) {
      current.states[number][name] = ReadBits(words);
    } else if (kind == "x" && words >> number) {
      current.xs.push_back(ReadBits(words));
    } else {
      throw std::runtime_error(
          path + ":" + std::to_string(line_number) +
          ": case, value, sum, exact, bound, shape, worker, rows, state, x or fold expected, "
          "got '" +
          kind + "'");
    }
  }
  return cases;
}

std::vector<ScheduleCase> ReadSchedules(const std::string& file_name) {
  const std::string path = std::string(KVS_GOLDEN_OPTIMIZERS) + "/" + file_name;
  std::ifstream in(path);
  if (!in) throw std::runtime_error(path + ": cannot be opened");
  std::vector<ScheduleCase> cases;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string kind;
    uint64_t update = 0;
    words >> kind;
    if (kind == "case") {
      ScheduleCase& next = cases.emplace_back();
      next.title = line;
      words >> next.schedule.name;
      for (std::string word; words >> word;) ReadScheduleWord(word, &next.schedule);
    } else if (!cases.empty() && kind == "at" && words >> update) {
      const std::vector<uint64_t> bits = ReadBits(words);
      std::memcpy(&cases.back().rates[update], bits.data(), sizeof(double));
    } else {
      throw std::runtime_error(path + ": a case, then lines 'at UPDATE BITS' expected, got '" +
                               line + "'");
    }
  }
  return cases;
}

template <typename T>
std::vector<T> FromBits(const std::vector<uint64_t>& bits) {
  std::vector<T> out(bits.size());
  for (size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] == kNanBits) {
      if constexpr (std::is_floating_point_v<T>) {
        out[i] = std::numeric_limits<T>::quiet_NaN();
      } else {
        out[i].bits = 0x7fff;
      }
    } else {  // the low bytes, which come first
      std::memcpy(&out[i], &bits[i], sizeof(T));
    }
  }
  return out;
}

template std::vector<float> FromBits<float>(const std::vector<uint64_t>&);
template std::vector<double> FromBits<double>(const std::vector<uint64_t>&);
template std::vector<F16> FromBits<F16>(const std::vector<uint64_t>&);
template std::vector<BF16> FromBits<BF16>(const std::vector<uint64_t>&);

}  // namespace kvstore::testing
