#include "common/config/unknown_variables.h"

#include <fmt/format.h>
#include <unistd.h>  // environ

#include <algorithm>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

#include "common/config/setting_table.h"

namespace kvstore {
namespace {

constexpr std::string_view kPrefix = "KVSTORE_";

std::vector<std::string> OurVariables() {
  std::set<std::string> names;
  for (const SettingSpec& spec : SettingTable()) {
    for (const SettingVariable& variable : spec.variables) {
      if (variable.name.rfind(kPrefix, 0) == 0) names.insert(variable.name);
    }
  }
  return {names.begin(), names.end()};
}

// Levenshtein's distance: row by row of the table of distances between the prefixes of both.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// The one of `known` (not empty) that becomes `name` with the fewest letters inserted, removed or
// replaced; of several, the first.
const std::string& NearestName(std::string_view name, const std::vector<std::string>& known) {
  return *std::min_element(known.begin(), known.end(),
                           [name](const std::string& a, const std::string& b) {
                             return Distance(name, a) < Distance(name, b);
                           });
}

bool BeginsWith(std::string_view name, std::string_view prefix) {
  return name.substr(0, prefix.size()) == prefix;
}

// Kubernetes tells every pod of every service near it. For one that is called kvstore-scheduler:
// KVSTORE_SCHEDULER_SERVICE_HOST and _SERVICE_PORT, KVSTORE_SCHEDULER_PORT, _PORT_7070_TCP, _ADDR
// and so on. The first of them is always there.
bool IsOfAService(std::string_view name, const std::vector<std::string>& names) {
  constexpr std::string_view kHost = "_SERVICE_HOST";
  return std::any_of(names.begin(), names.end(), [&](std::string_view host) {
    if (host.size() < kHost.size()) return false;
    const std::string service(host.substr(0, host.size() - kHost.size()));
    if (host != service + std::string(kHost) || !BeginsWith(name, service)) return false;
    return name == service + "_PORT" || BeginsWith(name, service + "_PORT_") ||
           BeginsWith(name, service + "_SERVICE_");
  });
}

}  // namespace

std::vector<std::string> ProcessVariableNames() {
  std::vector<std::string> names;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    names.emplace_back(text.substr(0, text.find('=')));
  }
  return names;
}

std::vector<std::string> WarningsOfUnknownVariables(const std::vector<std::string>& names) {
  const std::vector<std::string> ours = OurVariables();
  std::vector<std::string> warnings;
  for (const std::string& name : names) {
    if (!BeginsWith(name, kPrefix) || IsOfAService(name, names)) continue;
    if (std::binary_search(ours.begin(), ours.end(), name)) continue;
    warnings.push_back(fmt::format("{} has no effect: there is no such variable; the nearest is {}",
                                   name, NearestName(name, ours)));
  }
  return warnings;
}

}  // namespace kvstore
