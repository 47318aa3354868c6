// kvctl get: the value of a key, for people or as a file that NumPy loads. The servers are asked
// for pieces, and change nothing.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/npy_file.h"
#include "cli/printer.h"
#include "cli/read_key.h"
#include "common/base/status_macros.h"
#include "common/cluster/partitioner.h"
#include "common/kernels/convert.h"
#include "common/rows/row_cut.h"
#include "common/tensor/dtype.h"

namespace kvstore {
namespace {

// What is shown of each end of a value, and of a row.
constexpr uint64_t kShownElements = 6;
constexpr int64_t kShownRows = 3;

struct GetOptions {
  ClusterAsk ask;
  std::string key;
  std::string rows;    // "A:B"; empty: all
  std::string output;  // a file; empty: for people
};

struct RowRange {
  int64_t begin = 0;
  int64_t end = 0;
};

// "2:5", "2:", ":5" of `rows` rows.
absl::StatusOr<RowRange> RowsOf(const std::string& text, int64_t rows) {
  RowRange range{0, rows};
  const size_t colon = text.find(':');
  const auto number = [](const std::string& digits, int64_t* value) {
    if (digits.empty()) return true;
    if (digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) {
      return false;
    }
    *value = std::stoll(digits);
    return true;
  };
  const bool read = colon != std::string::npos && number(text.substr(0, colon), &range.begin) &&
                    number(text.substr(colon + 1), &range.end);
  if (read && range.begin <= range.end && range.end <= rows) return range;
  return absl::InvalidArgumentError(
      fmt::format("--rows: A:B with 0 <= A <= B <= {} expected, got '{}'", rows, text));
}

// Numbers for people: floats with 6 digits.
std::vector<std::string> TextsOf(DType dtype, const uint8_t* data, uint64_t elements) {
  std::vector<std::string> texts;
  const bool whole = Converts(dtype, DType::kInt64);
  for (uint64_t i = 0; i < elements; ++i) {
    const uint8_t* const at = data + i * DTypeBytes(dtype);
    if (whole) {
      int64_t number = 0;
      Convert(dtype, at, DType::kInt64, &number, 1);
      texts.push_back(std::to_string(number));
    } else {
      double number = 0;
      Convert(dtype, at, DType::kFloat64, &number, 1);
      texts.push_back(fmt::format("{:.6g}", number));
    }
  }
  return texts;
}

// One run of the command.
class Getter {
 public:
  Getter(const GetOptions& options, Transport* transport, v1::KeyStats key)
      : options_(options), transport_(*transport), key_(std::move(key)) {
    dtype_ = static_cast<DType>(key_.dtype());
    shape_.assign(key_.shape().begin(), key_.shape().end());
    row_sparse_ = key_.storage() == v1::STORAGE_ROW_SPARSE;
    row_elements_ = 1;
    for (size_t i = 1; i < shape_.size(); ++i) row_elements_ *= static_cast<uint64_t>(shape_[i]);
    rows_ = {0, shape_.empty() ? 1 : shape_[0]};
  }

  // What is to be printed. Errors: those of asking, of the rows that are asked for, of the file.
  absl::StatusOr<std::string> Run() {
    if (!options_.rows.empty()) {
      if (shape_.empty()) {
        return absl::InvalidArgumentError("--rows: a value with rows expected, its shape is []");
      }
      KVS_ASSIGN_OR_RETURN(rows_, RowsOf(options_.rows, shape_[0]));
    }
    std::string body;
    if (options_.output.empty()) {
      KVS_ASSIGN_OR_RETURN(body, row_sparse_ ? ShowRows() : ShowDense());
    } else {
      KVS_ASSIGN_OR_RETURN(body, row_sparse_ ? SaveRows() : SaveDense());
    }
    if (versions_.empty()) versions_.insert(key_.version());  // nothing was read
    return fmt::format("{}: {} [{}], {}, {} part{}, {}\n{}", options_.key, DTypeName(dtype_),
                       fmt::join(shape_, ","), row_sparse_ ? "row_sparse" : "dense", key_.parts(),
                       key_.parts() == 1 ? "" : "s", VersionsText(versions_), body);
  }

