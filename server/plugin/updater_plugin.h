// UpdaterPlugin: an updater out of a shared object (<kvstore/updater_plugin.h>), as the server's
// values call it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kvstore/updater_plugin.h"
#include "server/values/program_updater.h"

namespace kvstore {

// Immutable once loaded. Threading: as the header promises plugins; what an instance shares between
// shards is the plugin's to lock.
class UpdaterPlugin final : public ProgramUpdater {
 public:
  // Loads the file `path` and opens an instance with `options`.
  // Errors: INVALID_ARGUMENT, one line: "an updater plugin expected, got '/lib/x.so': it does not
  // export kvstore_updater_plugin_v1". It says if there is no such file, no shared object that can
  // be loaded (and why), another ABI (which, and which is expected), a description that is too
  // short, lacks something or has what is not known, or what the plugin itself said to the options.
  static absl::StatusOr<std::unique_ptr<UpdaterPlugin>> Load(const std::string& path,
                                                             const std::string& options);
  // Closes the instance and unloads the file.
  ~UpdaterPlugin() override;
  UpdaterPlugin(const UpdaterPlugin&) = delete;
  UpdaterPlugin& operator=(const UpdaterPlugin&) = delete;

  // What it calls itself.
  std::string name() const { return plugin_.name; }
  // The same with its options, on one line of at most 255 bytes: what all servers of a cluster must
  // have alike.
  std::string NameAndOptions() const;

  bool is_set() const override { return true; }
  std::string label() const override;
  bool takes_rows() const override { return (plugin_.flags & KVSTORE_UPDATER_TAKES_ROWS) != 0; }
  DType ComputesIn(DType dtype) const override;
  // Tensors "plugin:NAME/STATE"; updates are counted, also without any.
  StateLayout LayoutFor(DType dtype) const override;
  // Errors: the plugin's code, UNKNOWN if that is none of the header's: "key 17 part 3: the updater
  // plugin 'NAME' said TEXT".
  absl::Status Update(const ProgramUpdate& update) override;

 private:
  UpdaterPlugin(void* handle, const kvstore_updater_plugin& plugin)
      : handle_(handle), plugin_(plugin) {}

  void* const handle_;                   // of dlopen
  const kvstore_updater_plugin plugin_;  // a copy: fields that it has not are null
  std::string options_;
  void* instance_ = nullptr;
  bool open_ = false;
};

}  // namespace kvstore
