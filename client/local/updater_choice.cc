#include "client/local/updater_choice.h"

#include <fmt/format.h>

#include <exception>

#include "client/base/no_memory.h"

namespace kvstore {

WholeUpdate UpdateOf(const KeyOperation& operation) {
  return [&operation](const NDArray& merged, NDArray* stored) {
    const UpdaterChoice& choice = ChoiceOf(operation);
    const Key& key = *operation.key;
    try {
      if (key.is_int) {
        choice.for_int(static_cast<int>(key.number), merged, stored);
      } else {
        choice.for_string(key.name, merged, stored);
      }
      return absl::OkStatus();
    } catch (const Error& error) {
      return WordedStatus(static_cast<absl::StatusCode>(error.code()),
                          [&] { return fmt::format("the updater threw {}", error.what()); });
    } catch (const std::exception& error) {
      return WordedStatus(absl::StatusCode::kUnknown,
                          [&] { return fmt::format("the updater threw {}", error.what()); });
    } catch (...) {
      return WordedStatus(absl::StatusCode::kUnknown,
                          [] { return "the updater threw something that is no std::exception"; });
    }
  };
}

}  // namespace kvstore
