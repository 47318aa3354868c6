// The simulated GPU runs what is right, and names what is not: barriers, warps, memory.
#include <cuda_runtime.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace {

// Forgets what an earlier case left, and looks that this one leaves nothing.
class Clean {
 public:
  Clean() : before_(cuda_sim::LiveAllocations()) { cuda_sim::ForgetErrors(); }
  ~Clean() {
    cuda_sim::ForgetErrors();
    CHECK(cuda_sim::LiveAllocations() == before_);
  }

 private:
  const size_t before_;
};

template <typename T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& values) : size_(values.size()) {
    void* memory = nullptr;
    REQUIRE(cudaMalloc(&memory, size_ * sizeof(T)) == cudaSuccess);
    data_ = static_cast<T*>(memory);
    REQUIRE(cudaMemcpyAsync(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice,
                            nullptr) == cudaSuccess);
  }
  ~OnDevice() { cudaFree(data_); }
  T* data() { return data_; }
  std::vector<T> Read() {
    std::vector<T> values(size_);
    REQUIRE(cudaMemcpyAsync(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost,
                            nullptr) == cudaSuccess);
    return values;
  }

 private:
  const size_t size_;
  T* data_ = nullptr;
};

// How the kernels that were launched have ended.
cudaError_t Ended(cudaError_t launched) {
  return launched == cudaSuccess ? cudaStreamSynchronize(nullptr) : launched;
}

// Each block adds its 128 numbers: a tree in shared memory down to a warp, then by shuffles.
template <bool kWithBarriers>
__global__ void BlockSum(const unsigned* x, unsigned* sums) {
  __shared__ unsigned part[128];
  const unsigned i = threadIdx.x;
  part[i] = __ldcs(x + size_t{128} * blockIdx.x + i);
  if (kWithBarriers) __syncthreads();
  if (i < 64) part[i] += part[i + 64];
  if (kWithBarriers) __syncthreads();
  if (i < 32) {
    unsigned sum = part[i] + part[i + 32];
    for (unsigned by = 16; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffffu, sum, by);
    if (i == 0) __stcs(sums + blockIdx.x, sum);
  }
}

__global__ void Votes(const unsigned* x, unsigned* votes) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned vote = __ballot_sync(0xffffffffu, __ldcs(x + i) % 3 == 0);
  if (threadIdx.x % 32 == 0) __stcs(votes + i / 32, vote);
}

__global__ void OneVotesForAll(unsigned* votes) {
  if (threadIdx.x == 0) __stcs(votes, __ballot_sync(0xffffffffu, true));
}

__global__ void MaskWithoutItself(unsigned* votes) {
  if (threadIdx.x == 1) __stcs(votes, __ballot_sync(1u, true));
}

__global__ void LoadsAt(const unsigned* x, size_t i, unsigned* y) { __stcs(y, __ldcs(x + i)); }

std::vector<unsigned> Numbers(size_t count) {
  std::vector<unsigned> numbers(count);
  for (size_t i = 0; i < count; ++i) numbers[i] = static_cast<unsigned>(i * 2654435761u >> 7);
  return numbers;
}

}  // namespace

TEST_CASE("barriers and shuffles let a block sum", "[cuda_sim]") {
  const Clean clean;
  constexpr unsigned kBlocks = 5;
  const std::vector<unsigned> numbers = Numbers(128 * kBlocks);
  OnDevice<unsigned> x(numbers), sums(std::vector<unsigned>(kBlocks, 0));
  REQUIRE(cuda_sim::Launch(&BlockSum<true>, kBlocks, 128, nullptr,
                           static_cast<const unsigned*>(x.data()), sums.data()) == cudaSuccess);
  for (unsigned block = 0; block < kBlocks; ++block) {
    unsigned expected = 0;
    for (unsigned i = 0; i < 128; ++i) expected += numbers[size_t{128} * block + i];
    CHECK(sums.Read()[block] == expected);
  }
}

TEST_CASE("a kernel without the barriers that it needs gives wrong sums", "[cuda_sim]") {
  const Clean clean;
  const std::vector<unsigned> numbers = Numbers(128);
  OnDevice<unsigned> x(numbers), sums({0});
  REQUIRE(cuda_sim::Launch(&BlockSum<false>, 1, 128, nullptr,
                           static_cast<const unsigned*>(x.data()), sums.data()) == cudaSuccess);
  unsigned expected = 0;
  for (const unsigned number : numbers) expected += number;
  CHECK(sums.Read()[0] != expected);
}

