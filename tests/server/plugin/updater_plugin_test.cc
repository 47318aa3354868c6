// Plugins in a shard: what is refused when they are loaded, what the example computes, what becomes
// of a part whose update fails.
#include "server/plugin/updater_plugin.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "common/kernels/kernels.h"
#include "common/rows/row_cut.h"
#include "server/values/tensor_values.h"

namespace kvstore {
namespace {

using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

std::string Broken(const std::string& name) {
  return std::string(KVS_BROKEN_PLUGINS) + "/" + name + ".so";
}

std::unique_ptr<UpdaterPlugin> Loaded(const std::string& path, const std::string& options = "") {
  auto plugin = UpdaterPlugin::Load(path, options);
  INFO(plugin.status().ToString());
  REQUIRE(plugin.ok());
  return *std::move(plugin);
}

std::string WhyNot(const std::string& path, const std::string& options = "") {
  const auto plugin = UpdaterPlugin::Load(path, options);
  CHECK(plugin.status().code() == absl::StatusCode::kInvalidArgument);
  const std::string message(plugin.status().message());
  CHECK(message.find('\n') == std::string::npos);
  const std::string before = "an updater plugin expected, got '" + path + "': ";
  CHECK_THAT(message, StartsWith(before));
  return message.substr(std::min(before.size(), message.size()));
}

KeySpec Key(DType dtype, Storage storage = Storage::kDense) {
  KeySpec key;
  key.key = 17;
  key.name = "weights";
  key.dtype = dtype;
  key.storage = storage;
  key.shape = {4, 2};
  return key;
}

Piece Dense(const std::vector<float>& values, DType dtype = DType::kFloat32) {
  std::string bytes(values.size() * DTypeBytes(dtype), '\0');
  if (dtype == DType::kFloat32) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
  } else {
    Narrow(dtype, bytes.data(), values.data(), values.size());
  }
  Piece piece;
  piece.data = Payload::CopyOf(bytes);
  return piece;
}

// Rows of two elements.
Piece Rows(const std::vector<int64_t>& ids, const std::vector<float>& values) {
  std::string bytes(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int64_t));
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  Piece piece;
  piece.rows = static_cast<uint32_t>(ids.size());
  piece.data = Payload::CopyOf(bytes);
  return piece;
}

std::vector<float> Floats(const Payload& payload, DType dtype = DType::kFloat32) {
  std::vector<uint8_t> bytes(payload.size());
  payload.CopyTo(bytes.data());
  std::vector<float> values(bytes.size() / DTypeBytes(dtype));
  if (dtype == DType::kFloat32) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
  } else {
    Widen(dtype, values.data(), bytes.data(), values.size());
  }
  return values;
}

std::vector<uint8_t> BytesOf(const Payload& payload) {
  std::vector<uint8_t> bytes(payload.size());
  payload.CopyTo(bytes.data());
  return bytes;
}

// Lion as the paper has it, in double; with the numbers of these tests every result is exact in
// f32.
struct Lion {
  double w = 0, m = 0;
  void Update(double g) {
    const double c = 0.5 * m + 0.5 * g;
    w -= 0.25 * ((c > 0) - (c < 0) + 0.5 * w);
    m = 0.5 * m + 0.5 * g;
  }
};
constexpr char kLionOptions[] = "learning_rate=0.25,beta1=0.5,beta2=0.5,wd=0.5";

}  // namespace

