#include "server/embedded/program_code.h"

#include <fmt/format.h>

#include <exception>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "kvstore/error.h"
#include "kvstore/ndarray.h"

namespace kvstore {
namespace {

std::string_view TextOf(const std::exception& error) {
  return std::string_view(error.what()).substr(0, kErrorTextBytesMax);
}

// Runs `code`; what it throws is "`label`: the `what` threw ...", with as much of its text as an
// answer has room for: failures are kept, and texts of exceptions can be long (stack traces).
absl::Status Caught(const std::string& label, const char* what, const std::function<void()>& code) {
  try {
    code();
    return absl::OkStatus();
  } catch (const Error& error) {
    return absl::Status(static_cast<absl::StatusCode>(error.code()),
                        fmt::format("{}: the {} threw {}", label, what, TextOf(error)));
  } catch (const std::exception& error) {
    return absl::UnknownError(fmt::format("{}: the {} threw {}", label, what, TextOf(error)));
  } catch (...) {
    return absl::UnknownError(
        fmt::format("{}: the {} threw something that is no std::exception", label, what));
  }
}

// An array over the whole of `buffer`, which lives as long as any handle to it.
NDArray ArrayOver(MutableBufferPtr buffer, std::vector<int64_t> shape, DType dtype) {
  uint8_t* const data = buffer->data();
  return NDArray::FromBlob(data, std::move(shape), static_cast<DataType>(dtype), Context::Cpu(),
                           [buffer = std::move(buffer)](void*) {});
}

// The elements of a dense part in a flat array; or the rows of the update.
NDArray ArrayOf(const ProgramUpdate& update, MutableBufferPtr buffer) {
  const KeySpec& key = *update.key;
  if (update.row_elements == 0) {
    const auto elements = static_cast<int64_t>(buffer->size() / DTypeBytes(key.dtype));
    return ArrayOver(std::move(buffer), {elements}, key.dtype);
  }
  if (update.rows.empty()) {
    return NDArray::RowSparse(key.shape, static_cast<DataType>(key.dtype));
  }
  std::vector<int64_t> shape = key.shape;
  shape[0] = static_cast<int64_t>(update.rows.size());
  return NDArray::RowSparse(key.shape, update.rows,
                            ArrayOver(std::move(buffer), std::move(shape), key.dtype));
}

}  // namespace

bool ProgramCode::is_set() const {
  return program_.updater() != nullptr || program_.str_updater() != nullptr;
}

absl::Status ProgramCode::Update(const ProgramUpdate& update) {
  const KeySpec& key = *update.key;
  const std::string label =
      fmt::format("{} part {}", KeyLabel(key.key, key.name), update.part.part);
  const bool is_int = key.name.empty();
  MutexLock lock(turn_);
  const KVStore::Updater updater = is_int ? program_.updater() : nullptr;
  const KVStore::StrUpdater str_updater = is_int ? nullptr : program_.str_updater();
  if (updater == nullptr && str_updater == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("{}: an updater for {} keys expected, the server's is for {} keys", label,
                    is_int ? "int" : "string", is_int ? "string" : "int"));
  }
  return Caught(label, "server's updater", [&] {
    const NDArray sum = ArrayOf(update, update.merged);
    NDArray value = ArrayOf(update, update.stored);
    const void* const data = value.data();
    if (is_int) {
      updater(static_cast<int>(static_cast<int64_t>(key.key)), sum, &value);
    } else {
      str_updater(key.name, sum, &value);
    }
    if (value.data() != data) {
      throw Error(ErrorCode::kInvalidArgument,
                  "an update of the elements of `stored` expected, got another array in its place");
    }
  });
}

absl::Status ProgramCode::RunCommand(const Command& command) {
  MutexLock lock(turn_);
  return Caught(fmt::format("command {}", command.id), "controller",
                [&] { program_.controller(command.id, command.body); });
}

}  // namespace kvstore
