#include "server/values/saved_value.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/kernels/kernels.h"
#include "common/model/worker_tensors.h"

namespace kvstore {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kTensorsMax = 8 + kWorkerTensorsMax;

void PutU64(uint64_t number, std::string* out) {
  for (int byte = 0; byte < 8; ++byte) out->push_back(static_cast<char>(number >> (8 * byte)));
}

// Reads numbers for as long as there are bytes; then zeros, and ok() is false.
class Numbers {
 public:
  explicit Numbers(PayloadCursor* cursor) : cursor_(cursor) {}

  uint8_t U8() {
    uint8_t byte = 0;
    Take(&byte, 1);
    return byte;
  }
  uint64_t U64() {
    uint8_t bytes[8] = {};
    Take(bytes, sizeof bytes);
    uint64_t number = 0;
    for (int byte = 7; byte >= 0; --byte) number = number << 8 | bytes[byte];
    return number;
  }
  std::string Text(size_t size) {
    std::string text(size, '\0');
    Take(text.data(), size);
    return text;
  }
  bool ok() const { return ok_; }

 private:
  void Take(void* to, size_t size) { ok_ = ok_ && cursor_->Read(to, size); }

  PayloadCursor* cursor_;
  bool ok_ = true;
};

std::string Described(const SavedHeader& header) {
  const std::string_view dtype = DTypeName(header.dtype);
  if (header.storage == Storage::kDense) {
    return fmt::format("{} dense elements of {}", header.row_elements, dtype);
  }
  return fmt::format("{} rows of {} elements of {}", header.rows, header.row_elements, dtype);
}

}  // namespace

Payload EncodeSavedHeader(const SavedHeader& header) {
  std::string out;
  out.push_back(static_cast<char>(kFormat));
  out.push_back(static_cast<char>(header.storage == Storage::kRowSparse ? 1 : 0));
  out.push_back(static_cast<char>(header.dtype));
  PutU64(header.rows, &out);
  PutU64(header.row_elements, &out);
  PutU64(header.version, &out);
  KVS_CHECK(header.state.names.size() <= kTensorsMax);
  out.push_back(static_cast<char>(header.state.keeps_state() ? 1 : 0));
  if (!header.state.keeps_state()) return Payload::CopyOf(out);
  out.push_back(static_cast<char>(header.state.names.size()));
  out.push_back(static_cast<char>(header.state.dtype));
  out.push_back(static_cast<char>(header.state.one_per_row ? 1 : 0));
  PutU64(header.updates, &out);
  for (const std::string& name : header.state.names) {
    KVS_CHECK(!name.empty() && name.size() <= UINT8_MAX);
    out.push_back(static_cast<char>(name.size()));
    out += name;
  }
  return Payload::CopyOf(out);
}

absl::StatusOr<SavedHeader> DecodeSavedHeader(std::string_view label, const SavedHeader& expected,
                                              PayloadCursor* cursor) {
  const auto loss = [&](const std::string& what) {
    return absl::DataLossError(fmt::format("{}: saved: {}", label, what));
  };
  Numbers in(cursor);
  const uint8_t format = in.U8();
  if (in.ok() && format != kFormat) {
    return loss(fmt::format("format {} expected, got {}", kFormat, format));
  }
  SavedHeader header;
  const uint8_t storage = in.U8();
  header.storage = storage == 1 ? Storage::kRowSparse : Storage::kDense;
  header.dtype = static_cast<DType>(in.U8());
  header.rows = in.U64();
  header.row_elements = in.U64();
  header.version = in.U64();
  const uint8_t counted = in.U8();
  if (!in.ok()) return loss("a whole header expected, it ends early");
  if (storage > 1) return loss(fmt::format("storage 0 or 1 expected, got {}", storage));
  if (header.storage != expected.storage || header.dtype != expected.dtype ||
      header.rows != expected.rows || header.row_elements != expected.row_elements) {
    return absl::InvalidArgumentError(fmt::format("{}: saved: {} expected, got {}", label,
                                                  Described(expected), Described(header)));
  }
  if (counted > 1) return loss(fmt::format("state 0 or 1 expected, got {}", counted));
  header.state.counted = counted == 1;
  if (counted == 0) return header;
  const uint8_t tensors = in.U8();
  if (tensors > kTensorsMax) {
    return loss(fmt::format("at most {} tensors of state expected, got {}", kTensorsMax, tensors));
  }
  header.state.dtype = static_cast<DType>(in.U8());
  const uint8_t one_per_row = in.U8();
  header.state.one_per_row = one_per_row == 1;
  header.updates = in.U64();
  for (uint8_t i = 0; i < tensors && in.ok(); ++i) {
    const uint8_t length = in.U8();
    if (in.ok() && length == 0) return loss("a name of state expected, got an empty one");
    header.state.names.push_back(in.Text(length));
  }
  if (!in.ok()) return loss("a whole header expected, it ends early");
  const uint8_t most = header.storage == Storage::kRowSparse ? 1 : 0;
  if (one_per_row > most) {
    return loss(
        fmt::format("state that is one per row: at most {} expected, got {}", most, one_per_row));
  }
  if (header.state.dtype != header.dtype && header.state.dtype != AccumulatorOf(header.dtype)) {
    return loss(fmt::format("state of {} or {} expected, got {}", DTypeName(header.dtype),
                            DTypeName(AccumulatorOf(header.dtype)), DTypeName(header.state.dtype)));
  }
  return header;
}

}  // namespace kvstore
