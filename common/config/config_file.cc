#include "common/config/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "common/base/status_macros.h"
#include "common/config/setting_table.h"

namespace kvstore {
namespace {

constexpr char kBlanks[] = " \t\r";
// A file of settings is small; a larger one is another file.
constexpr size_t kFileBytesMax = 1 << 20;

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// What `rest` (behind the "=") says: in quotes, or up to a comment. Nothing if it is malformed.
std::optional<std::string_view> ValueIn(std::string_view rest) {
  rest = Trim(rest);
  if (!rest.empty() && rest.front() == '"') {
    const size_t end = rest.find('"', 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view behind = Trim(rest.substr(end + 1));
    if (!behind.empty() && behind.front() != '#') return std::nullopt;
    return rest.substr(1, end - 1);
  }
  const size_t comment = rest.find('#');
  const std::string_view value = Trim(rest.substr(0, comment));
  if (value.find_first_of(" \t\"") != std::string_view::npos) return std::nullopt;
  return value;
}

std::set<std::string_view> KnownNames() {
  std::set<std::string_view> names;
  for (const SettingSpec& spec : SettingTable()) {
    if (spec.id != SettingId::kConfig) names.insert(spec.name);
  }
  return names;
}

}  // namespace

absl::StatusOr<std::map<std::string, FileValue>> ParseConfigFile(const std::string& path,
                                                                 const std::string& text) {
  const std::set<std::string_view> known = KnownNames();
  std::map<std::string, FileValue> values;
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); ++number) {
    const size_t end = rest.find('\n');
    const std::string_view line = Trim(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.empty() || line.front() == '#') continue;
    const size_t equals = line.find('=');
    const std::string name(Trim(line.substr(0, equals)));
    const std::optional<std::string_view> value =
        equals == std::string_view::npos ? std::nullopt : ValueIn(line.substr(equals + 1));
    if (!value) {
      return absl::InvalidArgumentError(
          fmt::format("{}:{}: `name = value` expected, got '{}'", path, number, line));
    }
    if (known.count(name) == 0) {
      return absl::InvalidArgumentError(
          fmt::format("{}:{}: the name of a setting expected, got '{}'; there are {}", path, number,
                      name, fmt::join(known, ", ")));
    }
    const auto [first, fresh] = values.try_emplace(name, FileValue{std::string(*value), number});
    if (!fresh) {
      return absl::InvalidArgumentError(fmt::format("{}:{}: {} once expected, line {} has it too",
                                                    path, number, name, first->second.line));
    }
  }
  return values;
}

absl::StatusOr<std::map<std::string, FileValue>> ReadConfigFile(const std::string& path) {
  const auto wrong = [&path](const std::string& why) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a file of settings expected, {}", path, why));
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) return wrong(fmt::format("cannot open it: {}", std::strerror(errno)));
  std::string text(kFileBytesMax + 1, '\0');
  const size_t bytes = std::fread(text.data(), 1, text.size(), file.get());
  if (std::ferror(file.get()) != 0) {
    return wrong(fmt::format("cannot read it: {}", std::strerror(errno)));
  }
  if (bytes > kFileBytesMax) return wrong(fmt::format("it has over {} bytes", kFileBytesMax));
  text.resize(bytes);
  return ParseConfigFile(path, text);
}

}  // namespace kvstore
