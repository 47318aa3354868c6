// TlsSource: the files of a folder (tls_files.h) as they are now. They may be replaced while the
// process runs, before a certificate expires: a thread looks once a second, waits until they have
// not changed between two looks, and takes them if they are right; else those from before stay in
// force, and a warning says why. Connections that stand are not touched.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/tls/tls_files.h"

namespace kvstore {

// Thread-safe.
class TlsSource {
 public:
  // Null where `folder` is empty. Errors: those of ReadTlsFiles and CheckTlsFiles.
  static absl::StatusOr<std::shared_ptr<TlsSource>> Open(const std::string& folder);
  ~TlsSource();
  TlsSource(const TlsSource&) = delete;
  TlsSource& operator=(const TlsSource&) = delete;

  const std::string& folder() const { return folder_; }
  std::shared_ptr<const TlsFiles> Current() const KVS_EXCLUDES(mutex_);
  // Calls `listener` with the files that are in force, now and whenever others are, from this and
  // from a thread of its own, never two at a time. There is one listener; null takes it away, and
  // waits until no call of it runs.
  void SetListener(std::function<void(const TlsFiles&)> listener) KVS_EXCLUDES(listener_mutex_);

 private:
  // What tells one state of the folder from another without reading it.
  using Stamp = std::string;

  TlsSource(std::string folder, Stamp stamp, TlsFiles files);
  void Watch();
  void Reload() KVS_EXCLUDES(mutex_, listener_mutex_);
  static Stamp StampOf(const std::string& folder);

  const std::string folder_;
  const Stamp first_;
  mutable Mutex mutex_;
  CondVar stopped_;
  bool stop_ KVS_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const TlsFiles> files_ KVS_GUARDED_BY(mutex_);
  Mutex listener_mutex_;
  std::function<void(const TlsFiles&)> listener_ KVS_GUARDED_BY(listener_mutex_);
  std::thread watcher_;
};

}  // namespace kvstore
