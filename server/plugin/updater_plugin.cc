#include "server/plugin/updater_plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <exception>
#include <functional>
#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

constexpr char kSymbol[] = "kvstore_updater_plugin_v1";
constexpr uint32_t kKnownFlags = KVSTORE_UPDATER_TAKES_ROWS;
constexpr size_t kNameMax = 64;
constexpr uint32_t kStatesMax = 8;  // as many as saved_value.h can save
// The size of a description when this ABI began.
constexpr size_t kFirstSize =
    offsetof(kvstore_updater_plugin, close) + sizeof(kvstore_updater_plugin::close);

static_assert(static_cast<int>(DType::kFloat32) == KVSTORE_DTYPE_F32 &&
              static_cast<int>(DType::kFloat64) == KVSTORE_DTYPE_F64 &&
              static_cast<int>(DType::kUInt8) == KVSTORE_DTYPE_U8 &&
              static_cast<int>(DType::kInt8) == KVSTORE_DTYPE_I8 &&
              static_cast<int>(DType::kInt32) == KVSTORE_DTYPE_I32 &&
              static_cast<int>(DType::kInt64) == KVSTORE_DTYPE_I64 &&
              static_cast<int>(DType::kBool) == KVSTORE_DTYPE_BOOL);

absl::Status Refused(const std::string& path, const std::string& why) {
  return absl::InvalidArgumentError(
      fmt::format("an updater plugin expected, got '{}': {}", path, why));
}

// In one line: what loaders and plugins say may have several.
std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

bool IsName(const char* name) {
  if (name == nullptr) return false;
  const std::string_view text(name, strnlen(name, kNameMax + 1));
  const auto known = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  };
  return !text.empty() && text.size() <= kNameMax && std::all_of(text.begin(), text.end(), known);
}

// Calls into the plugin; `call` is given room for a text. Returns OK, or the code with the text.
absl::Status Called(const std::function<int(char* error, size_t error_bytes)>& call) {
  std::array<char, kErrorTextBytesMax> error{};
  int code = KVSTORE_UPDATER_UNKNOWN;
  try {
    code = call(error.data(), error.size());
    if (code == KVSTORE_UPDATER_OK) return absl::OkStatus();
    error.back() = '\0';
  } catch (const std::exception& thrown) {
    // The text is the plugin's, and lives no longer than the exception.
    fmt::format_to_n(error.begin(), error.size() - 1, "an exception: {}", thrown.what());
  } catch (...) {
    fmt::format_to_n(error.begin(), error.size() - 1, "an exception that is no std::exception");
  }
  const std::string text =
      error[0] == '\0' ? fmt::format("nothing, and returned {}", code) : OneLine(error.data());
  switch (code) {
    case KVSTORE_UPDATER_INVALID_ARGUMENT:
      return absl::InvalidArgumentError(text);
    case KVSTORE_UPDATER_FAILED_PRECONDITION:
      return absl::FailedPreconditionError(text);
    default:
      return absl::UnknownError(text);
  }
}

