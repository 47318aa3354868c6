// Tensors of other frameworks on GPUs, in and out; and pinned memory.
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "client/array/dlpack_abi.h"
#include "client/device/device_library.h"
#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/client/device/simulated_gpus.h"
#include "tests/client/device/simulation.h"
#include "tests/support/arrays.h"
#include "tests/support/expect_error.h"

namespace kvstore {
namespace {

using testing::UseSimulatedGpus;

// The structs that the public header only names.
dlpack::Managed* Seen(DLManagedTensor* tensor) {
  return static_cast<dlpack::Managed*>(static_cast<void*>(tensor));
}
dlpack::ManagedVersioned* Seen(DLManagedTensorVersioned* tensor) {
  return static_cast<dlpack::ManagedVersioned*>(static_cast<void*>(tensor));
}

// A tensor of two rows of two f32 that somebody else has on a GPU.
class Foreign {
 public:
  explicit Foreign(int gpu) : memory_(Array({0, 1, 2, 3, 4}).Copy(Context::Gpu(gpu))) {
    tensor.tensor.data = memory_.data();
    tensor.tensor.byte_offset = sizeof(float);
    tensor.tensor.device = {dlpack::kCuda, gpu};
    tensor.tensor.dimensions = 2;
    tensor.tensor.dtype = {dlpack::kFloat, 32, 1};
    tensor.tensor.shape = shape_;
    tensor.context = this;
    tensor.deleter = [](dlpack::Managed* self) { ++static_cast<Foreign*>(self->context)->deleted; };
  }
  DLManagedTensor* given() { return static_cast<DLManagedTensor*>(static_cast<void*>(&tensor)); }

  dlpack::Managed tensor{};
  int deleted = 0;

 private:
  const NDArray memory_;
  int64_t shape_[2] = {2, 2};
};

}  // namespace

TEST_CASE("an array over a tensor on a GPU shares its bytes and deletes it once",
          "[device][dlpack]") {
  UseSimulatedGpus();
  Foreign foreign(1);
  {
    NDArray array = NDArray::FromDLPack(foreign.given());
    CHECK(array.context().device == Context::Device::kGpu);
    CHECK(array.context().index == 1);
    CHECK(array.shape() == Dims{2, 2});
    CHECK(Read(array) == Floats{1, 2, 3, 4});
    const auto store = KVStore::CreateUnique("device");
    store->Init(Ints{1}, {Filled(Dims{2, 2}, 0)});
    store->PushPull(Ints{1, 1}, Ints{1}, {array, Filled(Dims{2, 2}, 1)}, {&array});
    CHECK(Read(NDArray::FromBlob(static_cast<float*>(foreign.tensor.tensor.data) + 1, {4},
                                 DataType::kFloat32, Context::Gpu(1))) == Floats{2, 3, 4, 5});
    CHECK(foreign.deleted == 0);
  }
  CHECK(foreign.deleted == 1);
}

TEST_CASE("an array on a GPU goes out as a tensor there, and comes back", "[device][dlpack]") {
  UseSimulatedGpus();
  const NDArray array = Array({1, 2, 3}).Copy(Context::Gpu(1));
  dlpack::Managed* const plain = Seen(array.ToDLPack());
  CHECK(plain->tensor.device.type == dlpack::kCuda);
  CHECK(plain->tensor.device.index == 1);
  CHECK(plain->tensor.data == array.data());
  plain->deleter(plain);
  DLManagedTensorVersioned* const out = array.ToDLPackVersioned();
  CHECK(Seen(out)->tensor.device.type == dlpack::kCuda);
  const NDArray back = NDArray::FromDLPack(out);
  CHECK(back.data() == array.data());
  CHECK(back.context().index == 1);
  CHECK(Read(back) == Floats{1, 2, 3});
  const NDArray none = NDArray::FromDLPack(NDArray({0}).Copy(Context::Gpu(1)).ToDLPack());
  CHECK(none.size() == 0);
}

TEST_CASE("a tensor that is not in the memory of its GPU is refused, and stays its owner's",
          "[device][dlpack][errors]") {
  UseSimulatedGpus();
  Foreign foreign(0);
  foreign.tensor.tensor.device.index = 1;
  CHECK_ERROR(NDArray::FromDLPack(foreign.given()), kInvalidArgument,
              "FromDLPack: a tensor on gpu(1): an address in its memory expected, it is in that of "
              "gpu(0)");
  float bytes[4] = {};
  foreign.tensor.tensor.data = bytes;
  CHECK_ERROR(NDArray::FromDLPack(foreign.given()), kInvalidArgument, "it is not in a GPU's");
  foreign.tensor.tensor.device.index = 2;
  CHECK_ERROR(NDArray::FromDLPack(foreign.given()), kFailedPrecondition,
              "gpu(2): missing: a GPU of that number");
  CHECK(foreign.deleted == 0);
}

// A copy into what `foreign` has, on its maker's stream, and one on another stream; both are done
// when the seed wants it.
class Makers {
 public:
  explicit Makers(const Foreign& foreign) {
    library_ = *DeviceLibrary::For(Context::Gpu(1));
    for (void*& stream : streams_) {
      char text[256] = {};
      REQUIRE(library_->plugin().make_stream(1, &stream, text, sizeof text) == 0);
    }
    for (int i = 0; i < 4; ++i) made_.data_as<float>()[i] = 7;
    auto* const to = static_cast<float*>(foreign.tensor.tensor.data) + 1;
    Copy(0, 1, to, KVSTORE_DEVICE_HOST, made_.data());
    Copy(1, KVSTORE_DEVICE_HOST, other_.data(), 1, to);
  }
  ~Makers() {
    for (void* const stream : streams_) {
      char text[256] = {};
      library_->plugin().wait_for_stream(1, stream, text, sizeof text);
      library_->plugin().drop_stream(1, stream);
    }
  }
  int64_t stream() const { return reinterpret_cast<intptr_t>(streams_[0]); }
  bool other_is_done() const { return other_.data_as<float>()[0] != 0; }

