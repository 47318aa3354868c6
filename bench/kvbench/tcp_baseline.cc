#include "bench/kvbench/tcp_baseline.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "bench/kvbench/pattern.h"
#include "bench/kvbench/statistics.h"
#include "bench/kvbench/tcp_socket.h"
#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool Pushes(const Case& measured) { return measured.workload != Workload::kPull; }
bool Pulls(const Case& measured) {
  return measured.workload != Workload::kPush && measured.workload != Workload::kInit;
}

bool Same(const Memory& a, const Memory& b) {
  return std::memcmp(a.data(), b.data(), b.bytes()) == 0;
}

// How many messages may be without an answer. Thread-safe.
class Window {
 public:
  explicit Window(size_t limit) : limit_(limit) {}

  // Waits until fewer than `limit` are open and opens one; false once closed.
  bool Open() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return open_ < limit_ || closed_; });
    ++open_;
    return !closed_;
  }
  void Answer() {
    bool wake = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      // One who waits in Open needs room, one who waits in Drain needs zero.
      wake = open_-- == limit_ || open_ == 0;
    }
    if (wake) changed_.notify_one();
  }
  // Waits until none is open; false if it was closed before.
  bool Drain() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return open_ == 0 || closed_; });
    return open_ == 0;
  }
  void Close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  const size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t open_ = 0;
  bool closed_ = false;
};

// Answers on their way from the server's receiving thread to its sending one. Thread-safe.
class AnswerQueue {
 public:
  void Put(uint64_t key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    keys_.push_back(key);
    changed_.notify_one();
  }
  void Close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    changed_.notify_one();
  }
  // False once closed and empty.
  bool Take(uint64_t* key) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return !keys_.empty() || closed_; });
    if (keys_.empty()) return false;
    *key = keys_.front();
    keys_.pop_front();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<uint64_t> keys_;
  bool closed_ = false;
};

double CpuSeconds(const std::vector<pthread_t>& threads) {
  double sum = 0;
  for (const pthread_t thread : threads) {
    clockid_t clock = 0;
    timespec time{};
    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &time) != 0) continue;
    sum += static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
  return sum;
}

}  // namespace

// The memory of a connection, for all of its runs.
struct TcpBaseline::Buffers {
  explicit Buffers(const Case& measured)
      : client_values(Pushes(measured) ? measured.value_bytes * measured.keys : 0),
        client_outputs(Pulls(measured) ? measured.value_bytes * measured.keys : 0),
        server_values(measured.value_bytes * measured.keys) {
    const Memory& origin = Pushes(measured) ? client_values : server_values;
    Fill(Pattern{}, 1, {origin.data(), origin.bytes(), DataType::kUInt8});
  }

  Memory client_values;
  Memory client_outputs;
  Memory server_values;
};

// One connection of one run: its sockets and threads. The figures are written by the client's
// sending thread and read after it was joined.
class TcpBaseline::Connection {
 public:
  Connection(const Case& measured, const TcpOptions& options, Buffers* buffers)
      : bytes_(measured.value_bytes),
        keys_(measured.keys),
        pushes_(Pushes(measured)),
        pulls_(Pulls(measured)),
        one_at_a_time_(measured.window == 1),
        options_(options),
        buffers_(*buffers),
        window_(measured.window) {
    // What arrives must come from this run.
    if (pushes_) std::memset(buffers_.server_values.data(), 0, buffers_.server_values.bytes());
    if (pulls_) std::memset(buffers_.client_outputs.data(), 0, buffers_.client_outputs.bytes());
  }

  absl::Status Connect() {
    absl::StatusOr<TcpPair> pair = ConnectLoopback(options_.congestion);
    if (!pair.ok()) return pair.status();
    sockets_ = *std::move(pair);
    return absl::OkStatus();
  }

