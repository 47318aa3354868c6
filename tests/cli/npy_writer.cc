// Writes an .npy file of every dtype and of several shapes into a folder, for npy_test.py: element
// i is i mod 2 or, of dtypes that hold more, i.
#include <cstdio>
#include <string>
#include <vector>

#include "cli/npy_file.h"
#include "common/kernels/convert.h"

namespace kvstore {
namespace {

constexpr DType kAll[] = {DType::kFloat32,  DType::kFloat64, DType::kFloat16,
                          DType::kBFloat16, DType::kUInt8,   DType::kInt8,
                          DType::kInt32,    DType::kInt64,   DType::kBool};

std::vector<uint8_t> Elements(DType dtype, uint64_t count) {
  std::vector<uint8_t> data(count * DTypeBytes(dtype));
  for (uint64_t i = 0; i < count; ++i) {
    uint8_t* const at = data.data() + i * DTypeBytes(dtype);
    const auto number = static_cast<float>(i);
    const auto small = static_cast<uint8_t>(dtype == DType::kBool ? i % 2 : i);
    const bool floats = Converts(DType::kFloat32, dtype);
    if (floats) {
      Convert(DType::kFloat32, &number, dtype, at, 1);
    } else if (DTypeBytes(dtype) == 1) {
      *at = small;
    } else {
      Convert(DType::kUInt8, &small, dtype, at, 1);
    }
  }
  return data;
}

absl::Status WriteAll(const std::string& folder) {
  const std::vector<Shape> shapes = {{}, {0}, {7}, {2, 3, 4}, {3, 0, 2}, {1, 1, 1, 1, 1, 1, 1, 1}};
  for (const DType dtype : kAll) {
    for (size_t k = 0; k < shapes.size(); ++k) {
      uint64_t count = 1;
      for (const int64_t dimension : shapes[k]) count *= static_cast<uint64_t>(dimension);
      const std::vector<uint8_t> data = Elements(dtype, count);
      const std::string path =
          folder + "/" + std::string(DTypeName(dtype)) + "_" + std::to_string(k) + ".npy";
      auto file = NpyFile::Create(path, dtype, shapes[k]);
      if (!file.ok()) return file.status();
      // The second half first.
      const uint64_t half = count / 2;
      const size_t width = DTypeBytes(dtype);
      absl::Status status = file->Write(half, data.data() + half * width, (count - half) * width);
      if (status.ok()) status = file->Write(0, data.data(), half * width);
      if (status.ok()) status = file->Finish();
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace kvstore

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const absl::Status status = kvstore::WriteAll(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
