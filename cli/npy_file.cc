#include "cli/npy_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/kernels/convert.h"

namespace kvstore {
namespace {

constexpr size_t kHeaderUnit = 64;

// NumPy's name of the dtype, little-endian.
const char* DescrOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "<f4";
    case DType::kFloat64:
      return "<f8";
    case DType::kFloat16:
      return "<f2";
    case DType::kUInt8:
      return "|u1";
    case DType::kInt8:
      return "|i1";
    case DType::kInt32:
      return "<i4";
    case DType::kInt64:
      return "<i8";
    case DType::kBool:
      return "|b1";
    case DType::kBFloat16:
    case DType::kUnspecified:
      break;
  }
  return "|V1";
}

std::string PartialName(const std::string& path) { return path + ".part"; }

}  // namespace

absl::Status CannotWrite(const std::string& path) {
  return absl::FailedPreconditionError(
      fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
}

DType NpyDType(DType dtype) { return dtype == DType::kBFloat16 ? DType::kFloat32 : dtype; }

std::string NpyHeader(DType dtype, const Shape& shape) {
  std::string dimensions;
  for (const int64_t dimension : shape) dimensions += fmt::format("{}, ", dimension);
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                 DescrOf(NpyDType(dtype)), dimensions);
  constexpr size_t kBefore = 10;  // magic, version, length
  const size_t bytes = (kBefore + text.size() + 1 + kHeaderUnit - 1) / kHeaderUnit * kHeaderUnit;
  text.resize(bytes - kBefore - 1, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

absl::StatusOr<NpyFile> NpyFile::Create(std::string path, DType dtype, const Shape& shape) {
  const std::string header = NpyHeader(dtype, shape);
  FILE* const opened = std::fopen(PartialName(path).c_str(), "wb");
  if (opened == nullptr) return CannotWrite(path);
  NpyFile file(std::move(path), dtype, header.size(), opened);
  if (std::fwrite(header.data(), 1, header.size(), opened) != header.size()) {
    return CannotWrite(file.path_);
  }
  return file;
}

NpyFile::~NpyFile() {
  if (file_ == nullptr) return;
  file_.reset();
  std::remove(PartialName(path_).c_str());
}

absl::Status NpyFile::Write(uint64_t first, const void* data, size_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  const DType to = NpyDType(dtype_);
  std::vector<float> wide;
  if (to != dtype_) {
    wide.resize(bytes / DTypeBytes(dtype_));
    Convert(dtype_, data, to, wide.data(), wide.size());
    data = wide.data();
    bytes = wide.size() * sizeof(float);
  }
  const uint64_t offset = header_bytes_ + first * DTypeBytes(to);
  if (fseeko(file_.get(), static_cast<off_t>(offset), SEEK_SET) != 0 ||
      std::fwrite(data, 1, bytes, file_.get()) != bytes) {
    return CannotWrite(path_);
  }
  return absl::OkStatus();
}

absl::Status NpyFile::Finish() {
  const std::string partial = PartialName(path_);
  if (std::fflush(file_.get()) != 0) return CannotWrite(path_);
  if (std::rename(partial.c_str(), path_.c_str()) != 0) return CannotWrite(path_);
  file_.reset();
  return absl::OkStatus();
}

}  // namespace kvstore
