// Streams and events of the plugin, as the SDK uses them: what is put on a stream is done in that
// order, and what waits for an event after that, whatever else is done when.
#include "client/device/device_stream.h"

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "tests/client/device/simulated_gpus.h"
#include "tests/client/device/simulation.h"

namespace kvstore {
namespace {

using cuda_sim::Call;
using testing::Simulation;
using testing::Sound;
using testing::UseSimulatedGpus;

constexpr size_t kElements = 1000;
constexpr size_t kBytes = kElements * sizeof(float);
constexpr uint64_t kSeeds = 20;

const DeviceLibrary& Library() {
  UseSimulatedGpus();
  const auto library = DeviceLibrary::For(Context::Gpu(0));
  REQUIRE(library.ok());
  return **library;
}

template <typename T>
T Got(absl::StatusOr<T> got) {
  INFO(got.status());
  REQUIRE(got.ok());
  return *std::move(got);
}

void Must(const absl::Status& status) {
  INFO(status);
  REQUIRE(status.ok());
}

// kElements in a GPU's memory or in pinned memory, not initialised.
struct Numbers {
  explicit Numbers(Context where)
      : context(where),
        memory(Got(OnDevice(where) ? Library().Allocate(where.index, kBytes)
                                   : Library().AllocatePinned(0, kBytes))) {}
  explicit Numbers(float number) : Numbers(Context::CpuPinned()) { Fill(number); }
  void Fill(float number) const {
    for (size_t i = 0; i < kElements; ++i) host()[i] = number;
  }
  float* host() const { return static_cast<float*>(memory.get()); }
  MemoryAt to() const { return {context, memory.get()}; }
  ConstMemoryAt from() const { return {context, memory.get()}; }

  Context context;
  std::shared_ptr<void> memory;
};

bool AllAre(const Numbers& numbers, float expected) {
  for (size_t i = 0; i < kElements; ++i) {
    if (numbers.host()[i] != expected) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a sum between two copies on a stream is theirs, and the event comes after it",
          "[device][streams]") {
  const DeviceLibrary& library = Library();
  const Sound sound;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    Simulation().seed(seed);
    const Numbers one(1), two(2), sum(0);
    const Numbers x(Context::Gpu(1)), y(Context::Gpu(1)), z(Context::Gpu(1));
    const auto stream = Got(DeviceStream::Create(library, 1));
    const auto event = Got(DeviceEvent::Create(library, 1));
    CHECK(Got(event.HasCome()));
    Must(stream.Copy(x.to(), one.from(), kBytes));
    Must(stream.Copy(y.to(), two.from(), kBytes));
    const void* const sources[] = {x.memory.get(), y.memory.get()};
    Must(stream.Fold(DType::kFloat32, sources, kElements, false, z.memory.get()));
    Must(stream.Copy(sum.to(), z.from(), kBytes));
    Must(stream.Record(event));
    if (seed == 0) CHECK(AllAre(sum, 0));
    if (seed % 2 == 0) {
      Must(event.Wait());
    } else {
      while (!Got(event.HasCome())) {
      }
    }
    CHECK(AllAre(sum, 3));
  }
}

TEST_CASE("a stream waits for an event of another GPU's", "[device][streams]") {
  const DeviceLibrary& library = Library();
  const Sound sound;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    Simulation().seed(seed);
    const Numbers from(5), to(0);
    const Numbers there(Context::Gpu(0)), here(Context::Gpu(1));
    const auto first = Got(DeviceStream::Create(library, 0));
    const auto second = Got(DeviceStream::Create(library, 1));
    const auto there_now = Got(DeviceEvent::Create(library, 0));
    Must(first.Copy(there.to(), from.from(), kBytes));
    Must(first.Record(there_now));
    Must(second.Await(there_now));
    Must(second.Copy(here.to(), there.from(), kBytes));
    Must(second.Copy(to.to(), here.from(), kBytes));
    Must(second.Wait());
    CHECK(AllAre(to, 5));
  }
}

TEST_CASE("a copy between GPUs that do not reach each other comes after what is on its stream",
          "[device][streams]") {
  const DeviceLibrary& library = Library();
  const Sound sound;
  Simulation().refuse_peers(true);
  const Numbers old(1), from(7), to(0);
  const Numbers there(Context::Gpu(0)), here(Context::Gpu(1));
  const auto stream = Got(DeviceStream::Create(library, 1));
  Must(library.Copy(there.to(), from.from(), kBytes));
  Must(stream.Copy(here.to(), old.from(), kBytes));
  Must(stream.Copy(here.to(), there.from(), kBytes));
  Must(stream.Copy(to.to(), here.from(), kBytes));
  Must(stream.Wait());
  CHECK(AllAre(to, 7));
}

TEST_CASE("what fails on a stream is an error of who waits, and of who asks",
          "[device][streams][errors]") {
  const DeviceLibrary& library = Library();
  const Sound sound;
  const Numbers from(1), here(Context::Gpu(0));
  const auto stream = Got(DeviceStream::Create(library, 0));
  const auto event = Got(DeviceEvent::Create(library, 0));
  Simulation().fail(Call::kCopyUnderWay, 0);
  Must(stream.Copy(here.to(), from.from(), kBytes));
  Must(stream.Record(event));
  CHECK(event.Wait().code() == absl::StatusCode::kInternal);
  CHECK(event.HasCome().status().code() == absl::StatusCode::kInternal);
  CHECK(stream.Wait().code() == absl::StatusCode::kInternal);
  const void* const sources[] = {from.memory.get()};
  const absl::Status wrong =
      stream.Fold(DType::kFloat32, sources, kElements, false, here.memory.get());
  CHECK(wrong.code() == absl::StatusCode::kInternal);
}

}  // namespace kvstore
