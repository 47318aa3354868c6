#include "server/embedded/program_code.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "kvstore/error.h"

namespace kvstore {
namespace {

KeySpec IntKey(int64_t key) {
  KeySpec spec;
  spec.key = KeyIdOf(key);
  spec.dtype = DType::kFloat32;
  spec.shape = {3};
  return spec;
}
KeySpec StringKey(const std::string& name) {
  KeySpec spec = IntKey(0);
  spec.name = name;
  spec.key = KeyIdOf(std::string_view(name));
  return spec;
}
MutableBufferPtr Floats(std::vector<float> values) {
  auto buffer = std::make_shared<Buffer>(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(buffer->data(), values.data(), buffer->size());
  return buffer;
}
float At(const MutableBufferPtr& buffer, size_t i) {
  float value = 0;
  std::memcpy(&value, buffer->data() + i * sizeof value, sizeof value);
  return value;
}

absl::Status Update(ProgramCode& code, const KeySpec& key, PartId part, MutableBufferPtr merged,
                    MutableBufferPtr stored) {
  ProgramUpdate update;
  update.key = &key;
  update.part = part;
  update.merged = std::move(merged);
  update.stored = std::move(stored);
  return code.Update(update);
}

// A program whose functions may be changed at any time.
struct Program {
  Program() {
    program.updater = [this] { return updater; };
    program.str_updater = [this] { return str_updater; };
    program.controller = [this](int id, const std::string& body) { controller(id, body); };
  }
  KVStore::Updater updater;
  KVStore::StrUpdater str_updater;
  KVStore::Controller controller;
  ServerProgram program;
  ProgramCode code{program};
};

TEST_CASE("an updater sees a part's elements and writes the new ones", "[embedded]") {
  Program p;
  CHECK_FALSE(p.code.is_set());
  p.updater = [](int key, const NDArray& merged, NDArray* stored) {
    CHECK(key == -7);
    CHECK(merged.shape() == std::vector<int64_t>{3});
    CHECK(stored->dtype() == DataType::kFloat32);
    for (int i = 0; i < 3; ++i) stored->data_as<float>()[i] += 2 * merged.data_as<float>()[i];
  };
  CHECK(p.code.is_set());
  const MutableBufferPtr stored = Floats({1, 2, 3});
  CHECK(Update(p.code, IntKey(-7), {KeyIdOf(int64_t{-7}), 2}, Floats({1, 1, 1}), stored).ok());
  CHECK(At(stored, 0) == 3);
  CHECK(At(stored, 2) == 5);
}

// Rows 5 and 66 of a table of 100 rows of 3, which are in one stripe of 61.
ProgramUpdate RowsOf(const KeySpec& key, MutableBufferPtr merged, MutableBufferPtr stored) {
  ProgramUpdate update;
  update.key = &key;
  update.part = {key.key, 5};
  update.rows = {5, 66};
  update.row_elements = 3;
  update.merged = std::move(merged);
  update.stored = std::move(stored);
  return update;
}

TEST_CASE("an updater sees the rows of a stripe and writes the new ones", "[embedded][rows]") {
  Program p;
  KeySpec key = IntKey(7);
  key.shape = {100, 3};
  key.storage = Storage::kRowSparse;
  CHECK(p.code.takes_rows());
  p.updater = [](int number, const NDArray& merged, NDArray* stored) {
    CHECK(number == 7);
    for (const NDArray* const array : std::initializer_list<const NDArray*>{&merged, stored}) {
      CHECK(array->storage_type() == StorageType::kRowSparse);
      CHECK(array->shape() == std::vector<int64_t>{100, 3});
      CHECK(array->indices() == std::vector<int64_t>{5, 66});
    }
    for (int i = 0; i < 6; ++i) stored->data_as<float>()[i] += 2 * merged.data_as<float>()[i];
  };
  const MutableBufferPtr stored = Floats({1, 2, 3, 4, 5, 6});
  CHECK(p.code.Update(RowsOf(key, Floats({1, 1, 1, 10, 10, 10}), stored)).ok());
  CHECK(At(stored, 0) == 3);
  CHECK(At(stored, 5) == 26);

  ProgramUpdate none = RowsOf(key, Floats({}), Floats({}));
  none.rows.clear();
  size_t seen = 1;
  p.updater = [&](int, const NDArray& merged, NDArray*) { seen = merged.indices().size(); };
  CHECK(p.code.Update(none).ok());
  CHECK(seen == 0);

  p.updater = [](int, const NDArray& merged, NDArray* other) { *other = merged; };
  CHECK(p.code.Update(RowsOf(key, Floats({1, 1, 1, 1, 1, 1}), stored)).code() ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE("an updater is chosen by the kind of the key", "[embedded]") {
  Program p;
  std::string seen;
  p.str_updater = [&](const std::string& key, const NDArray&, NDArray*) { seen = key; };
  const KeySpec key = StringKey("conv.weight");
  CHECK(Update(p.code, key, {key.key, 0}, Floats({1}), Floats({1})).ok());
  CHECK(seen == "conv.weight");
  const absl::Status other = Update(p.code, IntKey(3), {3, 0}, Floats({1}), Floats({1}));
  CHECK(other == absl::FailedPreconditionError("key 3 part 0: an updater for int keys expected, "
                                               "the server's is for string keys"));
}

TEST_CASE("whatever the program's code throws is a status that names what ran it", "[embedded]") {
  Program p;
  const auto update = [&] { return Update(p.code, IntKey(3), {3, 1}, Floats({1}), Floats({1})); };
  p.updater = [](int, const NDArray&, NDArray*) { throw std::runtime_error("no"); };
  CHECK(update() == absl::UnknownError("key 3 part 1: the server's updater threw no"));
  p.updater = [](int, const NDArray&, NDArray*) { throw Error(ErrorCode::kOutOfRange, "far"); };
  CHECK(update() ==
        absl::OutOfRangeError("key 3 part 1: the server's updater threw OUT_OF_RANGE: far"));
  p.updater = [](int, const NDArray&, NDArray*) { throw 3; };
  CHECK(update() == absl::UnknownError("key 3 part 1: the server's updater threw something that "
                                       "is no std::exception"));
  p.updater = [](int, const NDArray& merged, NDArray* stored) { *stored = merged; };
  CHECK(update().code() == absl::StatusCode::kInvalidArgument);

  p.controller = [](int, const std::string& body) { throw std::runtime_error(body); };
  CHECK(p.code.RunCommand({9, "why"}) == absl::UnknownError("command 9: the controller threw why"));
  CHECK(p.code.RunCommand({9, std::string(100000, 'x')}).message().size() < 2000);
  p.controller = [](int, const std::string&) { throw 3; };
  CHECK(p.code.RunCommand({9, "why"}).code() == absl::StatusCode::kUnknown);
  p.controller = [](int, const std::string&) {};
  CHECK(p.code.RunCommand({9, "why"}).ok());
}

TEST_CASE("the program's code is never called by two threads at once", "[embedded]") {
  Program p;
  std::atomic<int> inside{0};
  int calls = 0;  // no atomic: that is the point
  const auto enter = [&] {
    if (++inside != 1) throw std::runtime_error("two at once");
    ++calls;
    --inside;
  };
  p.updater = [&](int, const NDArray&, NDArray*) { enter(); };
  p.controller = [&](int, const std::string&) { enter(); };
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int n = 0; n < 500; ++n) {
        const absl::Status status =
            t == 0 ? p.code.RunCommand({7, ""})
                   : Update(p.code, IntKey(3), {3, 0}, Floats({1}), Floats({1}));
        if (!status.ok()) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(calls == 1500);
}

}  // namespace
}  // namespace kvstore
