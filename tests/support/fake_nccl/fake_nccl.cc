#include "tests/support/fake_nccl/fake_nccl.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace {

// ncclResult_t.
enum Result { kSuccess = 0, kSystemError = 2, kInvalidArgument = 4, kInvalidUsage = 5 };
// ncclDataType_t and ncclRedOp_t, as far as the SDK uses them.
enum Type { kInt8 = 0, kUint8 = 1, kInt32 = 2, kInt64 = 4, kFloat32 = 7, kFloat64 = 8 };
enum Op { kSum = 0, kMax = 2 };

constexpr int kVersion = 22809;
constexpr size_t kRanksMax = 64;

// The ranks of a set, which meet at each collective.
struct Set {
  std::vector<int> gpus;
};
struct Comm {
  std::shared_ptr<Set> set;
  size_t rank = 0;
};
struct Collective {
  const void* send = nullptr;
  void* receive = nullptr;
  size_t elements = 0;  // of a slice
  int dtype = 0;
  int op = 0;
  Comm* comm = nullptr;
};

struct State {
  std::atomic<int64_t> spared{-1};
  std::atomic<int64_t> collectives{0};
  std::atomic<int64_t> communicators{0};
  std::atomic<int (*)(const void*, size_t)> device_of{nullptr};
};
State& All() {
  static State& state = *new State;
  return state;
}

thread_local int group_depth = 0;
thread_local std::vector<Collective> group;

size_t BytesOf(int dtype) {
  if (dtype == kInt8 || dtype == kUint8) return 1;
  return dtype == kInt32 || dtype == kFloat32 ? 4 : 8;
}

template <typename T>
void AddSlice(const std::vector<Collective>& ranks, size_t slice) {
  const Collective& own = ranks[slice];
  const size_t count = ranks.size();
  auto* const to = static_cast<T*>(own.receive);
  for (size_t i = 0; i < own.elements; ++i) {
    T sum = static_cast<const T*>(ranks[(slice + 1) % count].send)[slice * own.elements + i];
    for (size_t step = 2; step <= count; ++step) {
      const T next =
          static_cast<const T*>(ranks[(slice + step) % count].send)[slice * own.elements + i];
      sum = own.op == kMax ? std::max(sum, next) : static_cast<T>(sum + next);
    }
    to[i] = sum;
  }
}

// Ints without a sign: they wrap.
void AddSliceOf(const std::vector<Collective>& ranks, size_t slice) {
  switch (ranks[slice].dtype) {
    case kInt8:
    case kUint8:
      return AddSlice<uint8_t>(ranks, slice);
    case kInt32:
      return AddSlice<uint32_t>(ranks, slice);
    case kInt64:
      return AddSlice<uint64_t>(ranks, slice);
    case kFloat32:
      return AddSlice<float>(ranks, slice);
    default:
      return AddSlice<double>(ranks, slice);
  }
}

bool IsHere(const void* address, size_t bytes, int gpu) {
  int (*const device_of)(const void*, size_t) = All().device_of;
  return device_of == nullptr || device_of(address, bytes) == gpu;
}

int Check(const std::vector<Collective>& ranks) {
  const Collective& first = ranks.front();
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const Collective& each = ranks[rank];
    if (each.comm == nullptr) return kInvalidUsage;
    if (each.elements != first.elements || each.dtype != first.dtype || each.op != first.op) {
      return kInvalidArgument;
    }
    const int gpu = each.comm->set->gpus[rank];
    const size_t bytes = each.elements * BytesOf(each.dtype);
    if (!IsHere(each.send, bytes * ranks.size(), gpu) || !IsHere(each.receive, bytes, gpu)) {
      return kInvalidArgument;
    }
  }
  return kSuccess;
}