TEST_CASE("a warp votes", "[cuda_sim]") {
  const Clean clean;
  const std::vector<unsigned> numbers = Numbers(192);
  OnDevice<unsigned> x(numbers), votes(std::vector<unsigned>(6, 0));
  REQUIRE(cuda_sim::Launch(&Votes, 2, 96, nullptr, static_cast<const unsigned*>(x.data()),
                           votes.data()) == cudaSuccess);
  const std::vector<unsigned> got = votes.Read();
  for (size_t i = 0; i < numbers.size(); ++i) {
    CAPTURE(i);
    CHECK((got[i / 32] >> i % 32 & 1) == (numbers[i] % 3 == 0 ? 1 : 0));
  }
}

TEST_CASE("a vote that some lanes do not come to is an error with a name", "[cuda_sim]") {
  const Clean clean;
  OnDevice<unsigned> votes({0});
  CHECK(Ended(cuda_sim::Launch(&OneVotesForAll, 1, 64, nullptr, votes.data())) ==
        cudaErrorLaunchFailure);
  CHECK(std::string(cuda_sim::LastErrorText()) ==
        "the block does not get on: a barrier that not all threads reach");
  // It sticks: nothing runs after it.
  CHECK(cuda_sim::Launch(&OneVotesForAll, 1, 1, nullptr, votes.data()) == cudaErrorLaunchFailure);
  cuda_sim::ForgetErrors();
  CHECK(Ended(cuda_sim::Launch(&MaskWithoutItself, 1, 2, nullptr, votes.data())) ==
        cudaErrorLaunchFailure);
  CHECK(std::string(cuda_sim::LastErrorText()) ==
        "a lane calls a warp's function with a mask that leaves it out");
}

TEST_CASE("what is not in a live array of a device is not read", "[cuda_sim]") {
  const Clean clean;
  const std::vector<unsigned> host = {1, 2, 3};
  OnDevice<unsigned> x(host), y({0});
  const unsigned* const device = x.data();
  REQUIRE(cudaStreamSynchronize(nullptr) == cudaSuccess);
  const auto load = [&](const unsigned* from, size_t i) {
    cuda_sim::ForgetErrors();
    return Ended(cuda_sim::Launch(&LoadsAt, 1, 1, nullptr, from, i, y.data()));
  };
  CHECK(load(device, 2) == cudaSuccess);
  CHECK(y.Read()[0] == 3);
  CHECK(load(device, 3) == cudaErrorIllegalAddress);
  CHECK(std::string(cuda_sim::LastErrorText()) ==
        "a load of 4 bytes that are not in an array of a device");
  CHECK(load(host.data(), 0) == cudaErrorIllegalAddress);
  cuda_sim::ForgetErrors();
  unsigned* freed = nullptr;
  {
    OnDevice<unsigned> gone(host);
    freed = gone.data();
  }
  CHECK(load(freed, 0) == cudaErrorIllegalAddress);
}

TEST_CASE("a copy from or to the wrong side is an error with a name", "[cuda_sim]") {
  const Clean clean;
  std::vector<unsigned> host = {1, 2};
  OnDevice<unsigned> x(host);
  CHECK(cudaMemcpyAsync(host.data(), host.data() + 1, 4, cudaMemcpyHostToDevice, nullptr) ==
        cudaErrorInvalidValue);
  CHECK(std::string(cuda_sim::LastErrorText()) ==
        "a copy: its target is host memory, a device's expected");
  CHECK(cudaMemcpyAsync(x.data(), x.data() + 1, 4, cudaMemcpyHostToDevice, nullptr) ==
        cudaErrorInvalidValue);
  CHECK(std::string(cuda_sim::LastErrorText()) ==
        "a copy: its source is a device's memory, the host's expected");
  CHECK(cudaMemcpyAsync(x.data() + 1, host.data(), 8, cudaMemcpyHostToDevice, nullptr) ==
        cudaErrorInvalidValue);
  CHECK(std::string(cuda_sim::LastErrorText()) ==
        "a copy: its target goes beyond the end of an array");
}
