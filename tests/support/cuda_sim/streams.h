// The streams of the simulated GPUs: queues of work, of which nothing is done at the call. What is
// done when, a seed chooses among the heads of the queues, but for those that wait for an event
// that has not come. Work is done when the host waits, some of it when it asks, and, as the seed
// wants it, some at any other call: early in some runs, as late as is legal in others. With seed 0
// it is done in the order in which it was put there, as late as is legal.
//
// One thread, one seed: one order. Several threads do the work of several streams at once.
#pragma once

#include <cuda_runtime.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace cuda_sim {

// How a piece of work ended. An error ends all use of the GPUs, as on real ones.
struct Outcome {
  cudaError_t error = cudaSuccess;
  std::string text;
};
using Work = std::function<Outcome()>;

// One record of an event.
struct Mark {
  bool reached = false;  // guarded by the lock of Streams
};
using MarkPtr = std::shared_ptr<Mark>;

// Of the calling thread: what the last error was about.
cudaError_t Failed(cudaError_t error, const std::string& text);
cudaError_t TakeLastError();
// The error that sticks, or cudaSuccess. Every call begins with it.
cudaError_t Sticky();

// Thread-safe. A stream that is null is the default one of the thread's device, which waits for no
// other. Errors: the one that sticks; cudaErrorInvalidResourceHandle no such stream or event.
class Streams {
 public:
  static Streams& All();

  void Seed(uint64_t seed);
  // As seeded, some steps of whatever may be done: for calls that do nothing else with streams.
  void AtCall();
  // Forgets the error that sticks, and what is on any stream.
  void Forget();
  cudaError_t sticky();

  cudaError_t Create(int device, cudaStream_t* stream);
  cudaError_t Destroy(cudaStream_t stream);
  cudaError_t Put(cudaStream_t stream, Work work);
  // Returns when all is done that has been put on the stream; or on all of the device.
  cudaError_t WaitFor(cudaStream_t stream);
  cudaError_t WaitForDevice(int device);

  cudaError_t Record(cudaEvent_t event, cudaStream_t stream);
  cudaError_t PutWait(cudaStream_t stream, cudaEvent_t event);
  cudaError_t WaitFor(cudaEvent_t event);
  cudaError_t Query(cudaEvent_t event);  // cudaErrorNotReady

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct Item {
    uint64_t number = 0;  // in the order of all streams
    MarkPtr waits_for;
    MarkPtr reaches;
    Work work;
  };
  struct Stream {
    int device = 0;
    bool destroyed = false;  // what is on it is still done
    bool busy = false;       // a thread does what was its head
    uint64_t put = 0;        // number of the last item
    uint64_t done = 0;       // of the last one that is done
    std::deque<Item> items;
    std::vector<MarkPtr> given_up;  // reached when the thread that is busy has come back
  };
  using StreamPtr = std::shared_ptr<Stream>;

  Streams();
  StreamPtr Find(cudaStream_t stream);
  cudaError_t Put(cudaStream_t stream, Item item);
  // Does a step, without the lock; false: there is none to do now.
  bool Step(Lock* lock);
  Stream* Choose();
  void Stick(const Outcome& outcome);
  void AsSeeded(Lock* lock, bool asks);
  template <typename Done>
  cudaError_t Until(Lock* lock, const Done& done);
  cudaError_t Stuck();

  std::mutex mutex_;  // guards what is below
  std::condition_variable changed_;
  std::vector<StreamPtr> streams_;
  std::vector<StreamPtr> defaults_;  // by device
  uint64_t put_ = 0;
  uint64_t seed_ = 0;
  uint64_t eager_ = 0;  // of 4: how often a call does some steps
  const Stream* favourite_ = nullptr;
  std::mt19937_64 random_;
  cudaError_t sticky_ = cudaSuccess;
  std::string sticky_text_;
};

}  // namespace cuda_sim

struct CudaSimEvent {
  int device = 0;
  cuda_sim::MarkPtr last;  // null: never recorded
};
