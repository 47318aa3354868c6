// How fast the sums of common/kernels/cuda are on a GPU, beside what its memory and its link to the
// host can do; as JSON. For nvcc; the tests compile it for the simulated GPU, to see that it works.
//
//   gpu_bench [KIB [RUNS]]    the size of each of 9 arrays, 262144 if it is not given; 7 runs
//
// Bytes are those that a sum must move: of its sources and of its result. Times are the median of
// several runs, each of which waits for the stream once. Exit code 77: there is no GPU, and the
// JSON says so.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <vector>

#include "common/kernels/cpu/scalar.h"
#include "common/kernels/cuda/sums.cuh"

namespace kvstore::cuda {
namespace {

constexpr int kLaunches = 5;       // of a run
constexpr size_t kChecked = 4096;  // elements at each end of a sum
constexpr int kSkipped = 77;

void MustBe(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "gpu_bench: %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

template <typename Work>
double SecondsOf(const Place& place, size_t runs, const Work& work) {
  std::vector<double> seconds;
  MustBe(work(), "the first run");
  MustBe(cudaStreamSynchronize(place.stream), "the first run");
  for (size_t run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kLaunches; ++i) MustBe(work(), "a run");
    MustBe(cudaStreamSynchronize(place.stream), "a run");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    seconds.push_back(took.count() / kLaunches);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[runs / 2];
}

double GigabytesPerSecond(double bytes, double seconds) { return bytes / seconds / 1e9; }

struct OfType {
  const char* name;
  DType dtype;
  size_t width;
};
constexpr OfType kTypes[] = {
    {"f32", DType::kFloat32, 4}, {"f16", DType::kFloat16, 2}, {"bf16", DType::kBFloat16, 2}};

// Bytes whose patterns are ordinary numbers in all three types.
std::vector<uint16_t> Numbers(size_t count, unsigned seed) {
  std::vector<uint16_t> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    numbers[i] = static_cast<uint16_t>(0x3c00u + (seed >> 20 & 0x3ffu));
  }
  return numbers;
}

template <typename T>
T Rounded(float sum) {
  if constexpr (std::is_same_v<T, F16>) {
    return ToF16(sum);
  } else if constexpr (std::is_same_v<T, BF16>) {
    return ToBF16(sum);
  } else {
    return sum;
  }
}

template <typename T>
bool IsSum(const std::vector<const void*>& sources, const void* to, size_t first, size_t count) {
  std::vector<std::vector<T>> values;
  std::vector<const void*> host;
  for (const void* source : sources) {
    values.emplace_back(count);
    MustBe(cudaMemcpyAsync(values.back().data(), static_cast<const T*>(source) + first,
                           count * sizeof(T), cudaMemcpyDeviceToHost, nullptr),
           "a copy");
  }
  std::vector<T> got(count);
  MustBe(cudaMemcpyAsync(got.data(), static_cast<const T*>(to) + first, count * sizeof(T),
                         cudaMemcpyDeviceToHost, nullptr),
         "a copy");
  MustBe(cudaStreamSynchronize(nullptr), "a copy");
  for (const std::vector<T>& each : values) host.push_back(each.data());
  std::vector<decltype(scalar::Widened(T()))> sum(count);
  scalar::LeftFold<T>(sum.data(), host.data(), host.size(), 0, count);
  for (size_t i = 0; i < count; ++i) {
    const T expected = Rounded<T>(sum[i]);
    const auto* const bytes =
        reinterpret_cast<const unsigned char*>(&expected);  // the sign of 0, too
    if (!std::equal(bytes, bytes + sizeof expected,
                    reinterpret_cast<const unsigned char*>(&got[i]))) {
      return false;
    }
  }
  return true;
}

bool IsSum(DType dtype, const std::vector<const void*>& sources, const void* to, size_t elements) {
  const size_t count = std::min(elements, kChecked);
  for (const size_t first : {size_t{0}, elements - count}) {
    const bool right = dtype == DType::kFloat32   ? IsSum<float>(sources, to, first, count)
                       : dtype == DType::kFloat16 ? IsSum<F16>(sources, to, first, count)
                                                  : IsSum<BF16>(sources, to, first, count);
    if (!right) return false;
  }
  return true;
}

int Skipped(const char* why) {
  std::printf("{\"skipped\":\"%s\"}\n", why);
  return kSkipped;
}

int Main(size_t bytes, size_t runs) {
  int gpus = 0, driver = 0;
  MustBe(cudaDriverGetVersion(&driver), "the driver's version");
  if (driver == 0) return Skipped("no NVIDIA driver on this host");
  if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus == 0) return Skipped("no GPU");
  MustBe(cudaSetDevice(0), "gpu(0)");
  cudaDeviceProp properties;
  MustBe(cudaGetDeviceProperties(&properties, 0), "gpu(0)");
  Place place;
  MustBe(cudaDeviceGetAttribute(&place.multiprocessors, cudaDevAttrMultiProcessorCount, 0),
         "gpu(0)");
  MustBe(cudaStreamCreateWithFlags(&place.stream, cudaStreamNonBlocking), "a stream");

