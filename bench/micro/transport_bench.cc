// How many bytes per second one stream of GrpcTransport carries from one process to another, beside
// a plain TCP connection doing the same: messages of one size, a window of unanswered ones, an
// answer of a few bytes to each, one copy at the receiver into its final place.
//
// Each measurement runs in two fresh processes, since gRPC does not survive a fork: the sender on
// one core, the receiver on another. The receiver looks at the last byte of each message; a wrong
// one ends the run.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/allocator.h"
#include "common/base/check.h"
#include "common/tensor/buffer.h"
#include "common/transport/factory/make_transport.h"

namespace kvstore {
namespace {

constexpr const char* kMethod = "/kvstore.bench.Bytes/Push";
constexpr size_t kBuffers = 64;  // so many different places are sent from and written to

struct Options {
  size_t message_bytes = 1 << 20;
  int window = 4;
  double seconds = 1.0;
  int repeat = 5;
  bool pin = true;
};

using Clock = std::chrono::steady_clock;

class Buffers {
 public:
  explicit Buffers(size_t bytes) : bytes_(bytes) {
    for (size_t i = 0; i < kBuffers; ++i) {
      buffers_.push_back(std::make_shared<Buffer>(bytes));
      std::memset(buffers_.back()->data(), static_cast<int>(i + 1), bytes);
    }
  }
  const MutableBufferPtr& Next() { return buffers_[next_++ % kBuffers]; }

  // Of a receiver: the last byte of the message that was to be received into the last Next().
  void Check(uint8_t last) const {
    const auto expected = static_cast<uint8_t>((next_ - 1) % kBuffers + 1);
    if (last == expected) return;
    std::fprintf(stderr, "message %zu: %u expected as its last byte, got %u\n", next_, expected,
                 last);
    _exit(1);
  }
  // Likewise of that buffer itself. Spoils it, so that the next message must come to be right.
  void CheckAndSpoil() {
    uint8_t& last = buffers_[(next_ - 1) % kBuffers]->data()[bytes_ - 1];
    Check(last);
    last = 0;
  }

