#include "common/transport/unary_reply.h"

#include <atomic>
#include <memory>
#include <utility>

namespace kvstore {
namespace {

class Once {
 public:
  explicit Once(std::function<void(absl::StatusOr<std::string>)> deliver)
      : deliver_(std::move(deliver)) {}
  ~Once() { Answer(absl::UnavailableError("the server dropped the request without an answer")); }
  Once(const Once&) = delete;
  Once& operator=(const Once&) = delete;

  void Answer(absl::StatusOr<std::string> result) {
    // Relaxed: only who comes first matters; `deliver_` orders itself.
    if (answered_.exchange(true, std::memory_order_relaxed)) return;
    deliver_(std::move(result));
  }

 private:
  std::function<void(absl::StatusOr<std::string>)> deliver_;
  std::atomic<bool> answered_{false};
};

}  // namespace

UnaryReply MakeUnaryReply(std::function<void(absl::StatusOr<std::string>)> deliver) {
  return [once = std::make_shared<Once>(std::move(deliver))](absl::StatusOr<std::string> result) {
    once->Answer(std::move(result));
  };
}

}  // namespace kvstore
