// A program that calls every member of MXNet's KVStore (include/mxnet/kvstore.h, 1.9.1 and 2.x)
// with the types of arguments that that header declares. How arrays are made is ours; so are the
// include and the namespace.
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kvstore/kvstore.h"

namespace mxnet = kvstore;

namespace {

using mxnet::KVStore;
using mxnet::NDArray;

// What a program of either kind of keys does; `Key` is int or std::string.
template <typename Key>
void CallAll(KVStore* store, const std::vector<Key>& keys, const std::vector<Key>& sparse,
             const std::vector<Key>& others) {
  std::vector<float> memory = {1, 2};
  const NDArray value = NDArray::FromBlob(memory.data(), {2});
  NDArray output({2});
  const int priority = 1;
  const std::vector<NDArray> values = {value};
  const std::vector<NDArray*> outputs = {&output};
  store->Init(keys, values);
  store->Push(keys, values);
  store->Push(keys, values, priority);
  store->Pull(keys, outputs);
  store->Pull(keys, outputs, priority);
  const bool ignore_sparse = true;
  store->Pull(keys, outputs, priority, ignore_sparse);
  store->PushPull(keys, keys, values, outputs);
  store->PushPull(keys, keys, values, outputs, priority);
  store->Broadcast(others, others, values, outputs, priority);
  output.WaitToRead();
  CHECK(output.data_as<float>()[1] == 2);

  std::vector<int64_t> ids = {1};
  const NDArray row_ids = NDArray::FromBlob(ids.data(), {1}, mxnet::DataType::kInt64);
  NDArray rows = NDArray::RowSparse({3, 2});
  store->Init(sparse, {NDArray::RowSparse({3, 2})});
  const std::vector<std::pair<NDArray*, NDArray>> asked = {{&rows, row_ids}};
  store->PullRowSparse(sparse, asked);
  store->PullRowSparse(sparse, asked, priority);
  rows.WaitToRead();
}

TEST_CASE("a program for MXNet's KVStore compiles and runs", "[public]") {
  const std::unordered_map<std::string, std::string> environment = {{"DMLC_ROLE", "worker"}};
  KVStore::InitPSEnv(environment);
  CHECK(KVStore::IsWorkerNode());
  CHECK_FALSE(KVStore::IsServerNode());
  CHECK_FALSE(KVStore::IsSchedulerNode());

  const char* const type = "local";
  const std::unique_ptr<KVStore> store(KVStore::Create(type));
  const std::string& name = store->type();
  CHECK(name == "local");
  const bool barrier_before_exit = false;
  store->set_barrier_before_exit(barrier_before_exit);

  CallAll<int>(store.get(), {3}, {4}, {5});
  const KVStore::Updater updater = [](int, const NDArray&, NDArray*) {};
  store->set_updater(updater);

  const int rank = store->get_rank();
  const int group_size = store->get_group_size();
  CHECK(std::pair(rank, group_size) == std::pair(0, 1));
  const int node_id = 7;
  CHECK(store->get_num_dead_node(node_id) == 0);
  CHECK(store->get_num_dead_node(node_id, 60) == 0);
  store->Barrier();
  const std::string body = "x";
  store->SendCommandToServers(0, body);

  const std::unique_ptr<KVStore> named(KVStore::Create());
  CallAll<std::string>(named.get(), {"a"}, {"b"}, {"c"});
  const KVStore::StrUpdater named_updater = [](const std::string&, const NDArray&, NDArray*) {};
  named->set_updater(named_updater);
}

TEST_CASE("what a local store does not have is refused by type", "[public]") {
  const std::unique_ptr<KVStore> store(KVStore::Create());
  const auto code = [](const auto& call) -> std::optional<mxnet::ErrorCode> {
    try {
      call();
    } catch (const mxnet::Error& error) {
      return error.code();
    }
    return std::nullopt;
  };
  const std::vector<std::pair<std::string, std::string>> parameters = {{"type", "2bit"}};
  CHECK(code([&] { store->SetGradientCompression(parameters); }) == std::nullopt);
  const KVStore::Controller controller = [](int, const std::string&) {};
  CHECK(code([&] { store->RunServer(controller); }) == mxnet::ErrorCode::kFailedPrecondition);
  using Command = mxnet::KVStoreServerProfilerCommand;
  for (const Command command :
       {Command::kSetConfig, Command::kState, Command::kPause, Command::kDump}) {
    const std::string text = command == Command::kSetConfig ? "filename:profile.json" : "1";
    CHECK(code([&] { store->SetServerProfilerCommand(command, text); }) == std::nullopt);
  }
}

}  // namespace