  void Start(double warmup_s, double seconds) {
    server_threads_.emplace_back([this] { OnServer(&Connection::ServeRequests); });
    if (AnswersApart())
      server_threads_.emplace_back([this] { OnServer(&Connection::SendAnswers); });
    if (!one_at_a_time_) {
      receiver_ = std::thread([this] {
        RunOn(options_.cores.clients);
        ReceiveAnswers();
        window_.Close();  // nobody waits for what will not come
      });
    }
    sender_ = std::thread([this, warmup_s, seconds] {
      RunOn(options_.cores.clients);
      Phase(warmup_s);
      Measure(seconds);
      complete_ = !broken_;
      shutdown(sockets_.client.get(), SHUT_WR);  // the server ends, then our receiver
    });
  }

  absl::StatusOr<Sample> Join() {
    sender_.join();
    if (receiver_.joinable()) receiver_.join();
    for (std::thread& thread : server_threads_) thread.join();
    if (!complete_) return absl::UnavailableError("raw TCP: the connection broke");
    if (pushes_ && !Same(buffers_.client_values, buffers_.server_values)) {
      return absl::DataLossError("raw TCP: the server holds other bytes than the client sent");
    }
    if (pulls_ && !Same(buffers_.server_values, buffers_.client_outputs)) {
      return absl::DataLossError("raw TCP: the client holds other bytes than the server sent");
    }
    return sample_;
  }

 private:
  // With many whole values in both directions, a server that both reads and writes on one thread
  // would stop reading while its client has stopped reading too.
  bool AnswersApart() const { return pushes_ && pulls_ && !one_at_a_time_; }

  void OnServer(bool (Connection::*work)()) {
    RunOn(options_.cores.servers);
    (this->*work)();
  }

  bool Answer(uint64_t key) {
    const MessageHeader header{key, pulls_ ? bytes_ : 0};
    return SendMessage(sockets_.server.get(), header, buffers_.server_values.data() + key * bytes_);
  }

  bool ServeRequests() {
    ScratchReader reader(sockets_.server.get());
    bool whole = true;
    for (MessageHeader header; whole && reader.Read(&header, sizeof header);) {
      whole =
          header.payload_bytes == 0 ||
          reader.Read(buffers_.server_values.data() + header.key * bytes_, header.payload_bytes);
      if (whole && AnswersApart()) {
        answers_.Put(header.key);
      } else if (whole) {
        whole = Answer(header.key);
      }
    }
    answers_.Close();
    if (!AnswersApart()) shutdown(sockets_.server.get(), SHUT_RDWR);
    return whole;
  }

  bool SendAnswers() {
    uint64_t key = 0;
    bool whole = true;
    while (whole && answers_.Take(&key)) whole = Answer(key);
    shutdown(sockets_.server.get(), SHUT_RDWR);
    return whole;
  }

  bool ReceiveAnswer(ScratchReader* reader) {
    MessageHeader header;
    return reader->Read(&header, sizeof header) &&
           (header.payload_bytes == 0 ||
            reader->Read(buffers_.client_outputs.data() + header.key * bytes_,
                         header.payload_bytes));
  }

  void ReceiveAnswers() {
    ScratchReader reader(sockets_.client.get());
    while (ReceiveAnswer(&reader)) window_.Answer();
  }

  // Sends messages for `seconds` and waits for their answers. Returns their number.
  uint64_t Phase(double seconds) {
    const Clock::time_point start = Clock::now();
    uint64_t sent = 0;
    // Every key once at least: what is checked at the end must have travelled.
    while (!broken_ && (sent < keys_ || SecondsSince(start) < seconds)) {
      const uint64_t key = next_key_++ % keys_;
      const Clock::time_point begin = one_at_a_time_ ? Clock::now() : start;
      if (!one_at_a_time_ && !window_.Open()) {
        broken_ = true;
        break;
      }
      const MessageHeader header{key, pushes_ ? bytes_ : 0};
      broken_ =
          !SendMessage(sockets_.client.get(), header, buffers_.client_values.data() + key * bytes_);
      if (one_at_a_time_) {
        if (lone_reader_ == nullptr) {
          lone_reader_ = std::make_unique<ScratchReader>(sockets_.client.get());
        }
        broken_ = broken_ || !ReceiveAnswer(lone_reader_.get());
        latencies_us_.push_back(1e6 * SecondsSince(begin));
      }
      ++sent;
    }
    if (!one_at_a_time_ && !window_.Drain()) broken_ = true;
    return sent;
  }

