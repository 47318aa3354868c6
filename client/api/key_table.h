// KeyTable: the keys of a store: which names are allowed, which exist, what is known of each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/order/dependency_engine.h"
#include "client/store/store_backend.h"
#include "kvstore/kvstore.h"

namespace kvstore {

inline constexpr size_t kKeysMax = 1000000;

// A key as a call names it.
struct KeyName {
  KeyName(int key) : is_int(true), number(key) {}  // NOLINT(google-explicit-constructor)
  KeyName(const std::string& key)                  // NOLINT(google-explicit-constructor)
      : is_int(false), name(key) {}

  bool is_int;
  int64_t number = 0;
  std::string_view name;  // of the caller
};

// What the facade keeps of a key. A call that names the key keeps it until its operations are
// queued.
struct KeyState : std::enable_shared_from_this<KeyState> {
  KeyPtr key;
  ValueSpec spec;
  // While `spec` is unknown: the Init that will learn it (KeyOperation::learned). Else null.
  std::shared_ptr<const KeyOperation> init;
  VarPtr var;  // orders the key's operations, and remembers their failures
  // Written by the key's Init alone; null once the key is known to exist. An Init that was given up
  // waiting for (DEADLINE_EXCEEDED) goes on: the table learns later what became of it.
  VarPtr making;
  // The last call that named the key, and its place among that call's keys: grouping without a
  // table per call.
  uint64_t call = 0;
  size_t place = 0;
  uint64_t pushed_in = UINT64_MAX;  // the last step that it was pushed in; none yet
  bool warned = false;              // that its row_sparse outputs are left alone
};

// The key `name` stands for. Errors: INVALID_ARGUMENT for a name that CheckKeyName
// (common/model/key_spec.h) refuses; the message shows it escaped.
absl::StatusOr<KeyPtr> MakeKey(const KeyName& name);

// Identity of the key on the wire and in the table.
KeyId IdOf(const KeyName& name);

// "17", "conv1.weight": Error::key().
std::string TextOf(const KeyName& name);
// "key 17", "key 'conv1.weight'"; escaped and cut where the name is not allowed.
std::string LabelOf(const KeyName& name);

// Threading: thread-compatible; the facade's mutex guards it.
class KeyTable {
 public:
  explicit KeyTable(DependencyEngine* engine) : engine_(engine) {}

  // INVALID_ARGUMENT "mixed key types" when the store has keys of the other kind.
  absl::Status CheckKind(const KeyName& name) const;

  // A key, also one whose Init is under way or has failed. Errors: NOT_FOUND; INVALID_ARGUMENT for
  // mixed key types.
  absl::StatusOr<KeyState*> Find(const KeyName& name);
  // A key that exists as far as can be known. An Init that has failed by now: the key is gone with
  // this call, and its error is the failure if nobody has been told of it, else NOT_FOUND.
  absl::StatusOr<KeyState*> Get(const KeyName& name);
  // The same, for a call that needs to know what the value looks like: takes over what the Init of
  // an empty array has learned. Errors, too: FAILED_PRECONDITION while that Init is under way.
  absl::StatusOr<KeyState*> Use(const KeyName& name);

  // Errors: ALREADY_EXISTS; INVALID_ARGUMENT for a key whose id another name has (then two names
  // hash alike: one of them must change); RESOURCE_EXHAUSTED over kKeysMax; the failure of an
  // earlier Init of the key which nobody has been told of.
  absl::Status CheckNew(const Key& key);
  // The Init that is appended next has `making` for itself.
  KeyState* Add(KeyPtr key, ValueSpec spec);
  // The key exists, if its Init is the one that had `making`.
  void Made(const Key& key, const VarPtr& making);
  // The key is gone, if its Init is the one that had `making`: Init may be tried again.
  void Remove(const Key& key, const VarPtr& making);

  // The key was deleted, if `var` is its own: Init may make another one of its name.
  void Deleted(const Key& key, const VarPtr& var);

  // The keys that exist and whose text begins with `prefix`: int keys by number, string keys by
  // name.
  std::vector<KeyInfo> List(const std::string& prefix) const;

  // The same keys, without a prefix, as their states.
  std::vector<KeyState*> All();

  // Fixes the kind of keys: the first Init does.
  void FixKind(bool is_int);

  bool empty() const { return states_.empty(); }

  // A number for one more call: KeyState::call.
  uint64_t NextCall() { return ++calls_; }

 private:
  // Whether the key exists, as far as is known without asking anybody.
  bool Exists(const KeyState& state) const;

  enum class Kind { kUnknown, kInt, kString };

  // Looks whether the Init of a key is over. If it failed, removes the key, and returns the failure
  // unless somebody has been told of it.
  absl::Status Settle(KeyState* state);

  DependencyEngine* const engine_;
  Kind kind_ = Kind::kUnknown;
  uint64_t calls_ = 0;
  // Keyed by what the wire knows a key by; KeyState has the name.
  std::unordered_map<KeyId, std::shared_ptr<KeyState>> states_;
};

}  // namespace kvstore