 private:
  void Copy(size_t stream, int to_device, void* to, int from_device, const void* from) {
    char text[256] = {};
    REQUIRE(library_->plugin().copy_on(1, streams_[stream], to_device, to, from_device, from, 16,
                                       text, sizeof text) == 0);
  }

  const DeviceLibrary* library_ = nullptr;
  const NDArray made_{{4}, DataType::kFloat32, Context::CpuPinned()};
  const NDArray other_{{4}, DataType::kFloat32, Context::CpuPinned()};
  void* streams_[2] = {};
};

TEST_CASE("the stream on which a tensor was made is waited for, and no other one",
          "[device][dlpack][streams]") {
  UseSimulatedGpus();
  const testing::Sound sound;
  Foreign foreign(1);
  int left = 0;  // how often the other stream's copy was not done
  for (uint64_t seed = 1; seed < 30; ++seed) {
    CAPTURE(seed);
    testing::Simulation().seed(seed);
    const Makers makers(foreign);
    const NDArray array = NDArray::FromDLPack(foreign.given(), makers.stream());
    if (!makers.other_is_done()) ++left;
    CHECK(Read(array) == Floats{7, 7, 7, 7});
    const Makers again(foreign);
    const NDArray on_any = NDArray::FromDLPack(foreign.given());
    CHECK(again.other_is_done());
  }
  CHECK(left > 0);
}

TEST_CASE("of a tensor that is made nothing is waited for, nor on another stream",
          "[device][dlpack][streams]") {
  UseSimulatedGpus();
  const testing::Sound sound;
  Foreign foreign(1);
  for (const int64_t stream : {-1, 1, 2}) {
    CAPTURE(stream);
    int left = 0;
    for (uint64_t seed = 1; seed < 30; ++seed) {
      testing::Simulation().seed(seed);
      const Makers makers(foreign);
      const NDArray array = NDArray::FromDLPack(foreign.given(), stream);
      if (!makers.other_is_done()) ++left;
    }
    CHECK(left > 0);
  }
}

TEST_CASE("a stream that is none of the tensor's GPU is refused, and the tensor stays its owner's",
          "[device][dlpack][streams][errors]") {
  UseSimulatedGpus();
  Foreign foreign(0);
  for (const int64_t stream : {0, -2}) {
    CHECK_ERROR(NDArray::FromDLPack(foreign.given(), stream), kInvalidArgument,
                "FromDLPack: a stream as DLPack numbers it (-1, 1, 2 or a cudaStream_t) expected");
  }
  void* of_other = nullptr;
  char text[256] = {};
  const kvstore_device_plugin& plugin = (*DeviceLibrary::For(Context::Gpu(1)))->plugin();
  REQUIRE(plugin.make_stream(1, &of_other, text, sizeof text) == KVSTORE_DEVICE_OK);
  CHECK_ERROR(NDArray::FromDLPack(foreign.given(), reinterpret_cast<intptr_t>(of_other)),
              kInvalidArgument, "a tensor on gpu(0): ");
  plugin.drop_stream(1, of_other);
  CHECK(foreign.deleted == 0);
}

TEST_CASE("an array in pinned memory is one in host memory that GPUs copy from directly",
          "[device][ndarray]") {
  UseSimulatedGpus();
  NDArray pinned({3}, DataType::kFloat32, Context::CpuPinned(1));
  CHECK(pinned.context().device == Context::Device::kCpuPinned);
  CHECK(pinned.context().index == 1);
  CHECK(Read(pinned) == Floats{0, 0, 0});
  for (int i = 0; i < 3; ++i) pinned.data_as<float>()[i] = static_cast<float>(i);
  CHECK(Read(pinned.Copy(Context::Gpu(0)).Copy(Context::CpuPinned())) == Floats{0, 1, 2});
  for (const char* const type : {"local", "device"}) {
    const auto store = KVStore::CreateUnique(type);
    store->Init(Ints{1}, {pinned});
    NDArray out({3}, DataType::kFloat32, Context::CpuPinned());
    store->PushPull(Ints{1, 1}, Ints{1}, {pinned, Array({1, 1, 1}).Copy(Context::Gpu(1))}, {&out});
    out.WaitToRead();
    CHECK(out.data_as<float>()[2] == 3);
  }
  dlpack::Managed* const tensor = Seen(pinned.ToDLPack());
  CHECK(tensor->tensor.device.type == dlpack::kCudaHost);
  tensor->deleter(tensor);
  CHECK(NDArray({0}, DataType::kFloat32, Context::CpuPinned()).bytes() == 0);
  CHECK_ERROR(NDArray({3}, DataType::kFloat32, Context::CpuPinned(2)), kFailedPrecondition,
              "cpu_pinned(2): missing: a GPU of that number (there are 2)");
}

}  // namespace kvstore
