// The table of wrong arguments: each is refused when the call is made, by name, and the call has
// queued nothing.
#include <catch2/catch.hpp>
#include <cstring>

#include "client/api/key_table.h"
#include "client/api/store_types.h"
#include "client/base/error_border.h"
#include "kvstore/kvstore.h"
#include "tests/support/expect_error.h"
#include "tests/support/forked_child.h"

namespace kvstore {
namespace {

using Ints = std::vector<int>;
using Strings = std::vector<std::string>;

struct Fixture {
  std::unique_ptr<KVStore> store = KVStore::CreateUnique();
  NDArray a{{2, 3}}, b{{2, 3}}, wrong_shape{{3, 2}}, wrong_rank{{6}};
  NDArray wrong_dtype{{2, 3}, DataType::kFloat64};

  Fixture() {
    for (int i = 0; i < 6; ++i) {
      a.data_as<float>()[i] = 1.0f;
      wrong_shape.data_as<float>()[i] = wrong_rank.data_as<float>()[i] = -7.0f;
    }
    store->Init(Ints{1, 2}, {a, a});
  }
  // Whether the two keys still have what Init gave them.
  bool Untouched() {
    NDArray x({2, 3}), y({2, 3});
    store->Pull(Ints{1, 2}, {&x, &y});
    x.WaitToRead();
    y.WaitToRead();
    return std::memcmp(x.data(), a.data(), a.bytes()) == 0 &&
           std::memcmp(y.data(), a.data(), a.bytes()) == 0;
  }
};

}  // namespace

TEST_CASE("unknown types of store are errors that list the known ones", "[errors]") {
  CHECK_ERROR(KVStore::CreateUnique("foo"), kInvalidArgument, "local_allreduce_device, dist,");
  CHECK_ERROR(KVStore::CreateUnique("foo"), kInvalidArgument, "got 'foo'");
  CHECK_ERROR(KVStore::CreateUnique(""), kInvalidArgument, "got ''");
  CHECK_ERROR(KVStore::Create(nullptr), kInvalidArgument, "got ''");
  // MXNet takes the next one for a local store.
  CHECK_ERROR(KVStore::CreateUnique("distt_sync"), kInvalidArgument, "got 'distt_sync'");
}

TEST_CASE("types of store that are still to come say so", "[errors]") {
  const auto type = GENERATE(as<std::string>(), "nccl", "dist_ssp:3", "p3", "NCCL");
  CHECK_ERROR(KVStore::CreateUnique(type), kUnimplemented, "still to come");
}

TEST_CASE("the names of the dist family mean dist", "[errors]") {
  const auto type = GENERATE(as<std::string>(), "dist", "dist_sync", "dist_device_sync",
                             "dist_sync_device", "Dist_Sync");
  const auto parsed = ParseStoreType(type);
  REQUIRE(parsed.ok());
  CHECK(parsed->family == StoreFamily::kDist);
}

TEST_CASE("lists of different lengths are refused, empty ones are nothing", "[errors]") {
  Fixture f;
  CHECK_ERROR(f.store->Init(Ints{3}, {}), kInvalidArgument, "got 0 and 1");
  CHECK_ERROR(f.store->Push(Ints{1, 2}, {f.b}), kInvalidArgument, "as many values as keys");
  CHECK_ERROR(f.store->Push(Ints{}, {f.b}), kInvalidArgument, "got 1 and 0");
  CHECK_ERROR(f.store->Pull(Ints{1}, {&f.b, &f.b}), kInvalidArgument, "as many outputs as keys");
  CHECK_ERROR(f.store->PushPull(Ints{1}, {1}, {f.b}, {}), kInvalidArgument, "outputs");
  CHECK_ERROR(f.store->Broadcast(Ints{3}, {3}, {}, {&f.b}), kInvalidArgument, "values");
  f.store->Init(Ints{}, {});
  f.store->Push(Ints{}, {});
  f.store->Pull(Strings{}, {});
  f.store->PushPull(Ints{}, Ints{}, {}, {});
  f.store->Broadcast(Strings{}, Strings{}, {}, {});
  f.store->Wait(Ints{});
  CHECK(f.Untouched());
}

TEST_CASE("int and string keys do not mix", "[errors]") {
  Fixture f;
  CHECK_ERROR(f.store->Init(Strings{"w"}, {f.a}), kInvalidArgument, "mixed key types");
  CHECK_ERROR(f.store->Push(Strings{"1"}, {f.b}), kInvalidArgument, "mixed key types");
  CHECK_ERROR(f.store->Pull(Strings{"1"}, {&f.b}), kInvalidArgument, "got key '1'");
  CHECK_ERROR(f.store->Wait(Strings{"1"}), kInvalidArgument, "mixed key types");
  const auto store = KVStore::CreateUnique();
  store->Init(Strings{"1"}, {f.a});
  CHECK_ERROR(store->Push(Ints{1}, {f.b}), kInvalidArgument, "string keys expected");
}

TEST_CASE("keys that do not exist are not found", "[errors]") {
  Fixture f;
  CHECK_ERROR(f.store->Push(Ints{1, 9}, {f.b, f.b}), kNotFound, "key 9 was never initialised");
  CHECK_ERROR(f.store->Pull(Ints{9}, {&f.b}), kNotFound, "key 9");
  CHECK_ERROR(f.store->PushPull(Ints{9}, {9}, {f.b}, {&f.b}), kNotFound, "key 9");
  CHECK_ERROR(f.store->Wait(Ints{9}), kNotFound, "key 9");
  CHECK(f.store->status(9) == "NOT_FOUND: key 9 was never initialised");
  CHECK(f.Untouched());
  try {
    f.store->Push(Ints{9}, {f.b});
  } catch (const Error& error) {
    CHECK(error.key() == "9");
    CHECK(error.definite());
  }
}

TEST_CASE("a key is initialised once", "[errors]") {
  Fixture f;
  CHECK_ERROR(f.store->Init(Ints{1}, {f.b}), kAlreadyExists, "key 1 is initialised already");
  CHECK_ERROR(f.store->Init(Ints{1}, {f.wrong_shape}), kAlreadyExists, "key 1");
  CHECK_ERROR(f.store->Init(Ints{3, 2}, {f.b, f.b}), kAlreadyExists, "key 2");
  CHECK_ERROR(f.store->Init(Ints{3, 3}, {f.b, f.b}), kInvalidArgument, "key 3 comes twice");
  CHECK_ERROR(f.store->Init(Ints{3, 4}, {f.b, NDArray()}), kInvalidArgument,
              "key 4: an array expected");
  CHECK(f.store->status(3) == "NOT_FOUND: key 3 was never initialised");  // nothing was queued
  f.store->Init(Ints{3}, {f.b});
  CHECK(f.Untouched());
}

TEST_CASE("a rule with factors refuses ints and bools by name", "[errors]") {
  Fixture f;
  const auto dtype = GENERATE(DataType::kUInt8, DataType::kInt8, DataType::kInt32, DataType::kInt64,
                              DataType::kBool);
  f.store->SetOptimizer(OptimizerSpec("sgd"));
  const NDArray array({4}, dtype);
  f.store->Init(Ints{3}, {array});
  f.store->Push(Ints{3}, {array});
  CHECK_ERROR(f.store->Wait(Ints{3}), kInvalidArgument,
              std::string("optimizer 'sgd': dtype f32, f64, f16 or bf16 expected, got ") +
                  DataTypeName(dtype));
}

TEST_CASE("factors of keys are checked and named before anything is set", "[errors]") {
  Fixture f;
  const auto refused = [&](const OptimizerSpec& spec, const std::string& message) {
    CHECK_ERROR(f.store->SetOptimizer(spec), kInvalidArgument, message);
  };
  refused(OptimizerSpec("sgd").SetLrMult(1, -0.5),
          "key 1: lr_mult: a finite number >= 0 (within f32) expected, got -0.5");
  refused(OptimizerSpec("sgd").SetWdMult(2, std::nan("")), "key 2: wd_mult: ");
  refused(OptimizerSpec("sgd").Set("learning_rate", 3e38).SetLrMult(1, 100),
          "key 1: learning_rate * lr_mult: a finite number >= 0 (within f32) expected, got 3e+38 * "
          "100");
  refused(OptimizerSpec("sgd").SetLrMult("w", 1), "mixed key types: int keys expected");
  refused(OptimizerSpec("sgd").SetLrMult(1, 1).SetWdMult("w", 1), "got both");
  const auto strings = KVStore::CreateUnique();
  CHECK_ERROR(strings->SetOptimizer(OptimizerSpec("sgd").SetLrMult("a b", 1)), kInvalidArgument,
              "key 'a b': letters");
  OptimizerSpec many("sgd");
  for (int key = 0; key < 65537; ++key) many.SetLrMult(key, 2);
  refused(many, "multipliers of at most 65536 keys expected, got 65537");
  f.store->Push(Ints{1}, {f.a});  // still assign
  CHECK(f.Untouched());
}

TEST_CASE("other shapes and dtypes than Init's are refused and touch nothing", "[errors]") {
  Fixture f;
  CHECK_ERROR(f.store->Push(Ints{1, 2}, {f.b, f.wrong_shape}), kInvalidArgument,
              "key 2: shape [2,3] expected, got [3,2]");
  CHECK_ERROR(f.store->Push(Ints{1, 1}, {f.b, f.wrong_rank}), kInvalidArgument, "got [6]");
  CHECK_ERROR(f.store->Push(Ints{1}, {f.wrong_dtype}), kInvalidArgument,
              "key 1: dtype f32 expected, got f64");
  CHECK_ERROR(f.store->Push(Ints{1}, {NDArray()}), kInvalidArgument, "got an empty one");
  CHECK(f.Untouched());
  CHECK_ERROR(f.store->Pull(Ints{2, 1}, {&f.b, &f.wrong_shape}), kInvalidArgument,
              "key 1: shape [2,3] expected, got [3,2]");
  CHECK_ERROR(f.store->Pull(Ints{1}, {nullptr}), kInvalidArgument, "got null");
  CHECK_ERROR(f.store->Pull(Ints{1}, {&f.wrong_dtype}), kInvalidArgument, "got f64");
  f.store->WaitAll();
  for (int i = 0; i < 6; ++i) {
    CHECK(f.wrong_shape.data_as<float>()[i] == -7.0f);
    CHECK(f.b.data_as<float>()[i] == 0.0f);
  }
  CHECK_ERROR(f.store->PushPull(Ints{1}, {1}, {f.b}, {&f.wrong_shape}), kInvalidArgument, "[3,2]");
  CHECK(f.Untouched());
}

TEST_CASE("key names are 1 to 256 bytes of a small alphabet and are shown escaped", "[errors]") {
  Fixture f;
  const auto store = KVStore::CreateUnique();
  CHECK_ERROR(store->Init(Strings{""}, {f.a}), kInvalidArgument, "1 to 256 bytes expected, got 0");
  CHECK_ERROR(store->Init(Strings{std::string(257, 'x')}, {f.a}), kInvalidArgument, "got 257");
  CHECK_ERROR(store->Init(Strings{std::string(10240, 'x')}, {f.a}), kInvalidArgument, "got 10240");
  CHECK_ERROR(store->Init(Strings{"a b"}, {f.a}), kInvalidArgument, "got byte 0x20 at 1");
  CHECK_ERROR(store->Init(Strings{"a\nb"}, {f.a}), kInvalidArgument, "key 'a\\x0ab'");
  CHECK_ERROR(store->Init(Strings{"\x1b[31m"}, {f.a}), kInvalidArgument, "\\x1b");
  CHECK_ERROR(store->Init(Strings{std::string("a\0b", 3)}, {f.a}), kInvalidArgument, "\\x00");
  CHECK_ERROR(store->Push(Strings{"a\x01"}, {f.a}), kNotFound, "key 'a\\x01'");
  store->Init(Strings{std::string(256, 'x'), "net0/conv1.weight:0-A_9"}, {f.a, f.a});
}

TEST_CASE("keys whose ids collide are refused, not merged", "[errors]") {
  KeyTable table;
  auto one = std::make_shared<Key>(), two = std::make_shared<Key>();
  one->is_int = two->is_int = false;
  one->name = "one";
  one->label = "key 'one'";
  two->name = "two";
  two->label = "key 'two'";
  one->id = two->id = 77;
  table.Add(one, {});
  const absl::Status status = table.CheckNew(*two);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message() == "key 'two' and key 'one' have the same hash: rename one of them");
  CHECK(table.CheckNew(*one).code() == absl::StatusCode::kAlreadyExists);
}