  void Measure(double seconds) {
    std::vector<pthread_t> clients = {pthread_self()};
    if (receiver_.joinable()) clients.push_back(receiver_.native_handle());
    std::vector<pthread_t> servers;
    for (std::thread& thread : server_threads_) servers.push_back(thread.native_handle());

    latencies_us_.clear();
    const double client_cpu = CpuSeconds(clients);
    const double server_cpu = CpuSeconds(servers);
    const Clock::time_point start = Clock::now();
    sample_.operations = Phase(seconds);
    sample_.seconds = SecondsSince(start);
    sample_.client_cpu_s = CpuSeconds(clients) - client_cpu;
    sample_.server_cpu_s = CpuSeconds(servers) - server_cpu;
    sample_.payload_bytes = sample_.operations * bytes_ * (pushes_ && pulls_ ? 2 : 1);
    sample_.p50_us = Percentile(&latencies_us_, 0.5);
    sample_.p99_us = Percentile(&latencies_us_, 0.99);
  }

  const size_t bytes_;
  const size_t keys_;
  const bool pushes_;
  const bool pulls_;
  const bool one_at_a_time_;
  const TcpOptions options_;

  Buffers& buffers_;
  TcpPair sockets_;
  Window window_;
  AnswerQueue answers_;

  std::vector<std::thread> server_threads_;
  std::thread receiver_;
  std::thread sender_;

  // Of the client's sending thread.
  uint64_t next_key_ = 0;
  bool broken_ = false;
  bool complete_ = false;
  std::unique_ptr<ScratchReader> lone_reader_;
  std::vector<double> latencies_us_;
  Sample sample_;
};

TcpBaseline::TcpBaseline(const Case& measured, int servers, const TcpOptions& options)
    : options_(options), measured_(measured), each_(measured) {
  int connections = 1;
  if (InRounds(measured.workload)) {
    // A worker's values, spread over the servers.
    connections = measured.workers * servers;
    const size_t share = std::max<size_t>(1, BytesOf(measured) / static_cast<size_t>(servers));
    each_.model.clear();
    each_.value_bytes = InOneMessage(measured.workload) ? share : std::min(share, kPartBytes);
    each_.keys = std::max<size_t>(1, share / each_.value_bytes);
    each_.window = WindowFor(each_.value_bytes * static_cast<size_t>(connections), each_.keys);
  }
  for (int i = 0; i < connections; ++i) buffers_.push_back(std::make_unique<Buffers>(each_));
}

TcpBaseline::~TcpBaseline() = default;

absl::StatusOr<Sample> TcpBaseline::Run(double warmup_s, double seconds) {
  std::vector<std::unique_ptr<Connection>> connections;
  for (const auto& buffers : buffers_) {
    connections.push_back(std::make_unique<Connection>(each_, options_, buffers.get()));
    KVS_RETURN_IF_ERROR(connections.back()->Connect());
  }
  for (const auto& connection : connections) connection->Start(warmup_s, seconds);

  Sample sum;
  sum.client_cpu_s = sum.server_cpu_s = 0;
  absl::Status failure;
  for (const auto& connection : connections) {
    const absl::StatusOr<Sample> one = connection->Join();  // every thread, whatever happens
    if (!one.ok()) {
      failure.Update(one.status());
      continue;
    }
    sum.operations += one->operations;
    sum.payload_bytes += one->payload_bytes;
    sum.seconds = std::max(sum.seconds, one->seconds);
    sum.client_cpu_s += one->client_cpu_s;
    sum.server_cpu_s += one->server_cpu_s;
    sum.p50_us = one->p50_us;
    sum.p99_us = one->p99_us;
  }
  if (!failure.ok()) return failure;
  sum.operations =
      sum.payload_bytes / (DirectionsOf(measured_.workload) * OperationBytes(measured_) *
                           static_cast<uint64_t>(measured_.workers));
  return sum;
}

}  // namespace kvstore::bench
