// The sums and the codes of a plugin for GPUs over its C interface, to the bit: what
// `KVS_TEST_CUDA_PLUGIN` names, else the simulated one. Of the tree it links nothing, so that it
// runs where the rest is not built: tools/gpu_check.sh runs it on a real GPU. The kernels by
// themselves: tests/common/kernels/cuda.
#include <dlfcn.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "client/device/plugin_abi.h"
#include "common/kernels/cpu/code_steps.h"
#include "common/kernels/cpu/scalar.h"
#include "tests/common/kernels/numbers.h"

#define EVERY_DTYPE float, double, F16, BF16, uint8_t, int8_t, uint32_t, uint64_t, scalar::Bool

namespace kvstore {
namespace {

using testing::DTypeOf;
using testing::FirstDifference;
using testing::RandomNumbers;

constexpr size_t kTextBytes = 256;
constexpr size_t kGuardBytes = 64;
constexpr uint8_t kGuard = 0x5a;

const kvstore_device_plugin& Plugin() {
  static const kvstore_device_plugin& plugin = []() -> const kvstore_device_plugin& {
    const char* const named = std::getenv("KVS_TEST_CUDA_PLUGIN");
    const std::string file = named != nullptr ? named : KVS_CUDA_SIM;
    CAPTURE(file);
    void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    REQUIRE(handle != nullptr);
    const auto function = reinterpret_cast<kvstore_device_plugin_function>(
        ::dlsym(handle, KVSTORE_DEVICE_PLUGIN_SYMBOL));
    REQUIRE(function != nullptr);
    int devices = 0;
    char text[kTextBytes] = {};
    const int counted = function()->count(&devices, text, sizeof text);
    INFO(text);
    REQUIRE(counted == KVSTORE_DEVICE_OK);
    return *function();
  }();
  return plugin;
}

// Calls a function of the plugin, which must be able to.
template <typename Function, typename... Arguments>
void Ask(const Function& function, Arguments... arguments) {
  char text[kTextBytes] = {};
  const int code = function(arguments..., text, sizeof text);
  INFO(text);
  REQUIRE(code == KVSTORE_DEVICE_OK);
}

// Elements in gpu(0)'s memory, `offset` of them behind a boundary of 256 bytes, between guards.
template <typename T>
class OnGpu {
 public:
  OnGpu(const std::vector<T>& values, size_t offset)
      : size_(values.size()),
        before_(256 + offset * sizeof(T)),
        all_(before_ + size_ * sizeof(T) + kGuardBytes) {
    void* memory = nullptr;
    Ask(Plugin().allocate, 0, all_, &memory);
    memory_ = static_cast<uint8_t*>(memory);
    Ask(Plugin().fill, 0, memory, int{kGuard}, all_);
    Ask(Plugin().copy, 0, static_cast<void*>(data()), int{KVSTORE_DEVICE_HOST},
        static_cast<const void*>(values.data()), size_ * sizeof(T));
  }
  ~OnGpu() {
    if (memory_ != nullptr) Plugin().release(0, memory_);
  }
  OnGpu(OnGpu&& other) noexcept
      : size_(other.size_),
        before_(other.before_),
        all_(other.all_),
        memory_(std::exchange(other.memory_, nullptr)) {}

  T* data() const { return reinterpret_cast<T*>(memory_ + before_); }
  // The elements, if the guards are what they were.
  std::vector<T> Read() const {
    std::vector<uint8_t> all(all_);
    Ask(Plugin().copy, int{KVSTORE_DEVICE_HOST}, static_cast<void*>(all.data()), 0,
        static_cast<const void*>(memory_), all_);
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(before_);
    const auto end = begin + static_cast<std::ptrdiff_t>(size_ * sizeof(T));
    const auto intact = [](uint8_t byte) { return byte == kGuard; };
    REQUIRE((std::all_of(all.begin(), begin, intact) && std::all_of(end, all.end(), intact)));
    std::vector<T> values(size_);
    if (size_ > 0) std::memcpy(values.data(), &*begin, size_ * sizeof(T));
    return values;
  }

