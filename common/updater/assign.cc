#include "common/updater/assign.h"

#include "common/base/status_macros.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

class AssignUpdater final : public Updater {
 public:
  std::string_view name() const override { return "assign"; }
  bool takes_every_dtype() const override { return true; }
  // The sum already lies where the new value is wanted.
  void Update(const UpdaterRun&, const void*, void*, void* const*) const override {}
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeAssign(const UpdaterParameters& parameters) {
  KVS_RETURN_IF_ERROR(ParameterReader("assign", parameters).Finish());
  return std::make_unique<AssignUpdater>();
}

}  // namespace kvstore
