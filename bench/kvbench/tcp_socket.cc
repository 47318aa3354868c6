#include "bench/kvbench/tcp_socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kvstore::bench {
namespace {

constexpr int kSendBufferBytes = 4 << 20;
constexpr size_t kScratchBytes = size_t{256} << 10;

absl::Status Failed(const char* call) {
  return absl::UnavailableError(fmt::format("raw TCP: {}: {}", call, std::strerror(errno)));
}

absl::Status Configure(int fd, const std::string& congestion) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof kSendBufferBytes);
  if (!congestion.empty() && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion.data(),
                                        static_cast<socklen_t>(congestion.size())) != 0) {
    return absl::UnavailableError(
        fmt::format("raw TCP: congestion control '{}': {}", congestion, std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

absl::StatusOr<TcpPair> ConnectLoopback(const std::string& congestion) {
  const FileDescriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (listener.get() < 0) return Failed("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener.get(), generic, length) != 0) return Failed("bind");
  if (listen(listener.get(), 1) != 0) return Failed("listen");
  if (getsockname(listener.get(), generic, &length) != 0) return Failed("getsockname");

  TcpPair pair;
  pair.client = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (pair.client.get() < 0) return Failed("socket");
  if (connect(pair.client.get(), generic, length) != 0) return Failed("connect");
  pair.server = FileDescriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (pair.server.get() < 0) return Failed("accept");
  for (const int fd : {pair.client.get(), pair.server.get()}) {
    if (absl::Status status = Configure(fd, congestion); !status.ok()) return status;
  }
  return pair;
}

bool SendMessage(int fd, const MessageHeader& header, const char* payload) {
  MessageHeader copy = header;
  iovec pieces[2] = {{&copy, sizeof copy},
                     {const_cast<char*>(payload), static_cast<size_t>(header.payload_bytes)}};
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = header.payload_bytes == 0 ? 1 : 2;
  while (message.msg_iovlen > 0) {
    const ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    auto left = static_cast<size_t>(sent);
    while (message.msg_iovlen > 0) {
      iovec& piece = *message.msg_iov;
      const size_t taken = std::min(left, piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + taken;
      piece.iov_len -= taken;
      left -= taken;
      if (piece.iov_len > 0) break;
      ++message.msg_iov;
      --message.msg_iovlen;
    }
  }
  return true;
}

ScratchReader::ScratchReader(int fd) : fd_(fd), scratch_(kScratchBytes) {}

bool ScratchReader::Read(void* to, size_t count) {
  char* destination = static_cast<char*>(to);
  while (count > 0) {
    if (begin_ == end_) {
      const ssize_t received = recv(fd_, scratch_.data(), scratch_.bytes(), 0);
      if (received < 0 && errno == EINTR) continue;
      if (received <= 0) return false;
      begin_ = 0;
      end_ = static_cast<size_t>(received);
    }
    const size_t taken = std::min(count, end_ - begin_);
    std::memcpy(destination, scratch_.data() + begin_, taken);
    begin_ += taken;
    destination += taken;
    count -= taken;
  }
  return true;
}

}  // namespace kvstore::bench
