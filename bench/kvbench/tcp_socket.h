// The little of TCP that the raw baseline needs: a connected pair over loopback, whole sends, and a
// reader that copies once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/kvbench/memory.h"

namespace kvstore::bench {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

struct TcpPair {
  FileDescriptor client;
  FileDescriptor server;
};

// Connects two sockets of this process over 127.0.0.1: no Nagle, send buffers of 4 MiB, and
// `congestion` as congestion control unless it is empty. Errors: UNAVAILABLE says which call failed
// and why.
absl::StatusOr<TcpPair> ConnectLoopback(const std::string& congestion);

// What precedes each payload, and is the whole of an acknowledgement or a request to pull.
struct MessageHeader {
  uint64_t key = 0;
  uint64_t payload_bytes = 0;
};

// Sends header and payload with as few calls as the socket allows. Returns false if the connection
// is gone.
bool SendMessage(int fd, const MessageHeader& header, const char* payload);

// Receives into a scratch buffer of 256 KiB and copies from there: one copy at the receiver, as any
// receiver has to make that learns where the bytes belong from the bytes before them.
// Thread-compatible.
class ScratchReader {
 public:
  explicit ScratchReader(int fd);
  // Fills `to` with `count` bytes. Returns false if the connection is gone.
  bool Read(void* to, size_t count);

 private:
  const int fd_;
  Memory scratch_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace kvstore::bench
