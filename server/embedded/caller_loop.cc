#include "server/embedded/caller_loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "common/base/check.h"

namespace kvstore {

CallerLoop::CallerLoop() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  KVS_CHECK(::pthread_sigmask(SIG_BLOCK, &stop, &signals_before_) == 0);
  signal_fd_ = ::signalfd(-1, &stop, SFD_CLOEXEC);
  event_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  KVS_CHECK(signal_fd_ >= 0 && event_fd_ >= 0);
}

CallerLoop::~CallerLoop() {
  ::close(signal_fd_);
  ::close(event_fd_);
  KVS_CHECK(::pthread_sigmask(SIG_SETMASK, &signals_before_, nullptr) == 0);
}

void CallerLoop::Wake() {
  const uint64_t one = 1;
  KVS_CHECK(::write(event_fd_, &one, sizeof one) == sizeof one);
}

void CallerLoop::Post(std::function<void()> task) {
  MutexLock lock(mutex_);
  tasks_.push_back(std::move(task));
  Wake();
}

void CallerLoop::End(absl::Status why) {
  MutexLock lock(mutex_);
  if (end_) return;
  end_ = std::move(why);
  Wake();
}

absl::Status CallerLoop::Run() {
  while (true) {
    std::array<pollfd, 2> fds = {{{event_fd_, POLLIN, 0}, {signal_fd_, POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0) {
      KVS_CHECK(errno == EINTR);
      continue;
    }
    if ((fds[1].revents & POLLIN) != 0) {
      signalfd_siginfo info;
      KVS_CHECK(::read(signal_fd_, &info, sizeof info) == sizeof info);
      return absl::OkStatus();
    }
    uint64_t wakes = 0;
    KVS_CHECK(::read(event_fd_, &wakes, sizeof wakes) == sizeof wakes);
    std::function<void()> task;
    {
      MutexLock lock(mutex_);
      if (end_) return *end_;
      // Tasks are taken one at a time, so that an end that comes meanwhile is seen before the next
      // one.
      if (tasks_.empty()) continue;
      task = std::move(tasks_.front());
      tasks_.pop_front();
      if (!tasks_.empty()) Wake();
    }
    task();
  }
}

}  // namespace kvstore
