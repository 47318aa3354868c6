#include "common/transport/shm/shm_transport.h"

#include <utility>

#include "common/transport/methods.h"
#include "common/transport/shm/lane.h"
#include "common/transport/shm/shared_memory.h"
#include "common/transport/shm/shm_stream.h"

namespace kvstore {

absl::StatusOr<std::unique_ptr<Listener>> ShmTransport::Listen(const std::string& address,
                                                               ListenOptions options) {
  const size_t plain = options.methods.size();
  for (size_t i = 0; i < plain; ++i) {
    ServedMethod method = options.methods[i];
    if (!options_.carries_much(method.method)) continue;
    method.method = InMemoryMethod(method.method);
    const ShmEndOptions end{options_.enabled, 0, options_.room_wait_ms};
    method.acceptor = [loop = method.loop, end,
                       accept = method.acceptor](std::unique_ptr<MessageStream> stream) {
      accept(ShmEnd::Accept(*loop, end, std::move(stream)));
    };
    options.methods.push_back(std::move(method));
  }
  return transport_->Listen(address, std::move(options));
}

std::unique_ptr<MessageStream> ShmTransport::Dial(EventLoop& loop, const std::string& address,
                                                  const std::string& method, StreamEvents events) {
  if (options_.enabled && options_.carries_much(method) && options_.is_here(address)) {
    absl::StatusOr<std::shared_ptr<SharedMemory>> memory =
        SharedMemory::Create(LaneMemory::BytesFor(options_.blocks));
    // Without memory to share, the stream is as it would be to another host.
    if (memory.ok()) {
      const ShmEndOptions end{true, options_.blocks, options_.room_wait_ms};
      return ShmEnd::Dial(*transport_, loop, address, InMemoryMethod(method), *std::move(memory),
                          end, std::move(events));
    }
  }
  return transport_->Dial(loop, address, method, std::move(events));
}

}  // namespace kvstore