// All ranks of one set, each in a thread of its own.
int RunSet(const std::vector<Collective>& ranks) {
  if (const int wrong = Check(ranks); wrong != kSuccess) return wrong;
  const int64_t spared = All().spared;
  if (spared >= 0) --All().spared;
  if (spared == 0) return kSystemError;
  std::mutex mutex;
  std::condition_variable changed;
  size_t here = 0;
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    threads.emplace_back([&, rank] {
      {
        std::unique_lock<std::mutex> lock(mutex);
        ++here;
        changed.notify_all();
        changed.wait(lock, [&] { return here == ranks.size(); });
      }
      AddSliceOf(ranks, rank);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ++All().collectives;
  return kSuccess;
}

int RunGroup() {
  std::vector<Collective> calls;
  calls.swap(group);
  while (!calls.empty()) {
    const std::shared_ptr<Set> set = calls.front().comm->set;
    std::vector<Collective> ranks(set->gpus.size());
    std::vector<Collective> others;
    for (const Collective& call : calls) {
      Collective& place = ranks[call.comm->rank];
      if (call.comm->set == set && place.comm == nullptr) {
        place = call;
      } else {
        others.push_back(call);
      }
    }
    if (const int wrong = RunSet(ranks); wrong != kSuccess) return wrong;
    calls = std::move(others);
  }
  return kSuccess;
}

}  // namespace

// NOLINTBEGIN(readability-identifier-naming): the names are NCCL's
#define FAKE_NCCL_SHOWN extern "C" __attribute__((visibility("default")))

FAKE_NCCL_SHOWN int ncclGetVersion(int* version) {
  *version = kVersion;
  return kSuccess;
}

FAKE_NCCL_SHOWN int ncclCommInitAll(Comm** comms, int gpus, const int* gpu_list) {
  if (gpus < 1 || static_cast<size_t>(gpus) > kRanksMax) return kInvalidArgument;
  const auto set = std::make_shared<Set>();
  set->gpus.assign(gpu_list, gpu_list + gpus);
  std::vector<int> once = set->gpus;
  std::sort(once.begin(), once.end());
  if (std::unique(once.begin(), once.end()) != once.end()) return kInvalidUsage;
  for (int rank = 0; rank < gpus; ++rank) {
    comms[rank] = new Comm{set, static_cast<size_t>(rank)};
    ++All().communicators;
  }
  return kSuccess;
}

FAKE_NCCL_SHOWN int ncclCommDestroy(Comm* comm) {
  delete comm;
  --All().communicators;
  return kSuccess;
}

FAKE_NCCL_SHOWN int ncclCommAbort(Comm* comm) { return ncclCommDestroy(comm); }

FAKE_NCCL_SHOWN int ncclCommGetAsyncError(Comm*, int* error) {
  *error = kSuccess;
  return kSuccess;
}

FAKE_NCCL_SHOWN int ncclGroupStart() {
  ++group_depth;
  return kSuccess;
}

FAKE_NCCL_SHOWN int ncclGroupEnd() {
  if (group_depth == 0) return kInvalidUsage;
  return --group_depth == 0 ? RunGroup() : kSuccess;
}

FAKE_NCCL_SHOWN int ncclReduceScatter(const void* send, void* receive, size_t receive_count,
                                      int dtype, int op, Comm* comm, void* /*stream*/) {
  if (comm == nullptr) return kInvalidArgument;
  group.push_back({send, receive, receive_count, dtype, op, comm});
  return group_depth > 0 ? kSuccess : RunGroup();
}

FAKE_NCCL_SHOWN const char* ncclGetErrorString(int result) {
  switch (result) {
    case kSuccess:
      return "no error";
    case kSystemError:
      return "unhandled system error (a collective that was to fail)";
    case kInvalidArgument:
      return "invalid argument (another size, type or memory of the rank's GPU expected)";
    case kInvalidUsage:
      return "invalid usage (a rank does not come, or a GPU is named twice)";
    default:
      return "unknown result code";
  }
}
// NOLINTEND(readability-identifier-naming)

FAKE_NCCL_SHOWN const fake_nccl::Control* kvstore_fake_nccl_control() {
  static const fake_nccl::Control kControl = {
      [](int64_t spared) { All().spared = spared; },
      [](int (*of)(const void*, size_t)) { All().device_of = of; },
      [] { return All().collectives.load(); },
      [] { return All().communicators.load(); },
  };
  return &kControl;
}