TEST_CASE("a plugin that cannot be used is refused, with the reason", "[plugin]") {
  CHECK(WhyNot("/no/such/plugin.so") == "there is no such file");
  const std::string text = Broken("no_shared_object");
  std::ofstream(text) << "just text";
  CHECK_THAT(WhyNot(text), StartsWith("it cannot be loaded: ") && EndsWith("file too short"));
  std::remove(text.c_str());
  CHECK_THAT(WhyNot(KVS_BROKEN_PLUGINS), StartsWith("it cannot be loaded: "));
  CHECK(WhyNot(Broken("no_symbol")) == "it does not export kvstore_updater_plugin_v1");
  CHECK(WhyNot(Broken("null_description")) ==
        "kvstore_updater_plugin_v1() returned a null pointer");
  CHECK(WhyNot(Broken("abi_3")) == "ABI 1 expected, got ABI 3");
  CHECK(WhyNot(Broken("short_struct")) ==
        "a description of at least 64 bytes expected, its struct_size is 16");
  CHECK(WhyNot(Broken("flags")) == "flags of 0x1 expected, got 0x6");
  CHECK(WhyNot(Broken("no_name")) ==
        "a name of 1 to 64 characters of [A-Za-z0-9_.-] expected, got a null pointer");
  CHECK(WhyNot(Broken("bad_name")) ==
        "a name of 1 to 64 characters of [A-Za-z0-9_.-] expected, got another");
  CHECK(WhyNot(Broken("many_states")) == "at most 8 arrays of state expected, got 9");
  CHECK(WhyNot(Broken("no_state_name")) ==
        "a name of 1 to 64 characters of [A-Za-z0-9_.-] expected for state 1");
  CHECK(WhyNot(Broken("null_open")) == "a function open expected, got a null pointer");
  CHECK(WhyNot(Broken("null_update")) == "a function update expected, got a null pointer");
  CHECK(WhyNot(Broken("null_close")) == "a function close expected, got a null pointer");
  CHECK(WhyNot(Broken("open_fails"), "x=1") == "'broken' said to its options: no such thing: x=1");
  CHECK(WhyNot(Broken("throws")) == "'throws' said to its options: an exception: options expected");
  CHECK(WhyNot(KVS_LION_PLUGIN, "beta1=1") ==
        "'lion' said to its options: learning_rate, beta1 (below 1), beta2 (below 1) or wd = a "
        "number from 0 expected, got 'beta1=1'");
}

TEST_CASE("an update says whose pushes its sum has, and how many workers there are", "[plugin]") {
  const auto plugin = Loaded(Broken("counts"));
  TensorValues values(plugin.get());
  const KeySpec dense = Key(DType::kFloat32), rows = Key(DType::kFloat32, Storage::kRowSparse);
  const std::unique_ptr<PartValue> value = values.Make(dense, {17, 0});
  value->Fill(Dense({1, 2, 3, 4, 5, 6, 7, 8}));
  value->Fold(0, Dense({1, 1, 1, 1, 1, 1, 1, 1}));
  REQUIRE(value->Update(0, {2, 3}).ok());
  CHECK(Floats(value->Read({})) == std::vector<float>(8, 203));
  const std::unique_ptr<PartValue> table = values.Make(rows, {17, 0});
  table->Fill(Rows({}, {}));
  table->Fold(0, Rows({1}, {1, 1}));
  REQUIRE(table->Update(0, {1, 4}).ok());
  Piece asked;
  asked.rows = 1;
  asked.data = Rows({1}, {}).data;
  CHECK(Floats(table->Read(asked)) == std::vector<float>(2, 104));
}

TEST_CASE("a plugin and its options are told on one line", "[plugin]") {
  CHECK(Loaded(KVS_LION_PLUGIN)->NameAndOptions() == "'lion'");
  CHECK(Loaded(KVS_LION_PLUGIN, "wd=0.5")->NameAndOptions() == "'lion' with options 'wd=0.5'");
  // What is long, or no text, is told by its hash: other options, another line.
  const std::string a = Loaded(Broken("counts"), std::string(5000, 'a'))->NameAndOptions();
  const std::string b = Loaded(Broken("counts"), std::string(5000, 'b'))->NameAndOptions();
  CHECK_THAT(a, StartsWith("'broken' with 5000 bytes of options (hash "));
  CHECK(a.size() <= 255);
  CHECK(a != b);
  CHECK_THAT(Loaded(Broken("counts"), "two\nlines")->NameAndOptions(),
             StartsWith("'broken' with 9 bytes of options (hash "));
}

