// Lanes: messages through memory that two ends share, without a transport.
#include "common/transport/shm/lane.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <thread>

#include "common/transport/shm/shared_memory.h"

namespace kvstore::testing {
namespace {

constexpr size_t kBlock = kLaneBlockBytes;

std::string Words(uint64_t seed, size_t size) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Both ends of lane 0, the receiver's through a mapping of its own, as in another process.
struct Ends {
  explicit Ends(uint32_t blocks)
      : made(*SharedMemory::Create(LaneMemory::BytesFor(blocks))),
        opened(*SharedMemory::Open(made->name(), made->size())),
        sender(LaneMemory(made, blocks, 0)),
        receiver(LaneMemory(opened, blocks, 0)) {}
  std::shared_ptr<SharedMemory> made, opened;
  LaneSender sender;
  LaneReceiver receiver;
};

TEST_CASE("messages come out of a lane as they went in, whatever is read first", "[lane]") {
  const uint64_t seed = Catch::rngSeed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Ends ends(8);
  struct Held {
    std::string bytes;
    Payload payload;
  };
  std::deque<Held> held;
  size_t put = 0;
  size_t full = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    const std::string bytes = Words(seed + i, 1 + random() % (4 * kBlock));
    if (const auto extent = ends.sender.Put(Payload::CopyOf(bytes))) {
      std::optional<Payload> taken = ends.receiver.Take(*extent);
      REQUIRE(taken.has_value());
      held.push_back({bytes, *std::move(taken)});
      ++put;
    } else {
      ++full;
      REQUIRE_FALSE(held.empty());
    }
    while (!held.empty() && random() % 3 == 0) {
      const size_t which = random() % held.size();
      REQUIRE(held[which].payload.ToString() == held[which].bytes);
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
    }
  }
  for (const Held& one : held) REQUIRE(one.payload.ToString() == one.bytes);
  CHECK(put > 500);
  CHECK(full > 100);
}

TEST_CASE("a lane takes the lowest blocks, and so no more memory than it needs", "[lane]") {
  Ends ends(64);
  for (int i = 0; i < 1000; ++i) {
    const auto extent = ends.sender.Put(Payload::CopyOf(std::string(3 * kBlock, 'x')));
    REQUIRE(extent.has_value());
    CHECK(extent->block == 0);
    CHECK(ends.receiver.Take(*extent)->size() == 3 * kBlock);
  }
}

TEST_CASE("what is larger than a lane, or empty, is not put into it", "[lane]") {
  Ends ends(4);
  CHECK(ends.sender.Fits(4 * kBlock));
  CHECK_FALSE(ends.sender.Fits(4 * kBlock + 1));
  CHECK_FALSE(ends.sender.Put(Payload::CopyOf(std::string(4 * kBlock + 1, 'x'))).has_value());
  CHECK_FALSE(ends.sender.Put(Payload()).has_value());
  CHECK(ends.sender.Put(Payload::CopyOf(std::string(4 * kBlock, 'x'))).has_value());
}

TEST_CASE(
    "the sender that waits for room is told when a quarter of the lane, or all of it, was read",
    "[lane]") {
  Ends ends(16);
  std::deque<Payload> held;
  for (int i = 0; i < 16; ++i) {
    const auto extent = ends.sender.Put(Payload::CopyOf(std::string(kBlock, 'x')));
    held.push_back(*ends.receiver.Take(*extent));
  }
  CHECK_FALSE(ends.sender.Put(Payload::CopyOf("x")).has_value());
  held.pop_front();
  CHECK_FALSE(ends.receiver.RoomIsDue());  // nobody waits
  ends.sender.AskForRoom();
  CHECK_FALSE(ends.receiver.RoomIsDue());  // 1 of 16
  for (int i = 0; i < 3; ++i) held.pop_front();
  CHECK(ends.receiver.RoomIsDue());
  CHECK_FALSE(ends.receiver.RoomIsDue());  // told
  ends.sender.AskForRoom();
  CHECK_FALSE(ends.receiver.RoomIsDue());
  held.clear();
  CHECK(ends.receiver.RoomIsDue());
}

TEST_CASE("no message lies where none can", "[lane]") {
  Ends ends(8);
  for (const Extent extent :
       {Extent{8, 1}, Extent{0, 0}, Extent{0, 8 * kBlock + 1}, Extent{7, kBlock + 1},
        Extent{UINT32_MAX, 1}, Extent{UINT32_MAX, UINT32_MAX}, Extent{1, UINT32_MAX}}) {
    CAPTURE(extent.block, extent.bytes);
    CHECK_FALSE(ends.receiver.Take(extent).has_value());
  }
  CHECK(ends.receiver.Take({7, kBlock}).has_value());
}

TEST_CASE("a receiver that lies about what it has read spoils its own messages alone", "[lane]") {
  Ends ends(4);
  const auto first = ends.sender.Put(Payload::CopyOf(std::string(4 * kBlock, 'a')));
  REQUIRE(first.has_value());
  const LaneMemory lane(ends.opened, 4, 0);
  for (uint32_t block = 0; block < 4; ++block) lane.mark(block).store(0);
  const auto second = ends.sender.Put(Payload::CopyOf(std::string(2 * kBlock, 'b')));
  REQUIRE(second.has_value());
  for (uint32_t block = 0; block < 4; ++block) lane.mark(block).store(UINT32_MAX);
  CHECK(ends.sender.Put(Payload::CopyOf(std::string(2 * kBlock, 'c'))).has_value());
  CHECK_FALSE(ends.sender.Put(Payload::CopyOf("d")).has_value());
}

TEST_CASE("payloads of a lane go on other threads, and outlive both ends", "[lane]") {
  std::deque<Payload> kept;
  std::string bytes = Words(7, 3 * kBlock);
  {
    Ends ends(8);
    for (int i = 0; i < 200; ++i) {
      std::optional<Extent> extent;
      while (!extent.has_value()) extent = ends.sender.Put(Payload::CopyOf(bytes));
      Payload payload = *ends.receiver.Take(*extent);
      if (i == 0) {
        kept.push_back(std::move(payload));
      } else {
        std::thread([payload = std::move(payload), &bytes] {
          if (payload.ToString() != bytes) std::abort();
        }).detach();
      }
    }
    // The lane is free again when the last of them is gone.
    std::optional<Extent> all;
    while (!all.has_value()) all = ends.sender.Put(Payload::CopyOf(std::string(4 * kBlock, 'x')));
  }
  CHECK(kept.front().ToString() == bytes);
}

TEST_CASE("without memory of the system a lane is broken, and says so", "[lane]") {
  Ends ends(8);
  // Nothing can be reserved through a descriptor of something else.
  const int other = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  REQUIRE(::dup2(other, static_cast<int>(ends.made->name().descriptor)) >= 0);
  ::close(other);
  CHECK_FALSE(ends.sender.broken());
  CHECK_FALSE(ends.sender.Put(Payload::CopyOf("hello")).has_value());
  CHECK(ends.sender.broken());
}

// ---- who may open what

TEST_CASE("only sealed memory of that name, size and token is opened", "[shared memory]") {
  const auto made = *SharedMemory::Create(1 << 16);
  const auto refused = [](const SharedMemoryName& name, size_t bytes) {
    const auto opened = SharedMemory::Open(name, bytes);
    CAPTURE(opened.status().ToString());
    return opened.status().code();
  };
  CHECK(SharedMemory::Open(made->name(), 1 << 16).ok());
  CHECK(refused(made->name(), 1 << 17) == absl::StatusCode::kInvalidArgument);

  SharedMemoryName name = made->name();
  name.token[3] ^= 1;
  CHECK(refused(name, 1 << 16) == absl::StatusCode::kNotFound);
  name = made->name();
  name.descriptor = 1 << 20;
  CHECK(refused(name, 1 << 16) == absl::StatusCode::kNotFound);
  name = made->name();
  name.pid = 0x7fffffff;
  CHECK(refused(name, 1 << 16) == absl::StatusCode::kNotFound);

  const auto of_descriptor = [&](int descriptor) {
    SharedMemoryName other = made->name();
    other.descriptor = static_cast<uint32_t>(descriptor);
    const absl::StatusCode code = refused(other, 1 << 16);
    ::close(descriptor);
    return code;
  };
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  CHECK(of_descriptor(pipe[0]) == absl::StatusCode::kInvalidArgument);
  CHECK(of_descriptor(pipe[1]) == absl::StatusCode::kInvalidArgument);
  CHECK(of_descriptor(::open("/dev/zero", O_RDWR)) == absl::StatusCode::kInvalidArgument);
  const auto memory_file = [](const char* label, unsigned flags) {
    const int descriptor = ::memfd_create(label, flags);
    REQUIRE(::ftruncate(descriptor, 1 << 16) == 0);
    return descriptor;
  };
  CHECK(of_descriptor(memory_file("other", MFD_ALLOW_SEALING)) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(of_descriptor(memory_file("kvstore-lanes", MFD_ALLOW_SEALING)) ==
        absl::StatusCode::kInvalidArgument);  // its size could still change
}

TEST_CASE("memory of another user is not opened", "[shared memory]") {
  if (::geteuid() != 0) {
    WARN("only root can become somebody else: not tried");
    return;
  }
  std::array<int, 2> names{}, end{};
  REQUIRE(::pipe(names.data()) == 0);
  REQUIRE(::pipe(end.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(1);
    const auto made = SharedMemory::Create(1 << 16);
    if (!made.ok()) ::_exit(2);
    const SharedMemoryName name = (*made)->name();
    char byte = 0;
    ::close(end[1]);
    if (::write(names[1], &name, sizeof(name)) != sizeof(name)) ::_exit(3);
    ::_exit(::read(end[0], &byte, 1) == 0 ? 0 : 4);  // until the other end is closed
  }
  SharedMemoryName name;
  REQUIRE(::read(names[0], &name, sizeof(name)) == sizeof(name));
  const auto opened = SharedMemory::Open(name, 1 << 16);
  CAPTURE(opened.status().ToString());
  CHECK(opened.status().code() == absl::StatusCode::kPermissionDenied);
  ::close(end[1]);
  int exit_status = 1;
  REQUIRE(::waitpid(child, &exit_status, 0) == child);
  CHECK(exit_status == 0);
  for (const int descriptor : {names[0], names[1], end[0]}) ::close(descriptor);
}

}  // namespace
}  // namespace kvstore::testing
