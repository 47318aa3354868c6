#include "common/tls/tls_source.h"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <new>
#include <utility>

#include "common/base/status_macros.h"

namespace kvstore {
namespace {

constexpr auto kLookEvery = std::chrono::seconds(1);

}  // namespace

absl::StatusOr<std::shared_ptr<TlsSource>> TlsSource::Open(const std::string& folder) {
  if (folder.empty()) return nullptr;
  Stamp stamp = StampOf(folder);  // before the files: what changes meanwhile is seen at a look
  KVS_ASSIGN_OR_RETURN(TlsFiles files, ReadTlsFiles(folder));
  KVS_RETURN_IF_ERROR(CheckTlsFiles(folder, files));
  return std::shared_ptr<TlsSource>(new TlsSource(folder, std::move(stamp), std::move(files)));
}

TlsSource::TlsSource(std::string folder, Stamp stamp, TlsFiles files)
    : folder_(std::move(folder)),
      first_(std::move(stamp)),
      files_(std::make_shared<TlsFiles>(std::move(files))) {
  // Signals are for threads that wait for them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  watcher_ = std::thread([this] { Watch(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TlsSource::~TlsSource() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
  }
  stopped_.NotifyAll();
  watcher_.join();
}

std::shared_ptr<const TlsFiles> TlsSource::Current() const {
  MutexLock lock(mutex_);
  return files_;
}

void TlsSource::SetListener(std::function<void(const TlsFiles&)> listener) {
  MutexLock lock(listener_mutex_);
  listener_ = std::move(listener);
  if (listener_) listener_(*Current());
}

TlsSource::Stamp TlsSource::StampOf(const std::string& folder) {
  Stamp stamp;
  for (const char* name : {kCertificateFile, kKeyFile, kAuthorityFile}) {
    struct stat file = {};
    if (::stat((folder + "/" + name).c_str(), &file) != 0) file = {};
    stamp += fmt::format("{}:{}:{}:{}.{} ", file.st_dev, file.st_ino, file.st_size,
                         file.st_ctim.tv_sec, file.st_ctim.tv_nsec);
  }
  return stamp;
}

void TlsSource::Watch() {
  pthread_setname_np(pthread_self(), "kvs-tls");
  Stamp in_force = first_;  // or found to be wrong: looked at, in any case
  Stamp last = in_force;
  while (true) {
    {
      MutexLock lock(mutex_);
      const auto next = std::chrono::steady_clock::now() + kLookEvery;
      while (!stop_ && stopped_.WaitUntil(mutex_, next)) {
      }
      if (stop_) return;
    }
    try {
      Stamp now = StampOf(folder_);
      if (now != in_force && now == last) {
        Reload();
        in_force = now;
      }
      last = std::move(now);
    } catch (const std::bad_alloc&) {  // the next look finds the same
    }
  }
}

void TlsSource::Reload() {
  absl::StatusOr<TlsFiles> files = ReadTlsFiles(folder_);
  absl::Status status = files.status();
  if (status.ok()) status = CheckTlsFiles(folder_, *files);
  if (!status.ok()) {
    spdlog::warn("new TLS files are not taken, those from before stay in force: {}",
                 std::string(status.message()));
    return;
  }
  const auto taken = std::make_shared<TlsFiles>(*std::move(files));
  {
    MutexLock lock(mutex_);
    files_ = taken;
  }
  {
    MutexLock lock(listener_mutex_);
    if (listener_) listener_(*taken);
  }
  spdlog::info("new TLS files: the certificate of '{}' ({}) is valid to {}", taken->identity.name,
               RoleNames(taken->identity.roles), UtcTime(taken->not_after_s));
}

}  // namespace kvstore