 private:
  const size_t size_, before_, all_;
  uint8_t* memory_ = nullptr;
};

// Also more than RandomNumbers has in store.
template <typename T>
std::vector<T> ManyNumbers(std::mt19937_64& random, size_t count) {
  std::vector<T> numbers;
  numbers.reserve(count);
  while (numbers.size() < count) {
    const std::vector<T> some =
        RandomNumbers<T>(random, std::min<size_t>(count - numbers.size(), 4096));
    numbers.insert(numbers.end(), some.begin(), some.end());
  }
  return numbers;
}

template <typename T>
using Acc = decltype(scalar::Widened(T()));

template <typename T>
T Rounded(Acc<T> sum) {
  if constexpr (std::is_same_v<T, F16>) {
    return ToF16(sum);
  } else if constexpr (std::is_same_v<T, BF16>) {
    return ToBF16(sum);
  } else {
    return sum;
  }
}

template <typename T>
void CheckSum(std::mt19937_64& random, size_t count, size_t elements, size_t offset, bool alike) {
  CAPTURE(count, elements, offset, alike);
  const auto dtype = static_cast<uint32_t>(DTypeOf<T>());
  std::vector<std::vector<T>> values;
  std::vector<OnGpu<T>> arrays;
  std::vector<const void*> host, sources;
  for (size_t k = 0; k < count; ++k) {
    values.push_back(ManyNumbers<T>(random, elements));
    arrays.emplace_back(values.back(), alike ? offset : offset + k);
    sources.push_back(arrays.back().data());
  }
  for (const auto& each : values) host.push_back(each.data());
  std::vector<Acc<T>> expected(elements);
  scalar::LeftFold<T>(expected.data(), host.data(), count, 0, elements);
  const OnGpu<Acc<T>> sum(std::vector<Acc<T>>(elements), offset);
  Ask(Plugin().fold, 0, dtype, static_cast<const void* const*>(sources.data()), count, elements, 0,
      static_cast<void*>(sum.data()));
  REQUIRE(FirstDifference(sum.Read(), expected) == -1);

  std::vector<T> rounded_expected(elements);
  for (size_t i = 0; i < elements; ++i) rounded_expected[i] = Rounded<T>(expected[i]);
  const OnGpu<T> rounded(std::vector<T>(elements), offset);
  if (sizeof(T) == 2 && count > Plugin().rounded_max) {
    Ask(Plugin().narrow, 0, dtype, static_cast<const void*>(sum.data()), elements,
        static_cast<void*>(rounded.data()));
  } else {
    Ask(Plugin().fold, 0, dtype, static_cast<const void* const*>(sources.data()), count, elements,
        1, static_cast<void*>(rounded.data()));
  }
  REQUIRE(FirstDifference(rounded.Read(), rounded_expected) == -1);
}

// One step of the scalar codec: the element becomes what is left over of it.
template <typename T>
unsigned CodeOf(const BitCode& code, T* x) {
  const auto threshold = static_cast<T>(code.threshold);
  const scalar::Coded<T> coded = code.bits == 2 ? scalar::TwoBitCodeOf(threshold, *x)
                                                : scalar::OneBitCodeOf(threshold, T{1}, *x);
  *x = coded.left;
  return coded.code;
}

template <typename T>
void CheckCodes(std::mt19937_64& random, const BitCode& code, size_t count, size_t elements,
                size_t offset) {
  CAPTURE(code.bits, count, elements, offset);
  std::vector<Acc<T>> expected_left(elements);
  // Where what was left over is, and where what is then left over goes: elsewhere, then the same.
  const OnGpu<Acc<T>> left_over[2] = {{expected_left, offset}, {expected_left, offset}};
  for (size_t push = 0; push < 3; ++push) {
    CAPTURE(push);
    std::vector<std::vector<T>> values;
    std::vector<OnGpu<T>> arrays;
    std::vector<const void*> host, sources;
    for (size_t k = 0; k < count; ++k) {
      values.push_back(ManyNumbers<T>(random, elements));
      arrays.emplace_back(values.back(), offset);
      sources.push_back(arrays.back().data());
    }
    for (const auto& each : values) host.push_back(each.data());
    std::vector<Acc<T>> sum(elements);
    scalar::LeftFold<T>(sum.data(), host.data(), count, 0, elements);
    std::vector<uint8_t> expected(code.EncodedBytes(elements));
    for (size_t i = 0; i < elements; ++i) {
      expected_left[i] = scalar::Sum(expected_left[i], scalar::Widened(Rounded<T>(sum[i])));
      const size_t bit = i * code.bits;
      expected[bit / 8] = static_cast<uint8_t>(
          expected[bit / 8] | CodeOf(code, &expected_left[i]) << (8 - code.bits - bit % 8));
    }
    const OnGpu<uint8_t> encoded(std::vector<uint8_t>(expected.size(), 0xff), 0);
    const OnGpu<Acc<T>>& after = left_over[push == 0 ? 0 : 1];
    kvstore_device_encoding as{};
    as.bits = code.bits;
    as.threshold = code.threshold;
    as.before = push == 0 ? nullptr : left_over[push - 1].data();
    as.left_over = after.data();
    as.encoded = encoded.data();
    Ask(Plugin().encode, 0, static_cast<uint32_t>(DTypeOf<T>()),
        static_cast<const void* const*>(sources.data()), count, elements,
        static_cast<const kvstore_device_encoding*>(&as));
    REQUIRE(FirstDifference(encoded.Read(), expected) == -1);
    REQUIRE(FirstDifference(after.Read(), expected_left) == -1);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a plugin's codes have the scalar's bits", "[cuda][codec]", float, double, F16,
                   BF16) {
  std::mt19937_64 random(5);
  const size_t many = (Plugin().simulated != 0 ? size_t{1} << 12 : size_t{9} << 20) + 5;
  for (const BitCode& code : {BitCode{2, 0.5}, BitCode{1, 0.1}}) {
    for (const size_t count : {1, 2, 3, 4, 5, 6, 7, 8}) {
      for (const size_t elements : {1, 7, 17, 33, 127}) {
        for (const size_t offset : {0, 1}) {
          CheckCodes<TestType>(random, code, count, elements, offset);
        }
      }
    }
    CheckCodes<TestType>(random, code, 3, many, 0);
  }
}

TEMPLATE_TEST_CASE("a plugin's sum has the scalar's bits", "[cuda]", EVERY_DTYPE) {
  std::mt19937_64 random(3);
  for (const size_t count : {1, 2, 3, 4, 5, 6, 7, 8, 9, 19}) {
    for (const size_t elements : {1, 7, 17, 33, 127}) {
      for (const size_t offset : {0, 1, 3}) {
        for (const bool alike : {true, false}) {
          CheckSum<TestType>(random, count, elements, offset, alike);
        }
      }
    }
  }
}

// On a real GPU more blocks than it runs at a time.
TEMPLATE_TEST_CASE("a plugin's sum of many blocks has the scalar's bits", "[cuda]", EVERY_DTYPE) {
  std::mt19937_64 random(4);
  const size_t elements = (Plugin().simulated != 0 ? size_t{1} << 12 : size_t{9} << 20) + 5;
  for (const size_t count : {2, 3, 8}) CheckSum<TestType>(random, count, elements, 1, true);
  CheckSum<TestType>(random, 3, elements, 1, false);
}

}  // namespace kvstore