 private:
  const size_t bytes_;
  std::vector<MutableBufferPtr> buffers_;
  size_t next_ = 0;
};

struct Result {
  double bytes_per_second = 0;
  // Of both processes. On a busy machine it says more than the rate.
  double cpu_seconds_per_gb = 0;
};

double CpuSeconds(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  KVS_CHECK(clock_getcpuclockid(pid, &clock) == 0);
  KVS_CHECK(clock_gettime(clock, &time) == 0);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Measures from a moment after the start, so that the window and the buffers are warm.
Result Rate(const Options& options, pid_t receiver, const std::atomic<uint64_t>& messages) {
  const auto cpu = [receiver] { return CpuSeconds(getpid()) + CpuSeconds(receiver); };
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const uint64_t first = messages.load();
  const double first_cpu = cpu();
  const auto start = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  const double bytes =
      static_cast<double>(messages.load() - first) * static_cast<double>(options.message_bytes);
  const std::chrono::duration<double> elapsed = Clock::now() - start;
  return {bytes / elapsed.count(), (cpu() - first_cpu) / (bytes / 1e9)};
}

// ---- gRPC

// Serves until it is killed.
void GrpcReceiver(const Options& options, bool copy, const std::function<void(int)>& announce) {
  TuneAllocator();
  const std::unique_ptr<Transport> transport = MakeTransport();
  const std::unique_ptr<EventLoop> loop = transport->MakeServerLoop("receiver");
  Buffers buffers(options.message_bytes);
  std::unique_ptr<MessageStream> stream;
  auto listener = transport->Listen(
      "127.0.0.1:0", {{{kMethod, loop.get(), [&](std::unique_ptr<MessageStream> accepted) {
                          stream = std::move(accepted);
                          stream->SetEvents({[&](const Payload& message) {
                                               KVS_CHECK(message.size() == options.message_bytes);
                                               uint8_t* const place = buffers.Next()->data();
                                               if (copy) {
                                                 message.CopyTo(place);
                                                 buffers.CheckAndSpoil();
                                               } else {
                                                 const Slice& end = message.slices().back();
                                                 buffers.Check(end.data[end.size - 1]);
                                               }
                                               stream->Send(Payload::CopyOf("ok"));
                                             },
                                             nullptr});
                        }}}});
  KVS_CHECK(listener.ok());
  announce((*listener)->port());
  for (;;) pause();
}

Result GrpcSender(const Options& options, pid_t receiver, int port) {
  TuneAllocator();
  std::atomic<uint64_t> messages{0};
  const std::unique_ptr<Transport> transport = MakeTransport();
  Buffers buffers(options.message_bytes);
  std::unique_ptr<MessageStream> stream;  // goes after its loop: it belongs to the loop's thread
  const std::unique_ptr<EventLoop> loop = transport->MakeLoop("sender");
  const std::string header(40, 'h');
  const auto send = [&] {
    const MutableBufferPtr& buffer = buffers.Next();
    Payload message = Payload::CopyOf(header);
    message.Append(Slice{buffer->data(), buffer->size() - header.size(), buffer});
    stream->Send(std::move(message));
  };
  loop->Post([&] {
    stream = transport->Dial(*loop, fmt::format("127.0.0.1:{}", port), kMethod,
                             {[&](const Payload&) {
                                messages.fetch_add(1);
                                send();
                              },
                              [](const absl::Status& status) {
                                std::fprintf(stderr, "%s\n", status.ToString().c_str());
                                std::exit(1);
                              }});
    for (int i = 0; i < options.window; ++i) send();
  });
  return Rate(options, receiver, messages);
}

// ---- plain TCP

void ReadAll(int fd, uint8_t* data, size_t size) {
  while (size > 0) {
    const ssize_t n = recv(fd, data, size, 0);
    if (n <= 0) _exit(0);
    data += n;
    size -= static_cast<size_t>(n);
  }
}

void WriteAll(int fd, const uint8_t* data, size_t size) {
  while (size > 0) {
    const ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    if (n <= 0) _exit(0);
    data += n;
    size -= static_cast<size_t>(n);
  }
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

void TcpReceiver(const Options& options, bool copy, const std::function<void(int)>& announce) {
  const int listening = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof(address);
  KVS_CHECK(bind(listening, reinterpret_cast<sockaddr*>(&address), length) == 0);
  KVS_CHECK(listen(listening, 1) == 0);
  KVS_CHECK(getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  announce(ntohs(address.sin_port));
  const int fd = accept(listening, nullptr, nullptr);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  Buffers buffers(options.message_bytes);
  std::vector<uint8_t> scratch(256 << 10);  // stays in the cache, as a read buffer would
  for (;;) {
    uint8_t* place = buffers.Next()->data();
    if (!copy) {
      ReadAll(fd, place, options.message_bytes);
    } else {
      for (size_t offset = 0; offset < options.message_bytes;) {
        const size_t piece = std::min(scratch.size(), options.message_bytes - offset);
        ReadAll(fd, scratch.data(), piece);
        std::memcpy(place + offset, scratch.data(), piece);
        offset += piece;
      }
    }
    buffers.CheckAndSpoil();
    const uint8_t ok[2] = {'o', 'k'};
    WriteAll(fd, ok, sizeof(ok));
  }
}

Result TcpSender(const Options& options, pid_t receiver, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(port);
  KVS_CHECK(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  std::atomic<uint64_t> messages{0};
  std::thread([&options, &messages, fd] {
    Buffers buffers(options.message_bytes);
    int unanswered = 0;
    for (;;) {
      for (; unanswered < options.window; ++unanswered) {
        WriteAll(fd, buffers.Next()->data(), options.message_bytes);
      }
      uint8_t ok[2];
      ReadAll(fd, ok, sizeof(ok));
      --unanswered;
      messages.fetch_add(1);
    }
  }).detach();
  return Rate(options, receiver, messages);
}

// ---- processes

void PinTo(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core % std::max(1u, std::thread::hardware_concurrency()), &set);
  sched_setaffinity(0, sizeof(set), &set);
}

// Runs `body` in a process of its own, which writes a T to a pipe; the pipe's end to read from.
template <typename T>
std::pair<pid_t, int> Spawn(const Options& options, unsigned core,
                            const std::function<void(const std::function<void(T)>&)>& body) {
  int ends[2];
  KVS_CHECK(pipe(ends) == 0);
  const pid_t pid = fork();
  KVS_CHECK(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (options.pin) PinTo(core);
    body([&](T value) { KVS_CHECK(write(ends[1], &value, sizeof(value)) == sizeof(value)); });
    _exit(0);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

template <typename T>
T ReadFrom(int fd) {
  T value{};
  KVS_CHECK(read(fd, &value, sizeof(value)) == sizeof(value));  // else: the process died
  close(fd);
  return value;
}

struct Variant {
  std::string name;
  std::function<void(const Options&, const std::function<void(int)>&)> receiver;
  std::function<Result(const Options&, pid_t, int)> sender;
  std::vector<Result> results = {};
};

Result Measure(const Options& options, const Variant& variant) {
  const auto [receiver, receiver_fd] = Spawn<int>(
      options, 1,
      [&](const std::function<void(int)>& announce) { variant.receiver(options, announce); });
  const int port = ReadFrom<int>(receiver_fd);
  const auto [sender, sender_fd] = Spawn<Result>(
      options, 0, [&, peer = receiver, port](const std::function<void(Result)>& report) {
        report(variant.sender(options, peer, port));
      });
  const auto result = ReadFrom<Result>(sender_fd);
  for (const pid_t pid : {sender, receiver}) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  return result;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app{"Throughput of one stream between two processes, gRPC beside plain TCP"};
  app.add_option("--bytes", options.message_bytes, "bytes per message")
      ->check(CLI::Range(size_t{64}, size_t{4} << 20))
      ->capture_default_str();
  app.add_option("--window", options.window, "unanswered messages")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "length of one measurement")
      ->check(CLI::Range(0.1, 60.0))
      ->capture_default_str();
  app.add_option("--repeat", options.repeat, "measurements of each variant, taken in turns")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("!--no-pin", options.pin, "let the processes wander between cores");
  CLI11_PARSE(app, argc, argv);

  const auto tcp = [](bool copy) {
    return [copy](const Options& o, const auto& announce) { TcpReceiver(o, copy, announce); };
  };
  const auto grpc = [](bool copy) {
    return [copy](const Options& o, const auto& announce) { GrpcReceiver(o, copy, announce); };
  };
  std::vector<Variant> variants = {{"plain TCP, read in place", tcp(false), TcpSender},
                                   {"plain TCP, one copy", tcp(true), TcpSender},
                                   {"gRPC, slices as they came", grpc(false), GrpcSender},
                                   {"gRPC, one copy", grpc(true), GrpcSender}};
  for (int i = 0; i < options.repeat; ++i) {
    for (Variant& variant : variants) variant.results.push_back(Measure(options, variant));
  }
  std::printf("messages of %zu bytes, window %d, median [min-max] of %d\n", options.message_bytes,
              options.window, options.repeat);
  const auto sorted = [](const Variant& variant, double Result::*figure) {
    std::vector<double> values;
    for (const Result& result : variant.results) values.push_back(result.*figure);
    std::sort(values.begin(), values.end());
    return values;
  };
  const auto median = [&](const Variant& variant, double Result::*figure) {
    return sorted(variant, figure)[variant.results.size() / 2];
  };
  for (const Variant& variant : variants) {
    const std::vector<double> rates = sorted(variant, &Result::bytes_per_second);
    std::printf("%-28s %6.2f GB/s [%.2f-%.2f]  %.3f CPU s/GB\n", variant.name.c_str(),
                median(variant, &Result::bytes_per_second) / 1e9, rates.front() / 1e9,
                rates.back() / 1e9, median(variant, &Result::cpu_seconds_per_gb));
  }
  std::printf("gRPC / plain TCP, one copy each: %.2f of the rate, %.2f of the CPU time\n",
              median(variants[3], &Result::bytes_per_second) /
                  median(variants[1], &Result::bytes_per_second),
              median(variants[3], &Result::cpu_seconds_per_gb) /
                  median(variants[1], &Result::cpu_seconds_per_gb));
  return 0;
}

}  // namespace
}  // namespace kvstore

int main(int argc, char** argv) { return kvstore::Main(argc, argv); }
