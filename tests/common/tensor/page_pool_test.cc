#include "common/tensor/page_pool.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "common/tensor/buffer.h"

namespace kvstore {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// A block that is full of `mark`.
struct Block {
  uint8_t* data = nullptr;
  size_t bytes = 0;
  uint8_t mark = 0;

  void Fill() const { std::memset(data, mark, bytes); }
  bool IsFull() const {
    // Each byte is the one before it: as one memcmp, which costs the sanitizers little.
    return data[0] == mark && std::memcmp(data, data + 1, bytes - 1) == 0;
  }
};

size_t AnySize(std::mt19937_64& random) {
  const size_t sizes[] = {PagePool::kBlockBytesMin, PagePool::kBlockBytesMax, kMiB, 2 * kMiB};
  const size_t any = PagePool::kBlockBytesMin +
                     random() % (PagePool::kBlockBytesMax - PagePool::kBlockBytesMin + 1);
  return random() % 2 == 0 ? sizes[random() % 4] : any;
}

size_t GrainsOf(size_t bytes) {
  return (bytes + PagePool::kGrainBytes - 1) / PagePool::kGrainBytes * PagePool::kGrainBytes;
}

// Bytes of the pages of [data, data + bytes) that exist.
size_t Resident(const uint8_t* data, size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((bytes + page - 1) / page);
  REQUIRE(mincore(const_cast<uint8_t*>(data), bytes, pages.data()) == 0);
  return page * static_cast<size_t>(std::count_if(pages.begin(), pages.end(),
                                                  [](unsigned char in) { return (in & 1) != 0; }));
}

TEST_CASE("blocks are apart from each other and keep their bytes, whatever comes and goes",
          "[tensor]") {
  const uint64_t seed = GENERATE(take(3, random<uint64_t>(1, 1u << 30)));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  PagePool pool;
  std::vector<Block> blocks;
  size_t used = 0;
  for (int step = 0; step < 400; ++step) {
    if (blocks.size() < 40 && random() % 3 != 0) {
      Block block{nullptr, AnySize(random), static_cast<uint8_t>(random())};
      block.data = pool.Take(block.bytes);
      REQUIRE(block.data != nullptr);
      REQUIRE(reinterpret_cast<uintptr_t>(block.data) % PagePool::kGrainBytes == 0);
      block.Fill();
      used += GrainsOf(block.bytes);
      blocks.push_back(block);
    } else if (!blocks.empty()) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      REQUIRE(blocks.back().IsFull());
      pool.Give(blocks.back().data, blocks.back().bytes);
      used -= GrainsOf(blocks.back().bytes);
      blocks.pop_back();
    }
    if (random() % 20 == 0) pool.Trim();
    REQUIRE(pool.bytes().used == used);
  }
  for (const Block& block : blocks) {
    REQUIRE(block.IsFull());
    pool.Give(block.data, block.bytes);
  }
  CHECK(pool.bytes().used == 0);
}

TEST_CASE("values that are made anew and freed one by one take no more than one block more",
          "[tensor]") {
  // What a server does that updates 200 parts, round after round.
  PagePool pool;
  std::vector<uint8_t*> values;
  for (int part = 0; part < 200; ++part) values.push_back(pool.Take(kMiB));
  for (int round = 0; round < 5; ++round) {
    for (uint8_t*& value : values) {
      uint8_t* const next = pool.Take(kMiB);
      pool.Give(value, kMiB);
      value = next;
    }
  }
  CHECK(pool.bytes().used == 200 * kMiB);
  CHECK(pool.bytes().idle == kMiB);
  for (uint8_t* value : values) pool.Give(value, kMiB);
}

TEST_CASE("neighbours that are free make room for a larger block", "[tensor]") {
  PagePool pool;
  uint8_t* const a = pool.Take(kMiB);
  uint8_t* const b = pool.Take(kMiB);
  uint8_t* const c = pool.Take(kMiB);
  pool.Give(a, kMiB);
  pool.Give(b, kMiB);
  uint8_t* const both = pool.Take(2 * kMiB);
  CHECK(both == a);
  CHECK(pool.bytes().idle == 0);
  pool.Give(both, 2 * kMiB);
  pool.Give(c, kMiB);
}

