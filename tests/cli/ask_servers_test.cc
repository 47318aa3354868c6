#include "cli/ask_servers.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

namespace kvstore {
namespace {

ServerAddresses Some(uint32_t count) {
  ServerAddresses servers;
  for (uint32_t rank = 0; rank < count; ++rank) servers[rank] = "host" + std::to_string(rank);
  return servers;
}

v1::NodeStatus Node(v1::Role role, uint32_t rank, v1::Health health) {
  v1::NodeStatus node;
  node.set_role(role);
  node.set_rank(rank);
  node.set_health(health);
  node.set_address("host" + std::to_string(rank));
  return node;
}

}  // namespace

TEST_CASE("servers that are not known to be gone are asked, and nobody else", "[ask]") {
  v1::ClusterStatus cluster;
  *cluster.add_nodes() = Node(v1::ROLE_SERVER, 2, v1::HEALTH_ALIVE);
  *cluster.add_nodes() = Node(v1::ROLE_SERVER, 0, v1::HEALTH_SUSPECT);
  *cluster.add_nodes() = Node(v1::ROLE_SERVER, 1, v1::HEALTH_DEAD);
  *cluster.add_nodes() = Node(v1::ROLE_SERVER, 3, v1::HEALTH_LEFT);
  *cluster.add_nodes() = Node(v1::ROLE_WORKER, 4, v1::HEALTH_ALIVE);
  CHECK(ServersOf(cluster) == ServerAddresses{{0, "host0"}, {2, "host2"}});
}

TEST_CASE("a server that does not answer holds up none of the others", "[ask]") {
  std::mutex mutex;
  std::condition_variable changed;
  uint32_t answered = 0;
  bool all_others = false;
  // Server 0 answers when all others have.
  const auto answers = AnswersOf<std::string>(Some(20), [&](const std::string& address) {
    std::unique_lock<std::mutex> lock(mutex);
    if (address == "host0") {
      all_others = changed.wait_for(lock, std::chrono::seconds(60), [&] { return answered == 19; });
    } else {
      ++answered;
      changed.notify_all();
    }
    return "I am " + address;
  });
  CHECK(all_others);
  REQUIRE(answers.size() == 20);
  for (const auto& [rank, answer] : answers) CHECK(answer == "I am host" + std::to_string(rank));
}

TEST_CASE("many servers are asked once each, not all at the same time", "[ask]") {
  std::atomic<int> now{0}, most{0}, asked{0};
  ForEachAtOnce(Some(500), [&](uint32_t, const std::string&) {
    const int running = ++now;
    int seen = most;
    while (seen < running && !most.compare_exchange_weak(seen, running)) {
    }
    ++asked;
    --now;
  });
  CHECK(asked == 500);
  CHECK(most <= 32);
  ForEachAtOnce({}, [&](uint32_t, const std::string&) { ++asked; });
  CHECK(asked == 500);
}

}  // namespace kvstore
