// What SaveOptimizerStates writes and LoadOptimizerStates reads: the states of all keys of a store
// as one safetensors file (common/safetensors), which does not depend on how values are cut.
//
// Tensors. Of each key that keeps any, whole: "KEY/STATE" ("w/momentum"), in the shape of the
// value; of a row_sparse key "KEY@rows", the numbers of the rows (I64), and each state with these
// rows alone. (No name of a key has an @, no state's name is one behind another.) A state with one
// number for each row has one dimension.
//
// __metadata__:
//   format          "kvstore.optimizer_states"
//   version         "1"
//   optimizer       who keeps the states: "sgd"
//   optimizer_spec  with dump_optimizer: JSON, its name, parameters, multipliers, schedule, average
//                   and changes of numbers
//   key_type        "int" or "string"
//   keys            JSON, by key:
//     dtype, shape, storage    of the value; storage "default" or "row_sparse"
//     states, state_dtype      names and dtype of the tensors
//     one_per_row, counted     booleans: common/updater/part_updater.h, StateLayout
//     by_worker                only where states are kept for each worker that has pushed: what
//     they
//                              are called. Those in `states` are behind the others, by rank:
//                              "previous@0", "previous@3"
//     updates                  [n], or one number for each part if parts have had different ones;
//                              [] if there was no update yet: then there are no tensors
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/store/key_states.h"
#include "common/updater/part_updater.h"
#include "common/wire/payload.h"

namespace kvstore {

struct SavedKey {
  std::string text;  // its name, or its number
  ValueSpec spec;
  KeyStates states;
};

struct SavedStates {
  bool int_keys = false;
  std::string updater;
  std::string optimizer;  // JSON; empty: not dumped
  std::vector<SavedKey> keys;
};

// The file's bytes, which refer to those of the tensors. May throw std::bad_alloc.
// Errors: RESOURCE_EXHAUSTED: too many keys for the header of one file.
absl::StatusOr<Payload> EncodeStates(const SavedStates& saved);
// Reads all of a file. May throw std::bad_alloc. Errors: DATA_LOSS: no safetensors file, or one
// that lacks a tensor, has another, or one of another dtype or shape; FAILED_PRECONDITION: another
// kind of file, or a later version of it.
absl::StatusOr<SavedStates> DecodeStates(const Payload& bytes);

// An optimizer as JSON. `key_of` names keys; empty: not known.
std::string OptimizerJson(const PartUpdater& updater,
                          const std::function<std::string(KeyId)>& text_of);

}  // namespace kvstore
