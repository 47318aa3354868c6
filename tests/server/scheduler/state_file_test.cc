// What the scheduler keeps on disk: whole, or refused by name.
#include "server/scheduler/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "server/scheduler/core/scheduler_core.h"
#include "tests/server/scheduler/core/scheduler_fixture.h"

namespace kvstore {
namespace {

using Catch::Contains;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "kvs_state_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void Write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

v1::SchedulerState StateOfTerm(Term term) {
  v1::SchedulerState state;
  state.set_cluster(42);
  state.set_term(term);
  state.set_job(1);
  state.set_workers(1);
  state.set_servers(1);
  v1::NodeRecord* node = state.add_nodes();
  node->set_role(v1::ROLE_WORKER);
  node->set_incarnation(1);
  node->set_nonce(9);
  node->set_address("host:1");
  return state;
}

TEST_CASE("a state comes back as it was saved, also to another process", "[state_file]") {
  TemporaryDirectory directory;
  const std::string path = directory.path / "new";
  {
    auto file = StateFile::Open(path);
    REQUIRE(file.ok());
    const auto nothing = (*file)->Load();
    REQUIRE(nothing.ok());
    CHECK(!nothing->has_value());
    for (Term term = 1; term <= 5; ++term) {
      REQUIRE((*file)->Save(StateOfTerm(term)).ok());
      const auto state = (*file)->Load();
      REQUIRE(state.ok());
      CHECK((*state)->term() == term);
    }
  }
  auto file = StateFile::Open(path);
  REQUIRE(file.ok());
  const auto state = (*file)->Load();
  REQUIRE(state.ok());
  CHECK((*state)->SerializeAsString() == StateOfTerm(5).SerializeAsString());

  SECTION("and three generations are kept") {
    CHECK(DecodeState(Read(path + "/state"))->term() == 5);
    CHECK(DecodeState(Read(path + "/state.1"))->term() == 4);
    CHECK(DecodeState(Read(path + "/state.2"))->term() == 3);
    CHECK(!std::filesystem::exists(path + "/state.3"));
    CHECK(!std::filesystem::exists(path + "/state.tmp"));
  }
  SECTION("a torn temporary file is of no account") {
    Write(path + "/state.tmp", "KVSSCHEDgarbage");
    CHECK((*(*file)->Load())->term() == 5);
    REQUIRE((*file)->Save(StateOfTerm(6)).ok());
    CHECK((*(*file)->Load())->term() == 6);
  }
  SECTION("a missing current file is no new cluster") {
    std::filesystem::remove(path + "/state");
    const auto missing = (*file)->Load();
    CHECK(missing.status().code() == absl::StatusCode::kDataLoss);
    CHECK_THAT(std::string(missing.status().message()), Contains(path + "/state is missing"));
  }
}

TEST_CASE("a file cut anywhere is refused by name", "[state_file]") {
  TemporaryDirectory directory;
  auto file = StateFile::Open(directory.path);
  REQUIRE(file.ok());
  REQUIRE((*file)->Save(StateOfTerm(1)).ok());
  REQUIRE((*file)->Save(StateOfTerm(2)).ok());  // there is an older one, which must not be taken
  const std::string whole = Read(directory.path / "state");
  REQUIRE(whole.size() > 24);
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    Write(directory.path / "state", whole.substr(0, length));
    const auto state = (*file)->Load();
    CHECK(state.status().code() == absl::StatusCode::kDataLoss);
    CHECK_THAT(std::string(state.status().message()),
               Contains((directory.path / "state").string() + ": "));
  }
  Write(directory.path / "state", whole + "x");
  CHECK((*file)->Load().status().code() == absl::StatusCode::kDataLoss);
  Write(directory.path / "state", whole);
  CHECK((*file)->Load().ok());
}

TEST_CASE("a file with any bit flipped is refused", "[state_file]") {
  const std::string whole = EncodeState(StateOfTerm(3));
  REQUIRE(DecodeState(whole).ok());
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    CAPTURE(bit);
    CHECK(DecodeState(damaged).status().code() == absl::StatusCode::kDataLoss);
  }
}

TEST_CASE("a format of a later version is told from damage", "[state_file]") {
  // As a later version would write it: "2" with a checksum that fits (made with this very code).
  std::string bytes = EncodeState(StateOfTerm(3));
  bytes[8] = 2;
  const absl::Status damaged = DecodeState(bytes).status();
  REQUIRE(damaged.code() == absl::StatusCode::kDataLoss);
  const std::string message(damaged.message());
  const size_t at = message.rfind("got ") + 4;
  const auto crc = static_cast<uint32_t>(std::stoul(message.substr(at), nullptr, 16));
  for (size_t i = 0; i < 4; ++i) bytes[20 + i] = static_cast<char>(crc >> (8 * i));
  const absl::Status status = DecodeState(bytes).status();
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(status.message()), Contains("format version 2"));
}

TEST_CASE("two schedulers cannot share a state directory", "[state_file]") {
  TemporaryDirectory directory;
  auto first = StateFile::Open(directory.path);
  REQUIRE(first.ok());
  const auto second = StateFile::Open(directory.path);
  CHECK(second.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(second.status().message()),
             Contains(directory.path.string()) && Contains(std::to_string(::getpid())));
  first->reset();
  CHECK(StateFile::Open(directory.path).ok());
}

TEST_CASE("a directory that cannot be is named with the reason", "[state_file]") {
  TemporaryDirectory directory;
  Write(directory.path / "file", "x");
  for (const char* name : {"no/such/parent", "file"}) {
    const std::string path = directory.path / name;
    const auto file = StateFile::Open(path);
    CAPTURE(path);
    CHECK(!file.ok());
    CHECK_THAT(std::string(file.status().message()), Contains(path));
  }
}

TEST_CASE("a full disk is told from other trouble", "[state_file]") {
  // /dev/full says ENOSPC to every write; a link to it stands in for a full file system.
  if (!std::filesystem::exists("/dev/full")) return;
  TemporaryDirectory directory;
  auto file = StateFile::Open(directory.path);
  REQUIRE(file.ok());
  REQUIRE((*file)->Save(StateOfTerm(1)).ok());
  std::filesystem::create_symlink("/dev/full", directory.path / "state.tmp");
  const absl::Status status = (*file)->Save(StateOfTerm(2));
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK_THAT(std::string(status.message()), Contains("state.tmp"));
  CHECK((*(*file)->Load())->term() == 1);
}

}  // namespace
}  // namespace kvstore
