// One program for all roles, as MXNet's are: KVSTORE_ROLE or DMLC_ROLE says what it is. A server
// has an updater that adds the sum to the value and a controller; a worker plays the scene named by
// its argument. test_server_program.py runs it.
#include <kvstore/kvstore.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using kvstore::Error;
using kvstore::ErrorCode;
using kvstore::KVStore;
using kvstore::NDArray;
using Ints = std::vector<int>;

enum Commands { kFail = 10, kFailTyped, kFailOddly, kDouble, kEcho };

// What `call` throws, as text.
template <typename Call>
std::string Thrown(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

void Say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void Serve() {
  const auto store = KVStore::CreateUnique("dist_sync");
  const auto add = [](float factor) {
    return [factor](int, const NDArray& merged, NDArray* stored) {
      const size_t elements = stored->bytes() / sizeof(float);  // of a row_sparse key: in the rows
      for (size_t i = 0; i < elements; ++i) {
        stored->data_as<float>()[i] += factor * merged.data_as<float>()[i];
      }
      if (elements > 0 && merged.data_as<float>()[0] == 13)
        throw std::runtime_error("13 is refused");
    };
  };
  store->set_updater(KVStore::Updater(add(1)));
  Say("init: " + Thrown([&] { store->Init(Ints{7}, {NDArray({1})}); }));
  store->RunServer([&](int id, const std::string& body) {
    switch (id) {
      case kFail:
        throw std::runtime_error("it broke");
      case kFailTyped:
        throw Error(ErrorCode::kNotFound, body);
      case kFailOddly:
        throw 42;
      case kDouble:
        store->set_updater(KVStore::Updater(add(2)));
        return;
      default:
        Say("command " + std::to_string(id) + " " + body);
    }
  });
  Say("the job is over");
}

NDArray Filled(float value) {
  NDArray array({3});
  for (int i = 0; i < 3; ++i) array.data_as<float>()[i] = value;
  return array;
}
void Expect(KVStore& store, float value) {
  NDArray out({3});
  store.Pull(Ints{7}, {&out});
  out.WaitToRead();
  if (out.data_as<float>()[2] != value) {
    throw std::runtime_error(std::to_string(value) + " expected, got " +
                             std::to_string(out.data_as<float>()[2]));
  }
}

// A table that is cut into stripes: most of them get no row in a round.
void WorkOnRows(KVStore& store) {
  const std::vector<int64_t> shape = {1000000, 2};
  const std::vector<int64_t> ids = {3, 64, 999999};  // 3 and 64 are in one stripe
  store.InitByRule(Ints{8},
                   {kvstore::ValueByRule(shape, kvstore::InitRule::Constant(5)).RowSparse()});
  NDArray rows({3, 2});
  for (int i = 0; i < 6; ++i) rows.data_as<float>()[i] = static_cast<float>(i);
  store.Push(Ints{8}, {NDArray::RowSparse(shape, ids, rows)});
  NDArray asked({3}, kvstore::DataType::kInt64);
  for (int i = 0; i < 3; ++i) asked.data_as<int64_t>()[i] = ids[static_cast<size_t>(i)];
  NDArray out = NDArray::RowSparse(shape);
  store.PullRowSparse(Ints{8}, {{&out, asked}});
  out.WaitToRead();
  for (int i = 0; i < 6; ++i) {
    if (out.data_as<float>()[i] == 5 + static_cast<float>(i)) continue;
    throw std::runtime_error("rows: 5 and what was pushed expected");
  }
  Say("rows: updated");
}

void Work(const std::string& scene) {
  const auto store = KVStore::CreateUnique("dist_sync");
  Say("joined");
  if (scene == "wait") {
    store->Init(Ints{7}, {Filled(1)});
    store->Wait(Ints{7});
    Say("at work");
    std::raise(SIGSTOP);
  }
  store->Init(Ints{7}, {Filled(1)});
  store->Push(Ints{7}, {Filled(2)});
  Expect(*store, 3);
  WorkOnRows(*store);
  // What the updater throws fails the round, and nothing else.
  store->Push(Ints{7}, {Filled(13)});
  Say("push: " + Thrown([&] { store->Wait(Ints{7}); }));
  Expect(*store, 3);
  // Nor does a controller harm its server.
  Say("fail: " + Thrown([&] { store->SendCommandToServers(kFail, ""); }));
  Say("typed: " + Thrown([&] { store->SendCommandToServers(kFailTyped, "no such thing"); }));
  Say("oddly: " + Thrown([&] { store->SendCommandToServers(kFailOddly, ""); }));
  store->SendCommandToServers(kDouble, "");
  store->Push(Ints{7}, {Filled(2)});
  Expect(*store, 7);
  store->SendCommandToServers(kEcho, "hello");
  Say("run: " + Thrown([&] { store->RunServer(nullptr); }));
  if (scene == "die") std::raise(SIGKILL);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (KVStore::IsWorkerNode()) {
      Work(argc > 1 ? argv[1] : "");
    } else if (KVStore::IsServerNode()) {
      Serve();
    } else {
      KVStore::CreateUnique("dist")->RunServer(nullptr);
      Say("the scheduler's job is over");
    }
  } catch (const std::exception& error) {
    Say(std::string("threw ") + error.what());
    return 1;
  }
  return 0;
}
