// Bytes of f32 values per second that each codec encodes, and decodes into a sum, on one thread,
// beside the plain sum of the same values in the same run.
//
//   codecs_bench [MiB of values] [passes]        default 256 9
//
// The values are cut into blocks of 1 MiB, as parts are. Encoding includes adding the values to
// what was left over. Passes of all lines are interleaved; the median and the least and most are
// printed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "common/cluster/partitioner.h"
#include "common/codec/codec.h"
#include "common/codec/value_encoder.h"
#include "common/kernels/kernels.h"
#include "common/tensor/buffer.h"

namespace kvstore {
namespace {

constexpr size_t kBlock = kPartBytesMax / sizeof(float);

struct Line {
  std::string name;
  std::function<void()> run;
  std::vector<double> gb_per_second;  // of each pass
};

void Print(Line& line) {
  std::vector<double>& rates = line.gb_per_second;
  std::sort(rates.begin(), rates.end());
  fmt::print("{:<24}{:>7.2f} [{:.2f}-{:.2f}] GB/s\n", line.name, rates[rates.size() / 2],
             rates.front(), rates.back());
}

int Run(size_t mib, int passes) {
  const uint64_t bytes = uint64_t{mib} << 20;
  const size_t elements = bytes / sizeof(float);
  Buffer values(bytes), sum(bytes);
  auto* const numbers = reinterpret_cast<float*>(values.data());
  for (size_t i = 0; i < elements; ++i) {
    numbers[i] = std::sin(static_cast<float>(i % 100003)) * 0.6F;
    reinterpret_cast<float*>(sum.data())[i] = 0;
  }
  std::vector<Line> lines;
  lines.push_back(
      {"plain sum", [&] { Accumulate(DType::kFloat32, sum.data(), values.data(), elements); }, {}});
  std::vector<ValueEncoder> encoders;
  std::vector<std::vector<MutableBufferPtr>> encoded;
  const std::vector<std::string> types = CodecTypes();
  encoders.reserve(types.size());
  encoded.reserve(types.size());
  for (const std::string& type : types) {
    ValueEncoder& encoder = encoders.emplace_back(*MakeCodec({type}), 1, 0, DType::kFloat32, bytes);
    std::vector<MutableBufferPtr>& parts = encoded.emplace_back(encoder.MakeRoom());
    lines.push_back({type + " encode", [&] { encoder.Encode(values.data(), parts); }, {}});
    lines.push_back({type + " decode, add",
                     [&] {
                       for (size_t part = 0; part < parts.size(); ++part) {
                         encoder.codec().Decode(DType::kFloat32, parts[part]->data(), kBlock,
                                                /*add=*/true, sum.data() + part * kPartBytesMax);
                       }
                     },
                     {}});
  }
  for (int pass = -1; pass < passes; ++pass) {  // the first one warms up
    for (Line& line : lines) {
      const auto start = std::chrono::steady_clock::now();
      line.run();
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      if (pass >= 0) line.gb_per_second.push_back(static_cast<double>(bytes) / took.count() / 1e9);
    }
  }
  for (Line& line : lines) Print(line);
  return 0;
}

}  // namespace
}  // namespace kvstore

int main(int argc, char** argv) {
  const int mib = argc > 1 ? std::atoi(argv[1]) : 256;
  const int passes = argc > 2 ? std::atoi(argv[2]) : 9;
  if (mib < 1 || passes < 1) {
    std::fprintf(stderr, "codecs_bench [MiB of values] [passes]: numbers from 1 on expected\n");
    return 2;
  }
  return kvstore::Run(static_cast<size_t>(mib), passes);
}
