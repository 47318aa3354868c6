// Bytes per second of the kernels on one thread, beside the machine's own limits on the same
// arrays in the same run.
//
//   kernels_bench [total MiB] [passes]        default 2048 9
//
// `total` is the working set of every line, shared by its arrays; 2 GiB so that it exceeds any
// cache. Bytes count each array once per read and once per write, as STREAM does (so memcpy is 8
// per element). The plain loops are STREAM's Scale, Add and Triad as the compiler makes them.
// Passes of all lines are interleaved; median and spread (least, most) are printed. Before them
// each kernel is run once on a million elements and checked against plain arithmetic.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "common/kernels/kernels.h"
#include "common/kernels/noise.h"
#include "common/kernels/updates.h"
#include "common/tensor/buffer.h"

namespace kvstore {
namespace {

struct Line {
  std::string name;
  size_t bytes_per_element;           // moved
  size_t arrays;                      // in the working set
  std::function<void(size_t)> run;    // elements
  std::vector<double> gb_per_second;  // of each pass
};

class Bench {
 public:
  explicit Bench(size_t total_bytes) : memory_(total_bytes), total_bytes_(total_bytes) {
    auto* f = reinterpret_cast<float*>(memory_.data());
    for (size_t i = 0; i < total_bytes_ / sizeof(float); ++i) {
      f[i] = static_cast<float>(i % 1021) * 0.001f;
    }
  }

  // Array `k` of `n` in the working set.
  float* Array(size_t k, size_t n) {
    return reinterpret_cast<float*>(memory_.data()) + k * Elements(n);
  }
  size_t Elements(size_t n) const { return total_bytes_ / n / sizeof(float) / 16 * 16; }

  void Add(std::string name, size_t bytes_per_element, size_t arrays,
           std::function<void(size_t)> run) {
    lines_.push_back({std::move(name), bytes_per_element, arrays, std::move(run), {}});
  }

  void Run(int passes) {
    for (int pass = -1; pass < passes; ++pass) {  // the first one warms up
      for (Line& line : lines_) {
        const size_t elements = Elements(line.arrays);
        const auto begin = std::chrono::steady_clock::now();
        line.run(elements);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        if (pass >= 0) {
          line.gb_per_second.push_back(static_cast<double>(line.bytes_per_element * elements) /
                                       took.count() / 1e9);
        }
      }
    }
  }

  void Print() {
    double add = 0;
    fmt::print("{:<28} {:>10} {:>8} {:>17} {:>12}\n", "f32, one thread", "bytes/elem", "GB/s",
               "least .. most", "of STREAM Add");
    for (Line& line : lines_) {
      std::vector<double>& v = line.gb_per_second;
      std::sort(v.begin(), v.end());
      const double median = v[v.size() / 2];
      if (line.name == "STREAM Add") add = median;
      fmt::print("{:<28} {:>10} {:>8.1f} {:>7.1f} .. {:<7.1f} {:>11}\n", line.name,
                 line.bytes_per_element, median, v.front(), v.back(),
                 add > 0 ? fmt::format("{:.0f} %", 100 * median / add) : "");
    }
  }