TEST_CASE("the example is Lion, on dense parts, in f32 and with f16 rounded once", "[plugin]") {
  const DType dtype = GENERATE(DType::kFloat32, DType::kFloat16);
  CAPTURE(DTypeName(dtype));
  const auto plugin = Loaded(KVS_LION_PLUGIN, kLionOptions);
  CHECK(plugin->name() == "lion");
  CHECK(plugin->label() == "the updater plugin 'lion'");
  TensorValues values(plugin.get());
  CHECK(values.has_own_updater());
  const KeySpec key = Key(dtype);
  const std::unique_ptr<PartValue> value = values.Make(key, {17, 0});
  // The value, a sum of f32, and the momentum in f32.
  CHECK(value->Bytes() == 8 * (DTypeBytes(dtype) + 4 + 4));
  value->Fill(Dense({1, 2, 3, 4, -1, -2, -3, -4}, dtype));
  std::vector<Lion> expected(8);
  for (size_t i = 0; i < 8; ++i) {
    expected[i].w = i < 4 ? static_cast<double>(i) + 1 : 3 - static_cast<double>(i);
  }
  for (int round = 1; round <= 3; ++round) {
    std::vector<float> sum(8);
    for (size_t i = 0; i < 8; ++i) {
      const int g = static_cast<int>(i * 3 + static_cast<size_t>(round) * 5) % 7 - 3;
      sum[i] = static_cast<float>(g);
      expected[i].Update(g);
    }
    value->Fold(0, Dense(sum, dtype));
    REQUIRE(value->Update(0, {}).ok());
    const std::vector<float> got = Floats(value->Read({}), dtype);
    for (size_t i = 0; i < 8; ++i) {
      CAPTURE(round, i);
      // Three rounds add 9 bits to at most 3: f16 has 11.
      if (dtype == DType::kFloat32 || round < 3) {
        CHECK(static_cast<double>(got[i]) == expected[i].w);
      } else {
        CHECK(static_cast<double>(got[i]) ==
              Approx(expected[i].w).epsilon(0).margin(std::abs(expected[i].w) / 2048));
      }
    }
  }
}

TEST_CASE("rows of a sum are updated and no others, each with its own state", "[plugin]") {
  const auto plugin = Loaded(KVS_LION_PLUGIN, kLionOptions);
  TensorValues values(plugin.get());
  const KeySpec key = Key(DType::kFloat32, Storage::kRowSparse);
  const std::unique_ptr<PartValue> value = values.Make(key, {17, 0});
  value->Fill(Rows({0, 1, 2, 3}, {1, 1, 1, 1, 1, 1, 1, 1}));
  std::vector<Lion> expected(8, Lion{1, 0});
  const std::vector<std::vector<int64_t>> rounds = {{1, 3}, {0, 1}, {}, {3, 1}};
  for (const std::vector<int64_t>& rows : rounds) {
    std::vector<float> sum;
    for (const int64_t row : rows) {
      for (int column = 0; column < 2; ++column) {
        const auto g = static_cast<float>(row - 2 + int64_t{3} * column);
        sum.push_back(g);
        expected[static_cast<size_t>(row * 2 + column)].Update(static_cast<double>(g));
      }
    }
    value->Fold(0, Rows(rows, sum));
    REQUIRE(value->Update(0, {}).ok());
  }
  const std::vector<float> got = Floats(value->Read(Rows({0, 1, 2, 3}, {})));
  for (size_t i = 0; i < 8; ++i) CHECK(static_cast<double>(got[i]) == expected[i].w);
}

TEST_CASE("what a plugin remembers is saved with the part, and goes on from there", "[plugin]") {
  const Storage storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  const auto plugin = Loaded(KVS_LION_PLUGIN, kLionOptions);
  TensorValues values(plugin.get());
  const KeySpec key = Key(DType::kFloat32, storage);
  const auto piece = [&](float x) {
    return storage == Storage::kDense ? Dense(std::vector<float>(8, x))
                                      : Rows({1, 2}, {x, x, x, x});
  };
  const std::unique_ptr<PartValue> first = values.Make(key, {17, 0});
  first->Fill(piece(4));
  first->Fold(0, piece(3));
  REQUIRE(first->Update(0, {}).ok());
  const std::unique_ptr<PartValue> second = values.Make(key, {17, 0});
  REQUIRE(second->Load(first->Save()).ok());
  // -1 against a momentum of 1.5: without it the sign would be another.
  for (PartValue* value : {first.get(), second.get()}) {
    value->Fold(0, piece(-1));
    REQUIRE(value->Update(0, {}).ok());
  }
  CHECK(BytesOf(first->Save()) == BytesOf(second->Save()));
  const Piece asked = storage == Storage::kDense ? Piece{} : Rows({1}, {});
  Lion expected{4, 0};
  expected.Update(3);
  expected.Update(-1);
  CHECK(static_cast<double>(Floats(second->Read(asked))[0]) == expected.w);
}

