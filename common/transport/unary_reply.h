// UnaryReply's promise: exactly one answer reaches the transport, also when the handler forgets.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/transport/transport.h"

namespace kvstore {

// `deliver` is called exactly once, by the first answer or when the last copy of the reply goes;
// from any thread.
UnaryReply MakeUnaryReply(std::function<void(absl::StatusOr<std::string>)> deliver);

}  // namespace kvstore