  const std::vector<uint16_t> numbers = Numbers(bytes / 2, 1);
  std::vector<void*> arrays(kSourcesMax + 1);  // the last one is what is written
  for (void*& array : arrays) {
    MustBe(cudaMalloc(&array, bytes), "an array");
    MustBe(cudaMemcpyAsync(array, numbers.data(), bytes, cudaMemcpyHostToDevice, place.stream),
           "an array");
  }
  MustBe(cudaStreamSynchronize(place.stream), "arrays");
  void* const to = arrays.back();
  const auto size = static_cast<double>(bytes);
  const double copy = GigabytesPerSecond(
      2 * size, SecondsOf(place, runs, [&] {
        return cudaMemcpyAsync(to, arrays[0], bytes, cudaMemcpyDeviceToDevice, place.stream);
      }));
  std::printf(
      "{\"gpu\":\"%s\",\"compute\":\"%d.%d\",\"driver\":%d,\"runtime\":%d,\"gpus\":%d,"
      "\"array_bytes\":%zu,\"copy_gb_s\":%.1f,\n \"sums\":[",
      properties.name, properties.major, properties.minor, driver, CUDART_VERSION, gpus, bytes,
      copy);
  bool all_right = true;
  const char* comma = "\n";
  for (const OfType& type : kTypes) {
    for (size_t k = 2; k <= static_cast<size_t>(kSourcesMax); ++k) {
      const std::vector<const void*> sources(arrays.begin(),
                                             arrays.begin() + static_cast<std::ptrdiff_t>(k));
      const size_t elements = bytes / type.width;
      const double seconds = SecondsOf(place, runs, [&] {
        return LeftFold(type.dtype, sources.data(), k, elements, /*rounded=*/true, to, place);
      });
      const double rate = GigabytesPerSecond(static_cast<double>(k + 1) * size, seconds);
      const bool right = IsSum(type.dtype, sources, to, elements);
      all_right = all_right && right;
      std::printf(R"(%s  {"dtype":"%s","k":%zu,"gb_s":%.1f,"of_copy":%.3f,"right":%s})", comma,
                  type.name, k, rate, rate / copy, right ? "true" : "false");
      comma = ",\n";
    }
  }
  std::printf("],\n \"host\":[");
  void* pinned = nullptr;
  MustBe(cudaHostAlloc(&pinned, bytes, cudaHostAllocPortable), "pinned memory");
  std::vector<uint16_t> pageable(bytes / 2, 1);
  comma = "\n";
  for (const bool to_host : {true, false}) {
    double of_pinned = 0;
    for (const bool is_pinned : {true, false}) {
      void* const host = is_pinned ? pinned : pageable.data();
      const double rate = GigabytesPerSecond(
          size, SecondsOf(place, runs, [&] {
            return cudaMemcpyAsync(to_host ? host : to, to_host ? to : host, bytes,
                                   to_host ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice,
                                   place.stream);
          }));
      if (is_pinned) of_pinned = rate;
      std::printf(R"(%s  {"way":"%s","memory":"%s","gb_s":%.2f,"of_pinned":%.3f})", comma,
                  to_host ? "D2H" : "H2D", is_pinned ? "pinned" : "pageable", rate,
                  rate / of_pinned);
      comma = ",\n";
    }
  }
  std::printf("],\n \"right\":%s}\n", all_right ? "true" : "false");
  MustBe(cudaFreeHost(pinned), "pinned memory");
  for (void* array : arrays) MustBe(cudaFree(array), "an array");
  return all_right ? 0 : 1;
}

}  // namespace
}  // namespace kvstore::cuda

int main(int argc, char** argv) {
  const unsigned long kib = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 256u << 10;
  const unsigned long runs = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 7;
  if (argc > 3 || kib == 0 || kib > 8u << 20 || runs == 0 || runs > 1000) {
    std::fprintf(stderr, "gpu_bench: KIB from 1 to 8388608 and RUNS from 1 to 1000 expected\n");
    return 2;
  }
  return kvstore::cuda::Main(size_t{kib} << 10, runs);
}