TEST_CASE("an update that fails leaves value and state as they were", "[plugin]") {
  const Storage storage = GENERATE(Storage::kDense, Storage::kRowSparse);
  const auto plugin = Loaded(Broken("update_fails"));
  TensorValues values(plugin.get());
  const KeySpec key = Key(DType::kFloat32, storage);
  const auto piece = [&](float x) {
    return storage == Storage::kDense ? Dense(std::vector<float>(8, x))
                                      : Rows({1, 2}, {x, x, x, x});
  };
  const std::unique_ptr<PartValue> value = values.Make(key, {17, 0});
  value->Fill(piece(5));
  // Saved at the same version as the part that fails, so that the bytes can be compared.
  const std::unique_ptr<PartValue> same = values.Make(key, {17, 0});
  same->Fill(piece(5));
  value->Fold(0, piece(13));
  CHECK(value->Update(0, {}) ==
        absl::FailedPreconditionError("key 'weights' part 0: the updater plugin 'broken' said 13 "
                                      "is refused in round 1"));
  CHECK(value->version() == 1);
  const Piece asked = storage == Storage::kDense ? Piece{} : Rows({1}, {});
  CHECK(Floats(value->Read(asked))[0] == 5);
  // The next round finds a state of zeros, as the other part's first one does.
  for (PartValue* each : {value.get(), same.get()}) {
    each->Fold(0, piece(1));
    REQUIRE(each->Update(0, {}).ok());
  }
  same->Fold(0, piece(0));
  value->Fold(0, piece(0));
  REQUIRE(value->Update(0, {}).ok());
  REQUIRE(same->Update(0, {}).ok());
  same->Fold(0, piece(13));
  CHECK_FALSE(same->Update(0, {}).ok());
  CHECK(BytesOf(value->Save()) == BytesOf(same->Save()));
}

TEST_CASE("whatever a plugin returns or throws is a status that names key and plugin", "[plugin]") {
  const auto plugin = Loaded(Broken("update_fails"));
  TensorValues values(plugin.get());
  const KeySpec ints = Key(DType::kInt32);
  const std::unique_ptr<PartValue> value = values.Make(ints, {17, 0});
  value->Fill(Dense(std::vector<float>(8)));
  value->Fold(0, Dense(std::vector<float>(8)));
  CHECK(value->Update(0, {}) ==
        absl::UnknownError(
            "key 'weights' part 0: the updater plugin 'broken' said nothing, and returned 77"));

  const KeySpec key = Key(DType::kFloat32);
  const auto thrown = [&](const char* what) {
    const auto throws = Loaded(Broken("throws"), what);
    TensorValues of_throws(throws.get());
    const std::unique_ptr<PartValue> part = of_throws.Make(key, {17, 0});
    part->Fill(Dense(std::vector<float>(8)));
    part->Fold(0, Dense(std::vector<float>(8)));
    return part->Update(0, {});
  };
  CHECK(thrown("gone") ==
        absl::UnknownError(
            "key 'weights' part 0: the updater plugin 'throws' said an exception: gone"));
  CHECK(thrown("int") ==
        absl::UnknownError("key 'weights' part 0: the updater plugin 'throws' said an exception "
                           "that is no std::exception"));
}

TEST_CASE("a plugin without rows says so, and SetOptimizer is refused by its name", "[plugin]") {
  const auto plugin = Loaded(Broken("no_rows"));
  TensorValues values(plugin.get());
  CHECK(values.own_updater_label() == "the updater plugin 'broken'");
  const KeySpec key = Key(DType::kFloat32, Storage::kRowSparse);
  const std::unique_ptr<PartValue> value = values.Make(key, {17, 0});
  value->Fill(Rows({1}, {1, 1}));
  value->Fold(0, Rows({1}, {1, 1}));
  CHECK(value->Update(0, {}) ==
        absl::UnimplementedError("key 'weights': a dense key expected, this server runs the "
                                 "updater plugin 'broken', which has no rows"));
}

}  // namespace kvstore
