// A user's program for servers and workers: its servers add twice the sum of what is pushed.
#include <kvstore/kvstore.h>

#include <cstdio>
#include <exception>

int main() {
  try {
    const auto store = kvstore::KVStore::CreateUnique("dist_sync");
    if (kvstore::KVStore::IsServerNode()) {
      store->set_updater(kvstore::KVStore::Updater(
          [](int, const kvstore::NDArray& merged, kvstore::NDArray* stored) {
            for (int64_t i = 0; i < stored->size(); ++i) {
              stored->data_as<float>()[i] += 2 * merged.data_as<float>()[i];
            }
          }));
      store->RunServer([](int command, const std::string& body) {
        std::printf("command %d: %s\n", command, body.c_str());
        std::fflush(stdout);
      });
      return 0;
    }
    kvstore::NDArray value({2});
    value.data_as<float>()[0] = 1;
    const std::vector<int> key = {7};
    store->Init(key, {value});
    store->Push(key, {value});
    store->Pull(key, {&value});
    value.WaitToRead();
    std::printf("%g %g\n", static_cast<double>(value.data_as<float>()[0]),
                static_cast<double>(value.data_as<float>()[1]));
    if (store->get_rank() == 0) store->SendCommandToServers(6, "hello");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
