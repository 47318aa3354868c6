// ProfilerOrder: what SetServerProfilerCommand, and `kvctl profile`, ask of a server's profiler.
// Checked in the SDK and by kvctl, so that nothing wrong is sent, and by the servers, which trust
// nobody. docs/profiling.md is the user's view of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kvstore {

// Numbers as in MXNet's KVStoreServerProfilerCommand, and on the wire.
enum class ProfilerVerb : int32_t {
  kSetConfig = 0,  // "filename:/tmp/profile.json,profile_all:1"
  kState = 1,      // "1": record, from nothing; "0": record no more
  kPause = 2,      // "1": record nothing for now; "0": go on
  kDump = 3,       // writes the file; "1": and records no more; "0" or "": and goes on
};

// "kSetConfig".
std::string_view ProfilerVerbName(ProfilerVerb verb);

struct ProfilerOrder {
  ProfilerVerb verb = ProfilerVerb::kSetConfig;
  std::string parameters;
};

inline constexpr size_t kProfilerParametersMax = 8192;

// What kSetConfig says.
struct ProfilerConfig {
  // Where nodes write: rank 2's server writes DIR/rank2_profile.json.
  std::string filename = "profile.json";
  // Names that were given, that MXNet knows, and that change nothing here; for one warning.
  std::vector<std::string> without_effect;
};

// Reads `k:v,k:v`; the first colon of a piece ends its name, so values may hold others.
// Errors: INVALID_ARGUMENT names the piece, what was expected and, for a name that is not known,
// those that are.
absl::StatusOr<ProfilerConfig> ParseProfilerConfig(std::string_view text);

// What kState, kPause and kDump say.
absl::StatusOr<bool> ParseProfilerSwitch(ProfilerVerb verb, std::string_view text);

// OK, or INVALID_ARGUMENT: no such verb, too long, or what the two above say. `verb`: as it came.
absl::Status CheckProfilerOrder(int32_t verb, std::string_view parameters);

// The file of one node: "rank2_profile.json" in the folder of `filename`. `prefix`: "rank2".
std::string ProfileFileOf(std::string_view filename, std::string_view prefix);

}  // namespace kvstore
