// StateFile: the scheduler's durable state in a directory of its own.
//
//   state        the current one
//   state.1, .2  the two before it, for the operator's eyes; never read by us
//   state.tmp    being written, or torn by a crash; never read
//   lock         held by the scheduler that uses the directory
//
// A file is 24 bytes of header, all little-endian, and the protobuf SchedulerState:
//   0  8 bytes  "KVSSCHED"
//   8  u32      version of the format: 1
//   12 u64      bytes of the protobuf
//   20 u32      CRC-32C of bytes 0 to 19 and the protobuf
//
// The current file is replaced by rename, so it is always whole; one that is not was damaged, and
// an older generation would forget ranks and incarnations that were issued since: there is no
// silent way back, only DATA_LOSS.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kvstore/v1/scheduler_state.pb.h"

namespace kvstore {

inline constexpr size_t kStateFileBytesMax = 64u << 20;

// The bytes of a state file, and back. Pure. Errors: DATA_LOSS says what is wrong;
// FAILED_PRECONDITION for a format of a later version.
std::string EncodeState(const v1::SchedulerState& state);
absl::StatusOr<v1::SchedulerState> DecodeState(std::string_view bytes);

// Thread-compatible.
class StateFile {
 public:
  // Creates `directory` if it is not there (its parent must be) and locks it.
  // Errors: FAILED_PRECONDITION if another process holds the lock; otherwise what the system says,
  // naming the directory.
  static absl::StatusOr<std::unique_ptr<StateFile>> Open(const std::string& directory);
  ~StateFile();
  StateFile(const StateFile&) = delete;
  StateFile& operator=(const StateFile&) = delete;

  // Empty: nothing was ever saved here. Errors: DATA_LOSS names the file and what is wrong with it.
  absl::StatusOr<std::optional<v1::SchedulerState>> Load() const;

  // Returns when the state is on disk. After an error nothing is known about what is on disk (a
  // failed fsync may have dropped the pages): the process must end. Errors: RESOURCE_EXHAUSTED disk
  // full; INTERNAL otherwise; both name the file.
  absl::Status Save(const v1::SchedulerState& state);

 private:
  StateFile(std::string directory, int lock_fd);
  std::string Path(std::string_view name) const;

  const std::string directory_;
  const int lock_fd_;
};

}  // namespace kvstore