 private:
  Buffer memory_;
  size_t total_bytes_;
  std::vector<Line> lines_;
};

// STREAM's loops, not to be merged into their callers.
__attribute__((noinline)) void StreamScale(float* a, const float* b, float s, size_t n) {
  for (size_t i = 0; i < n; ++i) a[i] = s * b[i];
}
__attribute__((noinline)) void StreamAdd(float* a, const float* b, const float* c, size_t n) {
  for (size_t i = 0; i < n; ++i) a[i] = b[i] + c[i];
}
__attribute__((noinline)) void StreamTriad(float* a, const float* b, const float* c, float s,
                                           size_t n) {
  for (size_t i = 0; i < n; ++i) a[i] = b[i] + s * c[i];
}

// False when a kernel's results are not those of plain arithmetic.
bool Verified() {
  constexpr size_t kElements = 1000003;
  const std::vector<float> m(kElements, 0.5f);
  std::vector<float> w(kElements), g(kElements), folded(kElements);
  for (size_t i = 0; i < kElements; ++i) {
    w[i] = static_cast<float>(i % 1021) * 0.01f;
    g[i] = static_cast<float>(i % 509) * -0.03f;
  }
  SgdNumbers numbers;
  numbers.learning_rate = 0.1;
  const MomentumNumbers with_momentum{{numbers}, 0.9};
  std::vector<float> sum = w, plain = g, next = g, mom = m;
  const void* const xs[] = {w.data(), g.data(), m.data()};
  Accumulate(DType::kFloat32, sum.data(), g.data(), kElements);
  LeftFold(DType::kFloat32, folded.data(), xs, 3, kElements);
  const auto update = [&](const AnyNumbers& of, const std::vector<void*>& state, float* grad) {
    UpdateWeights(DType::kFloat32, of, w.data(), state.data(), grad, kElements);
  };
  update(numbers, {}, plain.data());
  update(with_momentum, {mom.data()}, next.data());
  std::vector<float> adagrad = g, history = m, adam = g, mean = m, var = m, ftrl = g, z = m, n = m;
  update(AdagradNumbers(), {history.data()}, adagrad.data());
  update(AdamNumbers(), {mean.data(), var.data()}, adam.data());
  update(FtrlNumbers(), {z.data(), n.data()}, ftrl.data());
  std::vector<uint16_t> half(kElements);
  std::vector<float> widened(kElements);
  Narrow(DType::kFloat16, half.data(), g.data(), kElements);
  Widen(DType::kFloat16, widened.data(), half.data(), kElements);
  std::vector<float> half_sum = w;
  Accumulate(DType::kFloat16, half_sum.data(), half.data(), kElements);
  for (size_t i = 0; i < kElements; ++i) {
    const float kept = 0.9f * m[i];
    const float step = 0.1f * g[i];
    if (sum[i] != w[i] + g[i] || folded[i] != sum[i] + m[i] || plain[i] != w[i] - step ||
        mom[i] != kept - step || next[i] != w[i] + mom[i] || half_sum[i] != w[i] + widened[i]) {
      return false;
    }
    // Updates of many operations: near the formula; their bits are the tests' business.
    const double x = g[i], old = w[i];
    const double h = 0.5 + x * x, v = 0.999 * 0.5 + 0.001 * x * x, m1 = 0.9 * 0.5 + 0.1 * x;
    const double z1 = 0.5 + x - (std::sqrt(h) - std::sqrt(0.5)) * old / 0.01;
    const double shrunk = std::max(std::abs(z1) - 0.01, 0.0) * (z1 < 0 ? 1 : -1);
    const auto near = [](double is, double expected) {
      return std::abs(is - expected) <= 1e-3 * (1 + std::abs(expected));
    };
    if (!near(adagrad[i], old - 0.01 * x / (std::sqrt(h) + 1e-6)) ||
        !near(adam[i], old - 0.01 * m1 / (std::sqrt(v) + 1e-8)) ||
        !near(ftrl[i], shrunk / ((1 + std::sqrt(h)) / 0.01))) {
      return false;
    }
  }
  return true;
}

int Main(size_t total_mib, int passes) {
  if (!Verified()) {
    fmt::print(stderr, "the kernels' results differ from plain arithmetic\n");
    return 1;
  }
  Bench b(total_mib << 20);
  b.Add("memcpy", 8, 2,
        [&](size_t n) { std::memcpy(b.Array(0, 2), b.Array(1, 2), n * sizeof(float)); });
  b.Add("STREAM Add", 12, 3,
        [&](size_t n) { StreamAdd(b.Array(0, 3), b.Array(1, 3), b.Array(2, 3), n); });
  b.Add("STREAM Scale", 8, 2,
        [&](size_t n) { StreamScale(b.Array(0, 2), b.Array(1, 2), 0.5f, n); });
  b.Add("STREAM Triad", 12, 3,
        [&](size_t n) { StreamTriad(b.Array(0, 3), b.Array(1, 3), b.Array(2, 3), 0.5f, n); });
  b.Add("Accumulate", 12, 2,
        [&](size_t n) { Accumulate(DType::kFloat32, b.Array(0, 2), b.Array(1, 2), n); });
  b.Add("Accumulate, x 1 byte off", 12, 2, [&](size_t n) {
    const auto* x = reinterpret_cast<const uint8_t*>(b.Array(1, 2)) + 1;
    Accumulate(DType::kFloat32, b.Array(0, 2), x, n - 1);
  });
  for (const size_t count : {2, 4, 8}) {
    b.Add(fmt::format("LeftFold of {}", count), 4 * (count + 1), count + 1, [&b, count](size_t n) {
      std::vector<const void*> xs;
      for (size_t k = 1; k <= count; ++k) xs.push_back(b.Array(k, count + 1));
      LeftFold(DType::kFloat32, b.Array(0, count + 1), xs.data(), count, n);
    });
  }
  // An update's arrays: weight, states, gradient.
  const auto add_update = [&b](std::string name, const AnyNumbers& numbers, size_t states) {
    const size_t arrays = states + 2;
    b.Add(std::move(name), 4 * (2 * states + 3), arrays, [&b, numbers, arrays](size_t n) {
      std::vector<void*> state;
      for (size_t k = 1; k + 1 < arrays; ++k) state.push_back(b.Array(k, arrays));
      UpdateWeights(DType::kFloat32, numbers, b.Array(0, arrays), state.data(),
                    b.Array(arrays - 1, arrays), n);
    });
  };
  MomentumNumbers numbers;
  numbers.learning_rate = 1e-6;
  numbers.momentum = 0.5;
  add_update("Sgd", SgdNumbers{numbers}, 0);
  add_update("SgdMomentum", numbers, 1);
  MomentumNumbers clipped = numbers;
  clipped.clip = true;
  clipped.clip_gradient = 0.4;
  clipped.wd = 1e-4;
  add_update("SgdMomentum, clip and wd", clipped, 1);
  b.Add("Accumulate f16", 10, 2,
        [&](size_t n) { Accumulate(DType::kFloat16, b.Array(0, 2), b.Array(1, 2), n); });
  b.Add("Accumulate bf16", 10, 2,
        [&](size_t n) { Accumulate(DType::kBFloat16, b.Array(0, 2), b.Array(1, 2), n); });
  b.Add("Narrow to f16", 6, 2,
        [&](size_t n) { Narrow(DType::kFloat16, b.Array(0, 2), b.Array(1, 2), n); });
  add_update("Adagrad", AdagradNumbers(), 1);
  add_update("Adam", AdamNumbers(), 2);
  add_update("Ftrl", FtrlNumbers(), 2);
  FtmlNumbers ftml;
  ftml.power1 = ftml.beta1;
  ftml.power2 = ftml.beta2;
  add_update("Ftml", ftml, 3);
  b.Add("NormalNoise", 4, 1,
        [&](size_t n) { NormalNoise(DType::kFloat32, {}, 0, 1, b.Array(0, 1), n); });
  b.Run(passes);
  fmt::print("working set {} MiB, {} passes, results verified\n", total_mib, passes);
  b.Print();
  return 0;
}

}  // namespace
}  // namespace kvstore

int main(int argc, char** argv) {
  const long total_mib = argc > 1 ? std::atol(argv[1]) : 2048;
  const long passes = argc > 2 ? std::atol(argv[2]) : 9;
  if (total_mib < 1 || passes < 1) {
    fmt::print(stderr, "usage: kernels_bench [total MiB >= 1] [passes >= 1]\n");
    return 2;
  }
  return kvstore::Main(static_cast<size_t>(total_mib), static_cast<int>(passes));
}
