#include "tests/support/cuda_sim/streams.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace cuda_sim {
namespace {

thread_local cudaError_t last = cudaSuccess;
thread_local std::string last_text;

}  // namespace

cudaError_t Failed(cudaError_t error, const std::string& text) {
  last = error;
  last_text = text;
  return error;
}

cudaError_t TakeLastError() { return std::exchange(last, cudaSuccess); }

const char* LastErrorText() { return last_text.c_str(); }

void ForgetErrors() {
  Streams::All().Forget();
  last = cudaSuccess;
  last_text.clear();
}

void SeedStreams(uint64_t seed) { Streams::All().Seed(seed); }

cudaError_t Sticky() { return Streams::All().sticky(); }

Streams& Streams::All() {
  static Streams& streams = *new Streams;
  return streams;
}

Streams::Streams() {
  const char* const seed = std::getenv("KVS_TEST_CUDA_SEED");
  if (seed != nullptr) Seed(std::strtoull(seed, nullptr, 10));
}

void Streams::Seed(uint64_t seed) {
  const Lock lock(mutex_);
  seed_ = seed;
  random_.seed(seed);
  eager_ = seed == 0 ? 0 : random_() % 5;
  favourite_ = nullptr;
}

cudaError_t Streams::Stuck() {
  return sticky_ == cudaSuccess ? cudaSuccess : Failed(sticky_, sticky_text_);
}

cudaError_t Streams::sticky() {
  const Lock lock(mutex_);
  return Stuck();
}

void Streams::Stick(const Outcome& outcome) {
  if (outcome.error != cudaSuccess && sticky_ == cudaSuccess) {
    sticky_ = outcome.error;
    sticky_text_ = outcome.text;
  }
  for (const StreamPtr& stream : streams_) {
    for (const Item& item : stream->items) {
      if (item.reaches == nullptr) continue;
      if (stream->busy) {
        stream->given_up.push_back(item.reaches);
      } else {
        item.reaches->reached = true;
      }
    }
    stream->items.clear();
    if (!stream->busy) stream->done = stream->put;
  }
}

void Streams::Forget() {
  Lock lock(mutex_);
  Stick({});
  // What a thread is at belongs to the old process.
  changed_.wait(lock, [&] {
    return std::none_of(streams_.begin(), streams_.end(),
                        [](const StreamPtr& stream) { return stream->busy; });
  });
  sticky_ = cudaSuccess;
  sticky_text_.clear();
}

Streams::StreamPtr Streams::Find(cudaStream_t stream) {
  // CUDA's handles of its default streams; all are one here.
  const auto handle = reinterpret_cast<uintptr_t>(stream);
  if (handle <= 2) {
    int device = 0;
    cudaGetDevice(&device);
    const auto number = static_cast<size_t>(device);
    if (defaults_.size() <= number) defaults_.resize(number + 1);
    if (defaults_[number] == nullptr) {
      defaults_[number] = std::make_shared<Stream>();
      defaults_[number]->device = device;
      streams_.push_back(defaults_[number]);
    }
    return defaults_[number];
  }
  for (const StreamPtr& each : streams_) {
    if (static_cast<void*>(each.get()) == static_cast<void*>(stream) && !each->destroyed) {
      return each;
    }
  }
  return nullptr;
}

cudaError_t Streams::Create(int device, cudaStream_t* stream) {
  const Lock lock(mutex_);
  if (sticky_ != cudaSuccess) return Stuck();
  auto made = std::make_shared<Stream>();
  made->device = device;
  *stream = static_cast<cudaStream_t>(static_cast<void*>(made.get()));
  streams_.push_back(std::move(made));
  return cudaSuccess;
}

cudaError_t Streams::Destroy(cudaStream_t stream) {
  Lock lock(mutex_);
  const StreamPtr found = stream == nullptr ? nullptr : Find(stream);
  if (found == nullptr) return Failed(cudaErrorInvalidResourceHandle, "no such stream");
  found->destroyed = true;
  if (found->items.empty() && !found->busy) {
    streams_.erase(std::find(streams_.begin(), streams_.end(), found));
  }
  AsSeeded(&lock, false);
  return Stuck();
}

cudaError_t Streams::Put(cudaStream_t stream, Work work) {
  Item item;
  item.work = std::move(work);
  return Put(stream, std::move(item));
}

cudaError_t Streams::Put(cudaStream_t stream, Item item) {
  Lock lock(mutex_);
  if (sticky_ != cudaSuccess) return Stuck();
  const StreamPtr found = Find(stream);
  if (found == nullptr) return Failed(cudaErrorInvalidResourceHandle, "no such stream");
  item.number = ++put_;
  found->put = item.number;
  found->items.push_back(std::move(item));
  changed_.notify_all();
  AsSeeded(&lock, false);
  return Stuck();
}

void Streams::AtCall() {
  Lock lock(mutex_);
  AsSeeded(&lock, false);
}

