// NpyFile: an array as a file that NumPy's load() reads, format 1.0:
// numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"

namespace kvstore {

// The dtype of the file: NumPy has no bf16, whose numbers become f32, each exactly.
DType NpyDType(DType dtype);
// What a file begins with: a multiple of 64 bytes.
std::string NpyHeader(DType dtype, const Shape& shape);

// Written front to back or in any order. Until Finish the file has ".part" behind its name, and
// without it nothing is left of it. Thread-compatible.
class NpyFile {
 public:
  // Errors, here and below: FAILED_PRECONDITION names the file, and why it cannot be written.
  static absl::StatusOr<NpyFile> Create(std::string path, DType dtype, const Shape& shape);
  ~NpyFile();
  NpyFile(NpyFile&& other) = default;
  NpyFile& operator=(NpyFile&&) = delete;

  // Writes `bytes` bytes of whole elements, in the dtype that Create was given, from element
  // `first` of the array on. Elements that are never written are zero, but for those behind the
  // last one that is.
  absl::Status Write(uint64_t first, const void* data, size_t bytes);
  absl::Status Finish();

 private:
  struct Close {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  NpyFile(std::string path, DType dtype, size_t header_bytes, FILE* file)
      : path_(std::move(path)), dtype_(dtype), header_bytes_(header_bytes), file_(file) {}

  std::string path_;
  DType dtype_;
  size_t header_bytes_;
  std::unique_ptr<FILE, Close> file_;  // null: finished, or moved away
};

// "FILE: cannot be written: No such file or directory", by errno.
absl::Status CannotWrite(const std::string& path);

}  // namespace kvstore