 private:
  // `[begin, end)` of the elements of a dense value; `take` gets them piece by piece, in any order,
  // with the number of the first within the value.
  using TakeElements =
      std::function<absl::Status(uint64_t first, const uint8_t* data, size_t bytes)>;
  absl::Status ReadElements(uint64_t begin, uint64_t end, const TakeElements& take) {
    const uint64_t width = DTypeBytes(dtype_);
    const uint64_t from = begin * width, to = end * width;
    if (from == to) return absl::OkStatus();
    v1::ReadKeyRequest range;
    range.set_key(key_.key());
    range.set_part_begin(static_cast<uint32_t>(from / kPartBytesMax));
    range.set_part_end(static_cast<uint32_t>((to - 1) / kPartBytesMax + 1));
    uint64_t had = 0;
    KVS_RETURN_IF_ERROR(ReadKey(
        transport_, options_.ask, range, &versions_,
        [&](const v1::KeyPiece& piece) -> absl::Status {
          const uint64_t offset = PartOffset(piece.part());
          const uint64_t first = std::max(from, offset);
          const uint64_t last = std::min<uint64_t>(to, offset + piece.data().size());
          if (first >= last) return absl::OkStatus();
          had += last - first;
          return take(first / width,
                      reinterpret_cast<const uint8_t*>(piece.data().data()) + (first - offset),
                      last - first);
        }));
    if (had == to - from) return absl::OkStatus();
    return absl::NotFoundError(
        fmt::format("{}: {} bytes of its value expected, the servers have {}: is it being made, or "
                    "deleted?",
                    options_.key, to - from, had));
  }

  absl::StatusOr<std::vector<uint8_t>> Elements(uint64_t begin, uint64_t end) {
    const uint64_t width = DTypeBytes(dtype_);
    std::vector<uint8_t> data((end - begin) * width);
    KVS_RETURN_IF_ERROR(
        ReadElements(begin, end, [&](uint64_t first, const uint8_t* from, size_t bytes) {
          std::memcpy(data.data() + (first - begin) * width, from, bytes);
          return absl::OkStatus();
        }));
    return data;
  }

  absl::StatusOr<std::string> ShowDense() {
    const uint64_t begin = static_cast<uint64_t>(rows_.begin) * row_elements_;
    const uint64_t end = static_cast<uint64_t>(rows_.end) * row_elements_;
    const bool all = end - begin <= 2 * kShownElements;
    const uint64_t shown = all ? end - begin : kShownElements;
    KVS_ASSIGN_OR_RETURN(const std::vector<uint8_t> head, Elements(begin, begin + shown));
    std::string text = fmt::format("{}: {}\n", all ? "values" : "first values",
                                   fmt::join(TextsOf(dtype_, head.data(), shown), " "));
    if (all) return text;
    KVS_ASSIGN_OR_RETURN(const std::vector<uint8_t> tail, Elements(end - shown, end));
    text += fmt::format("last values: {}\n", fmt::join(TextsOf(dtype_, tail.data(), shown), " "));
    return text;
  }

  absl::StatusOr<std::string> SaveDense() {
    Shape shape = shape_;
    if (!shape.empty()) shape[0] = rows_.end - rows_.begin;
    KVS_ASSIGN_OR_RETURN(NpyFile file, NpyFile::Create(options_.output, dtype_, shape));
    const uint64_t begin = static_cast<uint64_t>(rows_.begin) * row_elements_;
    const uint64_t end = static_cast<uint64_t>(rows_.end) * row_elements_;
    KVS_RETURN_IF_ERROR(
        ReadElements(begin, end, [&](uint64_t first, const uint8_t* data, size_t bytes) {
          return file.Write(first - begin, data, bytes);
        }));
    KVS_RETURN_IF_ERROR(file.Finish());
    return fmt::format("written to {}, [{}]{}\n", options_.output, fmt::join(shape, ","), Note());
  }