// Who asks again and again gets an answer: with seed 0 each time does a step.
void Streams::AsSeeded(Lock* lock, bool asks) {
  uint64_t steps = seed_ == 0 && asks ? 1 : 0;
  if (seed_ != 0 && (asks || random_() % 4 < eager_)) steps = random_() % 4;
  while (steps-- > 0 && Step(lock)) {
  }
}

Streams::Stream* Streams::Choose() {
  std::vector<Stream*> legal;
  for (const StreamPtr& stream : streams_) {
    if (stream->busy || stream->items.empty()) continue;
    const MarkPtr& awaited = stream->items.front().waits_for;
    if (awaited == nullptr || awaited->reached) legal.push_back(stream.get());
  }
  if (legal.empty()) return nullptr;
  if (seed_ == 0) {
    return *std::min_element(legal.begin(), legal.end(), [](Stream* a, Stream* b) {
      return a->items.front().number < b->items.front().number;
    });
  }
  // One stream far ahead of the others is what a mere die seldom gives.
  const auto favourite = std::find(legal.begin(), legal.end(), favourite_);
  if (favourite != legal.end() && random_() % 8 != 0) return *favourite;
  Stream* const chosen = legal[random_() % legal.size()];
  favourite_ = chosen;
  return chosen;
}

bool Streams::Step(Lock* lock) {
  Stream* const chosen = Choose();
  if (chosen == nullptr) return false;
  const Item item = std::move(chosen->items.front());
  chosen->items.pop_front();
  chosen->busy = true;
  Outcome outcome;
  if (item.work != nullptr) {
    lock->unlock();
    outcome = item.work();
    lock->lock();
  }
  chosen->busy = false;
  chosen->done = chosen->items.empty() ? chosen->put : item.number;
  if (item.reaches != nullptr) item.reaches->reached = true;
  for (const MarkPtr& mark : std::exchange(chosen->given_up, {})) mark->reached = true;
  if (outcome.error != cudaSuccess) Stick(outcome);
  streams_.erase(std::remove_if(streams_.begin(), streams_.end(),
                                [](const StreamPtr& stream) {
                                  return stream->destroyed && stream->items.empty() &&
                                         !stream->busy;
                                }),
                 streams_.end());
  changed_.notify_all();
  return true;
}

template <typename Done>
cudaError_t Streams::Until(Lock* lock, const Done& done) {
  while (!done()) {
    if (Step(lock)) continue;
    const bool busy = std::any_of(streams_.begin(), streams_.end(),
                                  [](const StreamPtr& stream) { return stream->busy; });
    if (!busy && sticky_ == cudaSuccess) {
      std::fprintf(stderr, "cuda_sim: who waits here waits for ever\n");
      std::abort();
    }
    changed_.wait(*lock);
  }
  return Stuck();
}

cudaError_t Streams::WaitFor(cudaStream_t stream) {
  Lock lock(mutex_);
  const StreamPtr found = Find(stream);
  if (found == nullptr) return Failed(cudaErrorInvalidResourceHandle, "no such stream");
  return Until(&lock, [&found, until = found->put] { return found->done >= until; });
}

cudaError_t Streams::WaitForDevice(int device) {
  Lock lock(mutex_);
  std::vector<std::pair<StreamPtr, uint64_t>> all;
  for (const StreamPtr& stream : streams_) {
    if (stream->device == device) all.emplace_back(stream, stream->put);
  }
  return Until(&lock, [&all] {
    return std::all_of(all.begin(), all.end(),
                       [](const auto& each) { return each.first->done >= each.second; });
  });
}

cudaError_t Streams::Record(cudaEvent_t event, cudaStream_t stream) {
  Item item;
  item.reaches = std::make_shared<Mark>();
  {
    const Lock lock(mutex_);
    if (sticky_ != cudaSuccess) return Stuck();
    const StreamPtr found = Find(stream);
    if (found == nullptr || found->device != event->device) {
      return Failed(cudaErrorInvalidResourceHandle, "an event and a stream of two devices");
    }
    event->last = item.reaches;
  }
  return Put(stream, std::move(item));
}

cudaError_t Streams::PutWait(cudaStream_t stream, cudaEvent_t event) {
  Item item;
  {
    const Lock lock(mutex_);
    item.waits_for = event->last;
  }
  return Put(stream, std::move(item));
}

cudaError_t Streams::WaitFor(cudaEvent_t event) {
  Lock lock(mutex_);
  const MarkPtr mark = event->last;
  if (mark == nullptr) return Stuck();
  return Until(&lock, [&mark] { return mark->reached; });
}

cudaError_t Streams::Query(cudaEvent_t event) {
  Lock lock(mutex_);
  const MarkPtr mark = event->last;
  if (mark != nullptr && !mark->reached) AsSeeded(&lock, true);
  if (sticky_ != cudaSuccess) return Stuck();
  return mark == nullptr || mark->reached ? cudaSuccess : cudaErrorNotReady;
}

}  // namespace cuda_sim
