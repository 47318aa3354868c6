#include "common/wire/state_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/model/worker_tensors.h"

namespace kvstore {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kTensorsMax = 8 + kWorkerTensorsMax;
static_assert(kTensorsMax <= UINT8_MAX);
constexpr size_t kCursorBytes = 16;
constexpr uint8_t kKept = 1;
constexpr uint8_t kOnePerRow = 2;
constexpr uint8_t kCounted = 4;
constexpr uint8_t kMore = 8;
constexpr uint8_t kByWorker = 16;

void Put(uint64_t number, size_t size, std::string* out) {
  for (size_t byte = 0; byte < size; ++byte)
    out->push_back(static_cast<char>(number >> (8 * byte)));
}

void PutText(const std::string& text, std::string* out) {
  KVS_CHECK(text.size() <= UINT8_MAX);
  Put(text.size(), 1, out);
  *out += text;
}

// Reads numbers for as long as there are bytes; then zeros, and ok() is false.
class Reader {
 public:
  explicit Reader(const Payload& bytes) : cursor_(bytes) {}

  uint64_t Number(size_t size) {
    std::array<uint8_t, 8> bytes{};
    ok_ = ok_ && cursor_.Read(bytes.data(), size);
    uint64_t number = 0;
    for (size_t byte = size; byte > 0; --byte) number = number << 8 | bytes[byte - 1];
    return ok_ ? number : 0;
  }
  std::string Text() {
    std::string text(Number(1), '\0');
    ok_ = ok_ && cursor_.Read(text.data(), text.size());
    return text;
  }
  bool ok() const { return ok_; }
  size_t remaining() const { return cursor_.remaining(); }

 private:
  PayloadCursor cursor_;
  bool ok_ = true;
};

absl::Status Bad(const std::string& what) {
  return absl::InvalidArgumentError("state of an updater: " + what);
}

}  // namespace

bool StateInfo::SameKind(const StateInfo& other) const {
  if (updater != other.updater || by_worker != other.by_worker ||
      keeps_state() != other.keeps_state()) {
    return false;
  }
  const std::optional<size_t> own = TensorsOfNoWorker(names, by_worker);
  const std::optional<size_t> others = TensorsOfNoWorker(other.names, by_worker);
  if (!own.has_value() || own != others ||
      !std::equal(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(*own),
                  other.names.begin())) {
    return false;
  }
  const bool tensors = *own > 0 || !by_worker.empty();
  return !tensors || (dtype == other.dtype && one_per_row == other.one_per_row);
}

std::string Described(const StateInfo& info) {
  if (info.names.empty() && info.by_worker.empty()) {
    return fmt::format("{}: {}", info.updater, info.counted ? "a count of updates" : "nothing");
  }
  std::string names;
  for (const std::string& name : info.names) names += (names.empty() ? "" : ", ") + name;
  if (!info.by_worker.empty()) {
    names += fmt::format("{}{} of each worker", names.empty() ? "" : ", ", info.by_worker);
  }
  return fmt::format("{}: {} of {}{}", info.updater, names, DTypeName(info.dtype),
                     info.one_per_row ? ", one per row" : "");
}

Payload EncodeStatePage(const StatePage& page) {
  const StateInfo& info = page.info;
  KVS_CHECK(info.names.size() <= kTensorsMax);
  std::string out;
  Put(kFormat, 1, &out);
  Put(static_cast<uint8_t>(page.verb), 1, &out);
  Put((info.kept ? kKept : 0) | (info.one_per_row ? kOnePerRow : 0) |
          (info.counted ? kCounted : 0) | (page.more ? kMore : 0) |
          (info.by_worker.empty() ? 0 : kByWorker),
      1, &out);
  Put(static_cast<uint8_t>(info.dtype), 1, &out);
  Put(info.names.size(), 1, &out);
  Put(page.tensor, 1, &out);
  Put(0, 2, &out);
  Put(info.updates, 8, &out);
  Put(page.from, 8, &out);
  Put(page.to, 8, &out);
  Put(page.rows, 4, &out);
  PutText(info.updater.substr(0, UINT8_MAX), &out);
  for (const std::string& name : info.names) PutText(name, &out);
  if (!info.by_worker.empty()) PutText(info.by_worker, &out);
  Payload bytes = Payload::CopyOf(out);
  bytes.Append(page.data);
  return bytes;
}

