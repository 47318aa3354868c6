#include "server/daemon/settings.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "CLI/CLI.hpp"
#include "common/transport/host_port.h"

namespace kvstore {

Settings::Settings(CLI::App* app, EnvironmentLookup environment)
    : app_(app), environment_(std::move(environment)) {}

void Settings::Add(const std::string& flag, const std::string& value_name, const std::string& help,
                   const std::string& group, std::vector<std::string> variables) {
  Entry* entry = (entries_[flag] = std::make_unique<Entry>()).get();
  entry->variables = std::move(variables);
  std::string text = help;
  if (!entry->variables.empty()) text += fmt::format(" [{}]", fmt::join(entry->variables, ", "));
  // Every value is text here; the strict readers below say what is wrong with it.
  app_->add_option_function<std::string>(
          flag,
          [entry](const std::string& value) {
            entry->text = value;
            entry->given = true;
          },
          text)
      ->type_name(value_name)
      ->group(group);
}

void Settings::AddSwitch(const std::string& flag, const std::string& help,
                         const std::string& group) {
  bool* on = (switches_[flag] = std::make_unique<bool>(false)).get();
  app_->add_flag(flag, *on, help)->group(group);
}

std::optional<Setting> Settings::Get(const std::string& flag) const {
  const Entry& entry = *entries_.at(flag);
  if (entry.given) return Setting{flag, entry.text};
  for (const std::string& name : entry.variables) {
    if (auto setting = Variable(name)) return setting;
  }
  return std::nullopt;
}

std::optional<Setting> Settings::Variable(const std::string& name) const {
  const std::optional<std::string> value = environment_(name);
  if (!value) return std::nullopt;
  return Setting{name, *value};
}

std::string Settings::Names(const std::string& flag) const {
  const std::vector<std::string>& variables = entries_.at(flag)->variables;
  return variables.empty() ? flag : fmt::format("{} or {}", flag, fmt::join(variables, " or "));
}

absl::Status WrongSetting(const Setting& setting, const std::string& expected) {
  return absl::InvalidArgumentError(
      fmt::format("{}: {} expected, got '{}'", setting.source, expected, setting.text));
}

absl::StatusOr<int64_t> ReadInteger(const Setting& setting, int64_t min, int64_t max) {
  int64_t number = 0;
  const char* end = setting.text.data() + setting.text.size();
  const auto [stop, error] = std::from_chars(setting.text.data(), end, number);
  if (error != std::errc() || stop != end || number < min || number > max) {
    return WrongSetting(setting, fmt::format("a whole number from {} to {}", min, max));
  }
  return number;
}

absl::StatusOr<double> ReadNumber(const Setting& setting, double min, double max) {
  double number = 0;
  const char* end = setting.text.data() + setting.text.size();
  const auto [stop, error] = std::from_chars(setting.text.data(), end, number);
  if (error != std::errc() || stop != end || !(number >= min && number <= max)) {
    return WrongSetting(setting, fmt::format("a number from {:g} to {:g}", min, max));
  }
  return number;
}

absl::StatusOr<std::string> ReadAddress(const Setting& setting, int port_min) {
  const absl::StatusOr<HostPort> address = ParseHostPort(setting.text);
  if (!address.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}", setting.source, std::string(address.status().message())));
  }
  if (address->port < port_min) {
    return WrongSetting(setting, fmt::format("a port from {} to 65535", port_min));
  }
  return HostPortString(*address);
}

absl::StatusOr<std::string> InterfaceHost(const Setting& setting) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return WrongSetting(setting, "a network interface");
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(all, &::freeifaddrs);
  for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
    if (setting.text != entry->ifa_name || entry->ifa_addr == nullptr ||
        entry->ifa_addr->sa_family != AF_INET) {
      continue;
    }
    std::array<char, INET_ADDRSTRLEN> text{};
    const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size()) != nullptr) {
      return std::string(text.data());
    }
  }
  return WrongSetting(setting, "a network interface with an IPv4 address");
}

bool IsAnyHost(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

bool IsLoopbackHost(const std::string& host) {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0;
}

std::string ThisHostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

}  // namespace kvstore