// What is wrong with a description; empty: nothing.
std::string Objection(const kvstore_updater_plugin* plugin) {
  if (plugin == nullptr) return fmt::format("{}() returned a null pointer", kSymbol);
  // Nothing but this number is read before it is known that the rest is what we take it for.
  if (plugin->abi != KVSTORE_UPDATER_PLUGIN_ABI) {
    return fmt::format("ABI {} expected, got ABI {}", KVSTORE_UPDATER_PLUGIN_ABI, plugin->abi);
  }
  if (plugin->struct_size < kFirstSize) {
    return fmt::format("a description of at least {} bytes expected, its struct_size is {}",
                       kFirstSize, plugin->struct_size);
  }
  if ((plugin->flags & ~kKnownFlags) != 0) {
    return fmt::format("flags of {:#x} expected, got {:#x}", kKnownFlags, plugin->flags);
  }
  if (!IsName(plugin->name)) {
    return fmt::format("a name of 1 to {} characters of [A-Za-z0-9_.-] expected, got {}", kNameMax,
                       plugin->name == nullptr ? "a null pointer" : "another");
  }
  if (plugin->state_count > kStatesMax) {
    return fmt::format("at most {} arrays of state expected, got {}", kStatesMax,
                       plugin->state_count);
  }
  for (uint32_t i = 0; i < plugin->state_count; ++i) {
    if (plugin->state_names == nullptr || !IsName(plugin->state_names[i])) {
      return fmt::format("a name of 1 to {} characters of [A-Za-z0-9_.-] expected for state {}",
                         kNameMax, i);
    }
  }
  const std::pair<const char*, bool> functions[] = {{"open", plugin->open != nullptr},
                                                    {"update", plugin->update != nullptr},
                                                    {"close", plugin->close != nullptr}};
  for (const auto& [name, there] : functions) {
    if (!there) return fmt::format("a function {} expected, got a null pointer", name);
  }
  return "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<UpdaterPlugin>> UpdaterPlugin::Load(const std::string& path,
                                                                   const std::string& options) {
  if (::access(path.c_str(), F_OK) != 0) return Refused(path, "there is no such file");
  // A name without a slash would be looked for where the system's libraries are.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return Refused(path, "it cannot be loaded: " + OneLine(::dlerror()));
  }
  const auto refused = [&](const std::string& why) {
    ::dlclose(handle);
    return Refused(path, why);
  };
  using Describe = const kvstore_updater_plugin* (*)();
  const auto describe = reinterpret_cast<Describe>(::dlsym(handle, kSymbol));
  if (describe == nullptr) return refused(fmt::format("it does not export {}", kSymbol));
  const kvstore_updater_plugin* const described = describe();
  if (const std::string objection = Objection(described); !objection.empty()) {
    return refused(objection);
  }
  kvstore_updater_plugin copy{};
  std::memcpy(&copy, described, std::min(sizeof copy, described->struct_size));
  auto plugin = std::unique_ptr<UpdaterPlugin>(new UpdaterPlugin(handle, copy));
  const absl::Status opened = Called([&](char* error, size_t error_bytes) {
    return copy.open(options.c_str(), &plugin->instance_, error, error_bytes);
  });
  if (!opened.ok()) {
    return Refused(path, fmt::format("'{}' said to its options: {}", copy.name,
                                     std::string(opened.message())));
  }
  plugin->open_ = true;
  plugin->options_ = options;
  return plugin;
}

UpdaterPlugin::~UpdaterPlugin() {
  if (open_) plugin_.close(instance_);
  ::dlclose(handle_);
}

std::string UpdaterPlugin::label() const { return fmt::format("the updater plugin '{}'", name()); }

// Options that are long, or no text, are told by a hash: the scheduler keeps this line.
std::string UpdaterPlugin::NameAndOptions() const {
  constexpr size_t kOptionsShown = 128;
  if (options_.empty()) return fmt::format("'{}'", name());
  const bool shown =
      options_.size() <= kOptionsShown &&
      std::all_of(options_.begin(), options_.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (shown) return fmt::format("'{}' with options '{}'", name(), options_);
  return fmt::format("'{}' with {} bytes of options (hash {:016x})", name(), options_.size(),
                     KeyIdOf(std::string_view(options_)));
}

DType UpdaterPlugin::ComputesIn(DType dtype) const { return AccumulatorOf(dtype); }

StateLayout UpdaterPlugin::LayoutFor(DType dtype) const {
  StateLayout layout;
  layout.dtype = ComputesIn(dtype);
  layout.counted = true;
  // Named so that no optimizer of ours takes them for its own.
  for (uint32_t i = 0; i < plugin_.state_count; ++i) {
    layout.names.push_back(fmt::format("plugin:{}/{}", plugin_.name, plugin_.state_names[i]));
  }
  return layout;
}

absl::Status UpdaterPlugin::Update(const ProgramUpdate& update) {
  KVS_CHECK(update.state.size() == plugin_.state_count);
  std::array<void*, kStatesMax> state{};
  for (size_t i = 0; i < update.state.size(); ++i) state[i] = update.state[i]->data();
  const KeySpec& key = *update.key;
  const bool rows = update.row_elements > 0;
  kvstore_update out{};
  out.struct_size = sizeof out;
  out.key_name = key.name.empty() ? nullptr : key.name.c_str();
  out.key = key.name.empty() ? static_cast<int64_t>(key.key) : 0;
  out.part = update.part.part;
  out.dtype = static_cast<uint32_t>(update.dtype);
  out.round = update.version;
  out.update = update.update;
  out.elements = update.stored->size() / DTypeBytes(update.dtype);
  out.first_element = update.first_element;
  out.rows = update.rows.size();
  out.row_elements = update.row_elements;
  out.row_ids = rows ? update.rows.data() : nullptr;
  out.sum = update.merged->data();
  out.value = update.stored->data();
  out.state = state.data();
  out.contributors = update.counts.contributors;
  out.workers = update.counts.workers;
  const absl::Status status = Called([&](char* error, size_t error_bytes) {
    return plugin_.update(instance_, &out, error, error_bytes);
  });
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      fmt::format("{} part {}: {} said {}", KeyLabel(key.key, key.name),
                                  update.part.part, label(), std::string(status.message())));
}

}  // namespace kvstore
