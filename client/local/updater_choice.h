// Which updater the pushes of a local store use.
#pragma once

#include "client/local/local_value.h"
#include "client/store/store_backend.h"
#include "common/updater/part_updater.h"
#include "kvstore/kvstore.h"

namespace kvstore {

// As of some call: the optimizer's or the user's. Immutable once it is in force.
struct UpdaterChoice {
  PartUpdater built_in;  // the optimizer's, used unless the user has set an updater
  KVStore::Updater for_int;
  KVStore::StrUpdater for_string;

  bool by_user() const { return for_int != nullptr || for_string != nullptr; }
};

// The updater that was in force when a push was called.
inline const UpdaterChoice& ChoiceOf(const KeyOperation& push) {
  return *static_cast<const UpdaterChoice*>(push.as_of_call.get());
}

// The updater of the user, for the operation's key, which outlives it. Whatever it throws is the
// key's error.
WholeUpdate UpdateOf(const KeyOperation& operation);

}  // namespace kvstore