TEST_CASE("Trim gives back what two periods did not need, and no byte of a block", "[tensor]") {
  PagePool pool;
  std::vector<Block> blocks;
  for (size_t i = 0; i < 100; ++i) {
    blocks.push_back({pool.Take(kMiB), kMiB, static_cast<uint8_t>(i + 1)});
    blocks.back().Fill();
  }
  CHECK_FALSE(pool.Trim());
  std::vector<Block> freed;
  for (size_t i = 0; i < 50; ++i) {  // every second one
    freed.push_back(blocks[i]);
    pool.Give(blocks[i].data, kMiB);
    blocks.erase(blocks.begin() + static_cast<ptrdiff_t>(i));
  }
  CHECK(pool.bytes().idle == 50 * kMiB);

  for (int call = 0; call < 2; ++call) {
    CHECK(pool.Trim());  // all were needed when the period began, or in the one before
    CHECK(pool.bytes().idle == 50 * kMiB);
  }

  SECTION("nothing was needed since: everything goes back") {
    pool.Trim();
    CHECK(pool.bytes().idle == 0);
    for (const Block& block : freed) CHECK(Resident(block.data, block.bytes) == 0);
    for (const Block& block : blocks) CHECK(Resident(block.data, block.bytes) == block.bytes);
  }
  SECTION("something was needed for a moment: so much stays for as long") {
    std::vector<uint8_t*> moment;
    for (int i = 0; i < 20; ++i) moment.push_back(pool.Take(kMiB));
    for (uint8_t* data : moment) pool.Give(data, kMiB);
    CHECK_FALSE(pool.Trim());
    CHECK(pool.bytes().idle == 20 * kMiB);
    CHECK(pool.Trim());
    CHECK(pool.bytes().idle == 20 * kMiB);
    pool.Trim();
    CHECK(pool.bytes().idle == 0);
  }
  for (const Block& block : blocks) {
    CHECK(block.IsFull());
    pool.Give(block.data, block.bytes);
  }
  CHECK(pool.bytes().used == 0);
}

TEST_CASE("threads take, give and trim at once", "[tensor]") {
  PagePool pool;
  std::vector<std::thread> threads;
  std::vector<int> spoiled(4);
  for (size_t i = 0; i < spoiled.size(); ++i) {
    threads.emplace_back([&pool, &spoiled, i] {
      std::mt19937_64 random(i);
      std::vector<Block> blocks;
      for (int step = 0; step < 300; ++step) {
        if (blocks.size() < 5) {
          blocks.push_back({pool.Take(kMiB), kMiB, static_cast<uint8_t>(random())});
          blocks.back().Fill();
        } else {
          std::swap(blocks[random() % blocks.size()], blocks.back());
          if (!blocks.back().IsFull()) ++spoiled[i];
          pool.Give(blocks.back().data, kMiB);
          blocks.pop_back();
        }
        if (random() % 10 == 0) pool.Trim();
      }
      for (const Block& block : blocks) pool.Give(block.data, block.bytes);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(spoiled == std::vector<int>(4));
  CHECK(pool.bytes().used == 0);
}

TEST_CASE("buffers of every size lie at their boundary, with the pool and without it", "[tensor]") {
  const bool pooled = GENERATE(false, true);  // once there is a pool it stays
  const size_t size = GENERATE(0, 1, 63, 64, 65, 4097, 262143, 262144, 1048576, 8388608, 8388609);
  CAPTURE(pooled, size);
  if (pooled) PoolBuffers();
  std::vector<std::unique_ptr<Buffer>> buffers;
  for (uint8_t i = 0; i < 3; ++i) {
    buffers.push_back(std::make_unique<Buffer>(size));
    REQUIRE(buffers.back()->size() == size);
    REQUIRE(reinterpret_cast<uintptr_t>(buffers.back()->data()) % Buffer::kAlignment == 0);
    if (size > 0) std::memset(buffers.back()->data(), i, size);
  }
  for (uint8_t i = 0; i < 3; ++i) {
    const uint8_t* data = buffers[i]->data();
    REQUIRE(std::all_of(data, data + size, [&](uint8_t byte) { return byte == i; }));
  }
}

}  // namespace
}  // namespace kvstore
