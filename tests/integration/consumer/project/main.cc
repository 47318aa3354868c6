// A user's program: two values of one key are summed by a local store; an error is an exception.
#include <kvstore/kvstore.h>

#include <cstdio>
#include <memory>

int main() {
  const std::unique_ptr<kvstore::KVStore> store = kvstore::KVStore::CreateUnique("local");
  kvstore::NDArray value({2, 3});
  kvstore::NDArray one({2, 3});
  kvstore::NDArray two({2, 3});
  for (int i = 0; i < 6; ++i) {
    one.data_as<float>()[i] = 1.0f;
    two.data_as<float>()[i] = static_cast<float>(2 * i);
  }
  store->Init({"weight"}, {value});
  store->Push(std::vector<std::string>{"weight", "weight"}, {one, two});
  store->Pull(std::vector<std::string>{"weight"}, {&value});
  value.WaitToRead();
  for (int i = 0; i < 6; ++i) std::printf("%g ", static_cast<double>(value.data_as<float>()[i]));

  try {
    kvstore::KVStore::CreateUnique("bogus");
    return 1;
  } catch (const kvstore::Error& error) {
    std::printf("%s %s\n", kvstore::Version(), kvstore::ErrorCodeName(error.code()));
  }
  return 0;
}