  // NumPy has no bf16.
  std::string Note() const {
    return NpyDType(dtype_) == dtype_
               ? ""
               : fmt::format(", {} as {}", DTypeName(dtype_), DTypeName(NpyDType(dtype_)));
  }

  // Rows `range` of a row_sparse value that are not zero.
  absl::Status ReadRows(RowRange rows, const TakePiece& take) {
    v1::ReadKeyRequest range;
    range.set_key(key_.key());
    range.set_part_end(RowShapeOf(shape_, dtype_).stripes);
    range.set_row_begin(rows.begin);
    range.set_row_end(rows.end);
    const size_t row_bytes = row_elements_ * DTypeBytes(dtype_);
    return ReadKey(transport_, options_.ask, range, &versions_, [&](const v1::KeyPiece& piece) {
      if (piece.data().size() == static_cast<size_t>(piece.rows_size()) * row_bytes) {
        return take(piece);
      }
      return absl::InternalError(
          fmt::format("{} part {}: {} rows of {} bytes expected, got {} bytes", options_.key,
                      piece.part(), piece.rows_size(), row_bytes, piece.data().size()));
    });
  }

  absl::StatusOr<std::string> ShowRows() {
    const size_t row_bytes = row_elements_ * DTypeBytes(dtype_);
    std::map<int64_t, std::string> found;
    const auto read = [&](RowRange rows) {
      return ReadRows(rows, [&](const v1::KeyPiece& piece) {
        for (int i = 0; i < piece.rows_size(); ++i) {
          found[piece.rows(i)] = piece.data().substr(static_cast<size_t>(i) * row_bytes, row_bytes);
        }
        return absl::OkStatus();
      });
    };
    const bool all = rows_.end - rows_.begin <= 2 * kShownRows;
    const RowRange head{rows_.begin, all ? rows_.end : rows_.begin + kShownRows};
    const RowRange tail{all ? rows_.end : rows_.end - kShownRows, rows_.end};
    KVS_RETURN_IF_ERROR(read(head));
    if (!all) KVS_RETURN_IF_ERROR(read(tail));
    std::string text;
    for (const RowRange& shown : {head, tail}) {
      for (int64_t row = shown.begin; row < shown.end; ++row) {
        text += fmt::format("row {}: {}\n", row, RowText(found, row));
      }
    }
    return text;
  }

  std::string RowText(const std::map<int64_t, std::string>& found, int64_t row) const {
    const auto at = found.find(row);
    if (at == found.end()) return "zero";
    const uint64_t shown = std::min(row_elements_, kShownElements);
    const auto* const data = reinterpret_cast<const uint8_t*>(at->second.data());
    return fmt::format("{}{}", fmt::join(TextsOf(dtype_, data, shown), " "),
                       shown < row_elements_ ? " ..." : "");
  }

