#include "server/daemon/stop_signal.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "common/base/check.h"

namespace kvstore {

namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

StopSignal::StopSignal() {
  ::signal(SIGPIPE, SIG_IGN);  // who reads our output may go first
  const sigset_t set = StopSignals();
  KVS_CHECK(::pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  signal_fd_ = ::signalfd(-1, &set, SFD_CLOEXEC);
  event_fd_ = ::eventfd(0, EFD_CLOEXEC);
  KVS_CHECK(signal_fd_ >= 0 && event_fd_ >= 0);
}

StopSignal::~StopSignal() {
  ::close(signal_fd_);
  ::close(event_fd_);
}

void StopSignal::End(int exit_code, std::string message) {
  const MutexLock lock(mutex_);
  if (std::exchange(ended_, true)) return;
  reason_.exit_code = exit_code;
  reason_.message = std::move(message);
  const uint64_t one = 1;
  KVS_CHECK(::write(event_fd_, &one, sizeof one) == sizeof one);
}

StopSignal::Reason StopSignal::Wait() {
  std::array<pollfd, 2> fds = {{{event_fd_, POLLIN, 0}, {signal_fd_, POLLIN, 0}}};
  while (::poll(fds.data(), fds.size(), -1) < 0) KVS_CHECK(errno == EINTR);
  Reason reason;
  if ((fds[0].revents & POLLIN) != 0) {
    const MutexLock lock(mutex_);
    reason = reason_;
  } else {
    signalfd_siginfo info;
    KVS_CHECK(::read(signal_fd_, &info, sizeof info) == sizeof info);
    reason.signal = static_cast<int>(info.ssi_signo);
  }
  const sigset_t set = StopSignals();
  KVS_CHECK(::pthread_sigmask(SIG_UNBLOCK, &set, nullptr) == 0);
  return reason;
}

}  // namespace kvstore