absl::StatusOr<StatePage> DecodeStatePage(const Payload& bytes) {
  Reader in(bytes);
  StatePage page;
  const uint64_t format = in.Number(1);
  const uint64_t verb = in.Number(1);
  const uint64_t flags = in.Number(1);
  page.info.dtype = static_cast<DType>(in.Number(1));
  const uint64_t tensors = in.Number(1);
  page.tensor = static_cast<uint32_t>(in.Number(1));
  const uint64_t zero = in.Number(2);
  page.info.updates = in.Number(8);
  page.from = in.Number(8);
  page.to = in.Number(8);
  page.rows = static_cast<uint32_t>(in.Number(4));
  page.info.updater = in.Text();
  if (!in.ok()) return Bad(fmt::format("a page expected, got {} bytes", bytes.size()));
  if (format != kFormat) return Bad(fmt::format("format {} expected, got {}", kFormat, format));
  if (verb > static_cast<uint64_t>(StateVerb::kDrop)) {
    return Bad(fmt::format("verb 0 to 2 expected, got {}", verb));
  }
  if (flags > (kKept | kOnePerRow | kCounted | kMore | kByWorker) || zero != 0) {
    return Bad(fmt::format("flags up to 31 expected, got {}", flags | zero << 8));
  }
  if (tensors > kTensorsMax) {
    return Bad(fmt::format("at most {} tensors expected, got {}", kTensorsMax, tensors));
  }
  for (uint64_t i = 0; i < tensors; ++i) {
    page.info.names.push_back(in.Text());
    if (page.info.names.back().empty()) return Bad("a name of a tensor expected, got an empty one");
  }
  if ((flags & kByWorker) != 0) {
    page.info.by_worker = in.Text();
    if (in.ok() && page.info.by_worker.empty()) {
      return Bad("a name of the tensors of workers expected, got an empty one");
    }
  }
  if (in.ok() && !TensorsOfNoWorker(page.info.names, page.info.by_worker).has_value()) {
    return Bad(fmt::format("tensors of workers, '{}', behind the others and by rank expected",
                           page.info.by_worker));
  }
  if (!in.ok()) return Bad(fmt::format("{} names of tensors expected, they end early", tensors));
  if (page.from > page.to) {
    return Bad(fmt::format("a range expected, got {} to {}", page.from, page.to));
  }
  page.verb = static_cast<StateVerb>(verb);
  page.info.kept = (flags & kKept) != 0;
  page.info.one_per_row = (flags & kOnePerRow) != 0;
  page.info.counted = (flags & kCounted) != 0;
  page.more = (flags & kMore) != 0;
  page.data = bytes.Sub(bytes.size() - in.remaining(), in.remaining());
  if (page.data.size() / sizeof(int64_t) < page.rows) {
    return Bad(
        fmt::format("{} ids of rows expected, {} bytes are left", page.rows, page.data.size()));
  }
  return page;
}

Payload EncodeStateCursor(const StateCursor& cursor) {
  std::string out;
  Put(cursor.tensor, 4, &out);
  Put(cursor.info_only ? 1 : 0, 4, &out);
  Put(cursor.from, 8, &out);
  return Payload::CopyOf(out);
}

absl::StatusOr<StateCursor> DecodeStateCursor(const Payload& bytes) {
  if (bytes.size() != kCursorBytes) {
    return Bad(fmt::format("where a page begins, in {} bytes, expected, got {}", kCursorBytes,
                           bytes.size()));
  }
  Reader in(bytes);
  StateCursor cursor;
  cursor.tensor = static_cast<uint32_t>(in.Number(4));
  const uint64_t flags = in.Number(4);
  cursor.from = in.Number(8);
  if (flags > 1) return Bad(fmt::format("flags up to 1 expected, got {}", flags));
  cursor.info_only = flags == 1;
  return cursor;
}

}  // namespace kvstore