  // Rows come stripe by stripe, those of a stripe ascending. So they are kept in a file, and copied
  // from there in the order of their ids: only the ids are in memory.
  absl::StatusOr<std::string> SaveRows() {
    const size_t row_bytes = row_elements_ * DTypeBytes(dtype_);
    const std::string spool_name = options_.output + ".rows";
    const std::unique_ptr<FILE, int (*)(FILE*)> spool(std::fopen(spool_name.c_str(), "w+b"),
                                                      &std::fclose);
    if (spool == nullptr) return CannotWrite(options_.output);
    std::remove(spool_name.c_str());  // it stays until it is closed
    std::vector<int64_t> ids;
    KVS_RETURN_IF_ERROR(ReadRows(rows_, [&](const v1::KeyPiece& piece) {
      ids.insert(ids.end(), piece.rows().begin(), piece.rows().end());
      const std::string& data = piece.data();
      if (std::fwrite(data.data(), 1, data.size(), spool.get()) == data.size()) {
        return absl::OkStatus();
      }
      return CannotWrite(options_.output);
    }));
    std::vector<size_t> places(ids.size());
    std::iota(places.begin(), places.end(), size_t{0});
    std::sort(places.begin(), places.end(), [&](size_t a, size_t b) { return ids[a] < ids[b]; });

    Shape shape = shape_;
    shape[0] = static_cast<int64_t>(ids.size());
    const std::string ids_name = IdsName(options_.output);
    KVS_ASSIGN_OR_RETURN(NpyFile file, NpyFile::Create(options_.output, dtype_, shape));
    KVS_ASSIGN_OR_RETURN(NpyFile ids_file, NpyFile::Create(ids_name, DType::kInt64, {shape[0]}));
    std::vector<uint8_t> row(row_bytes);
    for (size_t i = 0; i < places.size(); ++i) {
      const auto offset = static_cast<off_t>(places[i] * row_bytes);
      if (fseeko(spool.get(), offset, SEEK_SET) != 0 ||
          std::fread(row.data(), 1, row_bytes, spool.get()) != row_bytes) {
        return CannotWrite(options_.output);
      }
      KVS_RETURN_IF_ERROR(file.Write(i * row_elements_, row.data(), row_bytes));
      KVS_RETURN_IF_ERROR(ids_file.Write(i, &ids[places[i]], sizeof(int64_t)));
    }
    KVS_RETURN_IF_ERROR(file.Finish());
    KVS_RETURN_IF_ERROR(ids_file.Finish());
    return fmt::format("the {} rows that are not zero written to {}, [{}]{}, their ids to {}\n",
                       ids.size(), options_.output, fmt::join(shape, ","), Note(), ids_name);
  }

  // "w.npy" -> "w.ids.npy".
  static std::string IdsName(const std::string& output) {
    const std::string ending = ".npy";
    const bool ends = output.size() > ending.size() &&
                      output.compare(output.size() - ending.size(), ending.size(), ending) == 0;
    return (ends ? output.substr(0, output.size() - ending.size()) : output) + ".ids.npy";
  }

  const GetOptions& options_;
  Transport& transport_;
  const v1::KeyStats key_;
  DType dtype_;
  Shape shape_;
  bool row_sparse_;
  uint64_t row_elements_;
  RowRange rows_;
  std::set<uint64_t> versions_;
};

int Get(const CommandContext& context, const GetOptions& options) {
  const auto got = [&]() -> absl::StatusOr<std::string> {
    KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(options.ask));
    KVS_ASSIGN_OR_RETURN(v1::KeyStats key, FindKey(*transport, options.ask, options.key));
    return Getter(options, transport.get(), std::move(key)).Run();
  }();
  if (got.ok()) {
    context.printer->Result(*got);
    return kExitOk;
  }
  context.printer->Error(std::string(got.status().message()));
  return absl::IsInvalidArgument(got.status()) ? kExitUsage : kExitFailed;
}

}  // namespace

void AddGetCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand("get", "the value of a key: a look at it, or all of it");
  auto options = std::make_shared<GetOptions>();
  AddAskOptions(*command, &options->ask);
  command->add_option("key", options->key, "the name of the key, or its number")
      ->type_name("KEY")
      ->required();
  command->add_option("--rows", options->rows, "only rows A to B - 1; A or B may be left out")
      ->type_name("A:B");
  command
      ->add_option("--output", options->output,
                   "write the value to this file, for NumPy; bf16 becomes f32; of a row_sparse key "
                   "the rows that are not zero, and their ids to FILE.ids.npy")
      ->type_name("FILE.npy");
  command->callback([&context, options] { context.exit_code = Get(context, *options); });
}

}  // namespace kvstore
