// Tensors of DLPack in both forms, made by hand as the standard lays them out. (dlpack_test.py does
// the same with NumPy, which knows the older form.)
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstring>
#include <vector>

#include "client/array/dlpack_abi.h"
#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"
#include "tests/support/arrays.h"
#include "tests/support/expect_error.h"

namespace kvstore {
namespace {

// Where the standard puts each field on a machine with pointers of 8 bytes.
static_assert(sizeof(dlpack::Tensor) == 48 && offsetof(dlpack::Tensor, dimensions) == 16 &&
              offsetof(dlpack::Tensor, dtype) == 20 && offsetof(dlpack::Tensor, shape) == 24 &&
              offsetof(dlpack::Tensor, byte_offset) == 40);
static_assert(sizeof(dlpack::Managed) == 64 && offsetof(dlpack::Managed, deleter) == 56);
static_assert(sizeof(dlpack::ManagedVersioned) == 80 &&
              offsetof(dlpack::ManagedVersioned, deleter) == 16 &&
              offsetof(dlpack::ManagedVersioned, flags) == 24 &&
              offsetof(dlpack::ManagedVersioned, tensor) == 32);

// A tensor of [2,2] f32 in one of the forms, which counts how often it is deleted.
template <typename Struct>
struct Foreign {
  std::vector<float> numbers = {1, 2, 3, 4};
  std::vector<int64_t> shape = {2, 2};
  Struct managed{};
  int deleted = 0;

  Foreign() {
    managed.tensor.data = numbers.data();
    managed.tensor.device = {dlpack::kCpu, 0};
    managed.tensor.dimensions = 2;
    managed.tensor.dtype = {dlpack::kFloat, 32, 1};
    managed.tensor.shape = shape.data();
    managed.context = this;
    managed.deleter = [](Struct* self) { ++static_cast<Foreign*>(self->context)->deleted; };
    SetVersion(&managed);
  }
  static void SetVersion(dlpack::Managed*) {}
  static void SetVersion(dlpack::ManagedVersioned* tensor) { tensor->version = {1, 3}; }

