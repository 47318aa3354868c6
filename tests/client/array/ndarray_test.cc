#include "kvstore/ndarray.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <vector>

#include "client/array/ndarray_impl.h"
#include "kvstore/error.h"
#include "tests/support/expect_error.h"

namespace kvstore {
namespace {

class QuietOwner : public OperationOwner {
 public:
  void Flush() noexcept override {}
  int64_t operation_timeout_ms() const override { return timeout_ms; }
  absl::Status Overdue(const std::vector<OverdueOperation>& operations, int64_t) override {
    return absl::DeadlineExceededError(operations[0].what);
  }
  int64_t timeout_ms = 60000;
};

// An operation on `array` that stays under way until the returned token is dropped.
TokenPtr Begin(const NDArray& array, Access access, std::shared_ptr<QuietOwner> owner = nullptr) {
  TokenPtr kept;
  std::vector<OperationSpec> specs(1);
  specs[0].owner = owner != nullptr ? owner : std::make_shared<QuietOwner>();
  specs[0].verb = "Pull";
  specs[0].subject = std::make_shared<OperationSubject>(OperationSubject{"3", "key 3"});
  specs[0].uses = {{array.impl()->var, access}};
  specs[0].issue = [&kept](const TokenPtr& token) { kept = token; };
  auto& engine = DependencyEngine::Process();
  engine.Run(engine.Append(std::move(specs)));
  return kept;
}

void Finish(TokenPtr* token, absl::Status status = absl::OkStatus()) {
  (*token)->Finish(std::move(status));
  *token = nullptr;
}

}  // namespace

TEST_CASE("a new array has its shape, is zero, and is shared by copies", "[ndarray]") {
  const NDArray array({2, 3}, DataType::kFloat64);
  CHECK_FALSE(array.empty());
  CHECK(array.shape() == std::vector<int64_t>{2, 3});
  CHECK(array.size() == 6);
  CHECK(array.bytes() == 48);
  CHECK(array.dtype() == DataType::kFloat64);
  CHECK(array.storage_type() == StorageType::kDefault);
  CHECK(array.context().device == Context::Device::kCpu);
  for (int i = 0; i < 6; ++i) CHECK(array.data_as<double>()[i] == 0.0);
  const NDArray copy = array;
  copy.data_as<double>()[5] = 7;
  CHECK(array.data_as<double>()[5] == 7);
}

TEST_CASE("an array of shape [] has one element", "[ndarray]") {
  CHECK(NDArray(std::vector<int64_t>{}).size() == 1);
}

TEST_CASE("an empty handle has nothing and nothing to wait for", "[ndarray]") {
  const NDArray none;
  CHECK(none.empty());
  CHECK(none.size() == 0);
  CHECK(none.bytes() == 0);
  CHECK(none.shape().empty());
  CHECK(none.data() == nullptr);
  none.WaitToRead();
  none.WaitToWrite();
}

TEST_CASE("shapes, dtypes and contexts that cannot be are refused by name", "[ndarray]") {
  float bytes[4] = {};
  const auto gpu = Context::Gpu(1);
  CHECK_ERROR(NDArray({2, -1}), kInvalidArgument, "[2,-1]");
  CHECK_ERROR(NDArray({-1}), kInvalidArgument, "[-1]");
  CHECK_ERROR(NDArray(std::vector<int64_t>(9, 1)), kInvalidArgument,
              "8 dimensions expected, got 9");
  CHECK_ERROR(NDArray({int64_t{1} << 32, int64_t{1} << 32}), kInvalidArgument, "2^40");
  CHECK_ERROR(NDArray({4}, static_cast<DataType>(77)), kInvalidArgument, "77");
  CHECK_ERROR(NDArray({4}, DataType::kFloat32, gpu), kFailedPrecondition, "gpu(1): missing: ");
  CHECK_ERROR(NDArray({4}, DataType::kFloat32, Context::CpuPinned()), kFailedPrecondition,
              "cpu_pinned(0): missing: ");
  CHECK_ERROR(NDArray::FromBlob(bytes, {4}, DataType::kFloat32, gpu), kFailedPrecondition,
              "gpu(1): missing: ");
  CHECK_ERROR(NDArray::FromBlob(nullptr, {4}), kInvalidArgument, "got null");
}

TEST_CASE("an array without elements has a shape, and may have no bytes", "[ndarray]") {
  const NDArray none({2, 0, 3});
  CHECK_FALSE(none.empty());
  CHECK(none.shape() == std::vector<int64_t>{2, 0, 3});
  CHECK(none.size() == 0);
  CHECK(none.bytes() == 0);
  const NDArray blob = NDArray::FromBlob(nullptr, {0});
  CHECK(blob.size() == 0);
  // They are no allocation that two could share.
  const NDArray other = NDArray::FromBlob(nullptr, {0});
  const TokenPtr busy = Begin(blob, Access::kWrite);
  other.WaitToWrite();
  busy->Finish(absl::OkStatus());
}

TEST_CASE("FromBlob borrows the bytes and calls the deleter once, when the last handle goes",
          "[ndarray]") {
  std::vector<float> bytes = {1, 2, 3};
  int deleted = 0;
  {
    NDArray array =
        NDArray::FromBlob(bytes.data(), {3}, DataType::kFloat32, Context::Cpu(), [&](void* data) {
          CHECK(data == bytes.data());
          ++deleted;
        });
    CHECK(array.data() == bytes.data());
    const NDArray copy = array;
    array = NDArray();
    CHECK(deleted == 0);
  }
  CHECK(deleted == 1);
}

TEST_CASE("the deleter waits for operations that use the array", "[ndarray]") {
  float bytes[1] = {};
  bool deleted = false;
  NDArray array = NDArray::FromBlob(bytes, {1}, DataType::kFloat32, Context::Cpu(),
                                    [&](void*) { deleted = true; });
  TokenPtr token;
  std::vector<OperationSpec> specs(1);
  specs[0].owner = std::make_shared<QuietOwner>();
  specs[0].uses = {{array.impl()->var, Access::kRead}};
  specs[0].issue = [&token, array](const TokenPtr& t) { token = t; };
  auto& engine = DependencyEngine::Process();
  engine.Run(engine.Append(std::move(specs)));
  array = NDArray();
  CHECK_FALSE(deleted);
  Finish(&token);
  CHECK(deleted);
}

TEST_CASE("two FromBlob of one pointer are one allocation, arrays of other pointers are others",
          "[ndarray]") {
  float bytes[8] = {};
  const NDArray a = NDArray::FromBlob(bytes, {8});
  const NDArray b = NDArray::FromBlob(bytes, {2});
  const NDArray c = NDArray::FromBlob(bytes + 4, {4});
  CHECK(a.impl()->var == b.impl()->var);
  CHECK(a.impl()->var != c.impl()->var);
  const NDArray own({4});
  CHECK(NDArray::FromBlob(own.data(), {4}).impl()->var == own.impl()->var);
  // The SDK's view for updaters is apart.
  CHECK(MakeDetachedArray(bytes, {8}, DataType::kFloat32).impl()->var != a.impl()->var);
  CHECK(NDArray::FromBlob(bytes, {8}).impl()->var == a.impl()->var);
}

TEST_CASE("a pointer whose arrays are all gone is a new allocation", "[ndarray]") {
  float bytes[1] = {};
  std::weak_ptr<Var> old = NDArray::FromBlob(bytes, {1}).impl()->var;
  CHECK(old.expired());
  // Many of them leave nothing behind that would grow without end.
  std::vector<float> many(10000);
  for (float& x : many) NDArray::FromBlob(&x, {1});
}

TEST_CASE("WaitToRead waits for writers, WaitToWrite for readers too", "[ndarray]") {
  const NDArray array({4});
  TokenPtr reader = Begin(array, Access::kRead);
  array.WaitToRead();
  auto write = std::async(std::launch::async, [&] { array.WaitToWrite(); });
  Finish(&reader);
  write.get();

  TokenPtr writer = Begin(array, Access::kWrite);
  auto read = std::async(std::launch::async, [&] { array.WaitToRead(); });
  Finish(&writer);
  read.get();
}

TEST_CASE("a failed operation is thrown once by the next wait it concerns", "[ndarray]") {
  const NDArray array({4});
  TokenPtr writer = Begin(array, Access::kWrite);
  Finish(&writer, absl::NotFoundError("key 3 was never initialised"));
  CHECK_ERROR(array.WaitToRead(), kNotFound, "key 3 was never initialised");
  array.WaitToRead();
  array.WaitToWrite();

  TokenPtr reader = Begin(array, Access::kRead);
  Finish(&reader, absl::DataLossError("server 0"));
  array.WaitToRead();  // what was read is as it was
  try {
    array.WaitToWrite();
    FAIL("WaitToWrite did not throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kDataLoss);
    CHECK(error.key() == "3");
  }
}

TEST_CASE("an overdue wait throws DEADLINE_EXCEEDED and may be repeated", "[ndarray]") {
  const NDArray array({4});
  const auto owner = std::make_shared<QuietOwner>();
  owner->timeout_ms = 5;
  TokenPtr writer = Begin(array, Access::kWrite, owner);
  CHECK_ERROR(array.WaitToRead(), kDeadlineExceeded, "Pull of key 3");
  CHECK_ERROR(array.WaitToRead(), kDeadlineExceeded, "Pull of key 3");
  Finish(&writer);
  array.WaitToRead();
}

TEST_CASE("a forked child does not wait for its parent's operations, and arrays work there",
          "[ndarray]") {
  const NDArray array({4});
  TokenPtr writer = Begin(array, Access::kWrite);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // No Catch2 in here: the exit code is the verdict.
    int verdict = 1;
    try {
      array.WaitToRead();
    } catch (const Error& error) {
      verdict = error.code() == ErrorCode::kFailedPrecondition ? 0 : 2;
    }
    NDArray fresh({1000});
    fresh.WaitToRead();
    _exit(verdict);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  Finish(&writer);
  array.WaitToRead();
}

}  // namespace kvstore
