// The list of updaters: a new updater is one line here.
#include <fmt/format.h>

#include "common/updater/adabelief.h"
#include "common/updater/adadelta.h"
#include "common/updater/adagrad.h"
#include "common/updater/adam.h"
#include "common/updater/adamax.h"
#include "common/updater/adamw.h"
#include "common/updater/assign.h"
#include "common/updater/dcasgd.h"
#include "common/updater/ftml.h"
#include "common/updater/ftrl.h"
#include "common/updater/groupadagrad.h"
#include "common/updater/lamb.h"
#include "common/updater/lans.h"
#include "common/updater/lars.h"
#include "common/updater/nadam.h"
#include "common/updater/nag.h"
#include "common/updater/parameters.h"
#include "common/updater/rmsprop.h"
#include "common/updater/sgd.h"
#include "common/updater/sgld.h"
#include "common/updater/signum.h"
#include "common/updater/sum.h"
#include "common/updater/test.h"
#include "common/updater/updater.h"

namespace kvstore {
namespace {

struct Entry {
  std::string_view name;
  absl::StatusOr<std::unique_ptr<Updater>> (*make)(const UpdaterParameters&);
};

constexpr Entry kUpdaters[] = {
    {"assign", MakeAssign},   {"sum", MakeSum},
    {"test", MakeTest},       {"sgd", MakeSgd},
    {"adagrad", MakeAdagrad}, {"adam", MakeAdam},
    {"ftrl", MakeFtrl},       {"nag", MakeNag},
    {"signum", MakeSignum},   {"adamw", MakeAdamW},
    {"rmsprop", MakeRmsprop}, {"adadelta", MakeAdadelta},
    {"adamax", MakeAdamax},   {"adabelief", MakeAdaBelief},
    {"ftml", MakeFtml},       {"nadam", MakeNadam},
    {"dcasgd", MakeDcasgd},   {"groupadagrad", MakeGroupAdagrad},
    {"sgld", MakeSgld},       {"lamb", MakeLamb},
    {"lans", MakeLans},       {"lars", MakeLars},
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeUpdater(std::string_view name,
                                                     const UpdaterParameters& parameters) {
  for (const Entry& entry : kUpdaters) {
    if (entry.name == name) return entry.make(parameters);
  }
  // A pickled optimizer, as MXNet sends it, arrives here too: it is never run.
  return absl::InvalidArgumentError(fmt::format("unknown optimizer '{}'; expected one of {}",
                                                Quotable(name), fmt::join(UpdaterNames(), ", ")));
}

std::vector<std::string> UpdaterNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kUpdaters) names.emplace_back(entry.name);
  return names;
}

}  // namespace kvstore