  NDArray Take() { return NDArray::FromDLPack(Handle(&managed)); }
  static DLManagedTensor* Handle(dlpack::Managed* tensor) {
    return static_cast<DLManagedTensor*>(static_cast<void*>(tensor));
  }
  static DLManagedTensorVersioned* Handle(dlpack::ManagedVersioned* tensor) {
    return static_cast<DLManagedTensorVersioned*>(static_cast<void*>(tensor));
  }
};

dlpack::ManagedVersioned* Seen(DLManagedTensorVersioned* tensor) {
  return static_cast<dlpack::ManagedVersioned*>(static_cast<void*>(tensor));
}

}  // namespace

TEMPLATE_TEST_CASE("an array over a tensor shares its bytes and deletes it once", "[dlpack]",
                   dlpack::Managed, dlpack::ManagedVersioned) {
  Foreign<TestType> foreign;
  {
    const NDArray array = foreign.Take();
    CHECK(array.data() == foreign.numbers.data());
    CHECK(array.shape() == Dims{2, 2});
    const NDArray copy = array;
    CHECK(foreign.deleted == 0);
  }
  CHECK(foreign.deleted == 1);
}

TEMPLATE_TEST_CASE("a tensor without elements and without an address is deleted once, too",
                   "[dlpack]", dlpack::Managed, dlpack::ManagedVersioned) {
  Foreign<TestType> foreign;
  foreign.shape = {0, 2};
  foreign.managed.tensor.data = nullptr;
  {
    const NDArray array = foreign.Take();
    CHECK(array.shape() == Dims{0, 2});
    CHECK(foreign.deleted == 0);
  }
  CHECK(foreign.deleted == 1);
}

TEMPLATE_TEST_CASE("a tensor that is refused stays its owner's", "[dlpack][errors]",
                   dlpack::Managed, dlpack::ManagedVersioned) {
  Foreign<TestType> foreign;
  dlpack::Tensor& tensor = foreign.managed.tensor;
  std::vector<int64_t> strides = {1, 2};
  const char* message = "";
  SECTION("strides") {
    tensor.strides = strides.data();
    message =
        "elements in row-major order without gaps expected, got shape [2,2] with strides "
        "[1,2]";
  }
  SECTION("dtype") {
    tensor.dtype = {dlpack::kUInt, 16, 1};
    message = "f32, f64, f16, bf16, u8, i8, i32, i64 or bool expected, got type code 1 of 16 bits";
  }
  SECTION("lanes") {
    tensor.dtype.lanes = 4;
    message = "of 32 bits and 4 lanes";
  }
  SECTION("other devices") {
    tensor.device = {7, 0};
    message = "got device type 7";
  }
  SECTION("dimensions below 0") {
    foreign.shape[1] = -2;
    message = "dimensions of at least 0 expected, got shape [2,-2]";
  }
  SECTION("a number of dimensions below 0") {
    tensor.dimensions = -1;
    message = "a shape expected, got -1 dimensions";
  }
  SECTION("no bytes") {
    tensor.data = nullptr;
    message = "got null";
  }
  CHECK_ERROR(foreign.Take(), kInvalidArgument, message);
  CHECK(foreign.deleted == 0);
}

TEMPLATE_TEST_CASE("a tensor on a GPU is refused where there is none", "[dlpack][errors]",
                   dlpack::Managed, dlpack::ManagedVersioned) {
  Foreign<TestType> foreign;
  foreign.managed.tensor.device = {dlpack::kCuda, 1};
  CHECK_ERROR(foreign.Take(), kFailedPrecondition, "gpu(1): missing: ");
  CHECK(foreign.deleted == 0);
}

TEST_CASE("null, and a version that may be laid out otherwise, are refused", "[dlpack][errors]") {
  DLManagedTensor* none = nullptr;
  CHECK_ERROR(NDArray::FromDLPack(none), kInvalidArgument, "a tensor expected, got null");
  Foreign<dlpack::ManagedVersioned> foreign;
  foreign.managed.version = {2, 0};
  CHECK_ERROR(foreign.Take(), kInvalidArgument, "DLPack version 1 expected, got version 2.0");
  CHECK(foreign.deleted == 0);
}

TEMPLATE_TEST_CASE("a tensor may begin behind its pointer and have no deleter", "[dlpack]",
                   dlpack::Managed, dlpack::ManagedVersioned) {
  Foreign<TestType> foreign;
  foreign.managed.tensor.byte_offset = 8;
  foreign.managed.deleter = nullptr;
  foreign.shape = {1, 2};
  std::vector<int64_t> strides = {77, 1};  // that of a dimension of 1 says nothing
  foreign.managed.tensor.strides = strides.data();
  const NDArray array = foreign.Take();
  CHECK(Read(array) == Floats{3, 4});
}

TEST_CASE("what is read-only may be pushed and not pulled into", "[dlpack][errors]") {
  Foreign<dlpack::ManagedVersioned> foreign;
  foreign.managed.flags = dlpack::kReadOnly;
  NDArray array = foreign.Take();
  const auto store = KVStore::CreateUnique("local");
  store->Init(Ints{1}, {array});
  store->Push(Ints{1}, {array});
  CHECK_ERROR(store->Pull(Ints{1}, {&array}), kInvalidArgument,
              "key 1: an output that may be written expected, got a read-only array");
  CHECK(PullFrom(*store, 1, {2, 2}) == Floats{1, 2, 3, 4});
  CHECK_ERROR(array.ToDLPack(), kInvalidArgument, "ToDLPackVersioned");
  dlpack::ManagedVersioned* out = Seen(array.ToDLPackVersioned());
  CHECK(out->flags == dlpack::kReadOnly);
  out->deleter(out);
}

TEST_CASE("an array that was handed out lives until its tensor is deleted", "[dlpack]") {
  bool freed = false;
  std::vector<double> numbers = {5, 6, 7, 8, 9, 10};
  const auto handed = [&] {
    const NDArray array = NDArray::FromBlob(numbers.data(), {3, 2}, DataType::kFloat64,
                                            Context::Cpu(), [&](void*) { freed = true; });
    return Seen(array.ToDLPackVersioned());
  }();
  CHECK_FALSE(freed);
  CHECK(handed->version.major == 1);
  CHECK(handed->flags == 0);
  const dlpack::Tensor& tensor = handed->tensor;
  CHECK(tensor.data == numbers.data());
  CHECK(tensor.device.type == dlpack::kCpu);
  CHECK(tensor.dimensions == 2);
  CHECK(std::vector<int64_t>(tensor.shape, tensor.shape + 2) == Dims{3, 2});
  CHECK(std::vector<int64_t>(tensor.strides, tensor.strides + 2) == Dims{2, 1});
  CHECK(tensor.dtype.code == dlpack::kFloat);
  CHECK(tensor.dtype.bits == 64);
  CHECK(tensor.dtype.lanes == 1);
  CHECK(tensor.byte_offset == 0);
  handed->deleter(handed);
  CHECK(freed);
}

TEST_CASE("every dtype comes back through a tensor", "[dlpack]") {
  for (const DataType dtype :
       {DataType::kFloat32, DataType::kFloat64, DataType::kFloat16, DataType::kBFloat16,
        DataType::kUInt8, DataType::kInt8, DataType::kInt32, DataType::kInt64, DataType::kBool}) {
    const NDArray array({4}, dtype);
    const NDArray back = NDArray::FromDLPack(array.ToDLPack());
    CHECK(back.dtype() == dtype);
    CHECK(back.data() == array.data());
    CHECK(NDArray::FromDLPack(array.ToDLPackVersioned()).dtype() == dtype);
  }
}

TEST_CASE("an empty handle and a row_sparse array are no tensors", "[dlpack][errors]") {
  CHECK_ERROR(NDArray().ToDLPack(), kInvalidArgument,
              "an array of storage default expected, got an empty one");
  CHECK_ERROR(NDArray::RowSparse({2, 2}).ToDLPackVersioned(), kInvalidArgument,
              "an array of storage default expected, got row_sparse");
}

}  // namespace kvstore