TEST_CASE("calls still to come say so and name the store", "[errors]") {
  Fixture f;
  CHECK_ERROR(f.store->SetGradientCompression({{"type", "2bit"}}), kUnimplemented,
              "SetGradientCompression is still to come on a store of type local");
}

TEST_CASE("a group of nodes has a positive number", "[errors]") {
  Fixture f;
  CHECK_ERROR(f.store->get_num_dead_node(0), kInvalidArgument, "got 0");
}

TEST_CASE("in a forked child every call is refused and the destructor does nothing", "[errors]") {
  Fixture f;
  CHECK(InForkedChild([&] {
          const int refused = FirstNotRefused({
              [&] { f.store->Init(Ints{3}, {f.a}); },
              [&] { f.store->Push(Ints{1}, {f.a}); },
              [&] { f.store->Pull(Ints{1}, {&f.b}); },
              [&] { f.store->PushPull(Ints{1}, {1}, {f.a}, {&f.b}); },
              [&] { f.store->Broadcast(Ints{3}, {3}, {f.a}, {&f.b}); },
              [&] { f.store->Wait(Ints{1}); },
              [&] { f.store->WaitAll(); },
              [&] { f.store->Barrier(); },
              [&] { f.store->Leave(); },
              [&] { f.store->SetOptimizer(OptimizerSpec("sum")); },
              [&] { f.store->set_updater(KVStore::Updater()); },
              [&] { (void)f.store->get_rank(); },
          });
          f.store.reset();
#ifndef KVS_TSAN  // ThreadSanitizer allows a forked child no threads
          // A store of the child's own works.
          const auto own = KVStore::CreateUnique();
          own->Init(Ints{1}, {f.a});
          own->WaitAll();
#endif
          return refused;
        }) == 0);
  CHECK(f.Untouched());
}

TEST_CASE("every status code has its name and its class", "[errors]") {
  for (int code = 1; code <= 16; ++code) {
    const Error error = ToError(absl::Status(static_cast<absl::StatusCode>(code), "why"), "k");
    CHECK(static_cast<int>(error.code()) == code);
    CHECK(error.key() == "k");
    CHECK(std::string(error.what()) ==
          absl::StatusCodeToString(static_cast<absl::StatusCode>(code)) + ": why");
    const bool indefinite = code == 1 || code == 2 || code == 4;
    CHECK(error.definite() == !indefinite);
  }
  for (const int none : {0, -1, 17}) {
    CHECK(Error(static_cast<ErrorCode>(none), "why").code() == ErrorCode::kUnknown);
  }
}

}  // namespace kvstore
