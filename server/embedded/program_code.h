// ProgramCode: the program's controller and updater as the server calls them: one at a time, with
// whatever they throw as a status.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "kvstore/server.h"
#include "server/values/program_updater.h"

namespace kvstore {

// Thread-safe.
class ProgramCode final : public ProgramUpdater {
 public:
  // `program` outlives this.
  explicit ProgramCode(const ServerProgram& program) : program_(program) {}

  // ProgramUpdater. An updater is chosen by the kind of the key. Of a row_sparse key it gets
  // row_sparse arrays of the value's shape, with the rows of one stripe.
  // Errors: FAILED_PRECONDITION when the program has one for keys of the other kind only.
  bool is_set() const override;
  bool takes_rows() const override { return true; }
  absl::Status Update(const ProgramUpdate& update) override KVS_EXCLUDES(turn_);

  // The program has a controller.
  absl::Status RunCommand(const Command& command) KVS_EXCLUDES(turn_);

 private:
  const ServerProgram& program_;
  Mutex turn_;  // held while the program's code runs: that is what it is for
};

}  // namespace kvstore
