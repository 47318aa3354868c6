#include "common/base/whole_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/folder.h"

namespace kvstore {
namespace {

using testing::Folder;

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

absl::Status Read(const std::string& path, std::string* text) {
  return ReadWholeFile(path, [text](size_t size) {
    text->resize(size);
    return reinterpret_cast<uint8_t*>(text->data());
  });
}

TEST_CASE("a file is written as a whole, in the place of another", "[file]") {
  const Folder folder;
  const std::string path = folder.File("f");
  REQUIRE(WriteWholeFile(path, {"one", "", "two"}).ok());
  CHECK(Contents(path) == "onetwo");
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  REQUIRE(WriteWholeFile(path, {}).ok());
  CHECK(Contents(path).empty());
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0640);
  CHECK(folder.files() == 1);
  std::string text;
  REQUIRE(WriteWholeFile(path, {"three"}).ok());
  REQUIRE(Read(path, &text).ok());
  CHECK(text == "three");
}

TEST_CASE("a file that cannot be written leaves what was there, and nothing else", "[file]") {
  const Folder folder;
  const std::string path = folder.File("f");
  REQUIRE(WriteWholeFile(path, {"old"}).ok());
  CHECK(WriteWholeFile(folder.File("no/f"), {"x"}).code() == absl::StatusCode::kNotFound);
  CHECK(WriteWholeFile(path + "/f", {"x"}).code() == absl::StatusCode::kNotFound);
  CHECK(WriteWholeFile(folder.File(""), {"x"}).code() == absl::StatusCode::kFailedPrecondition);
  CHECK(Contents(path) == "old");
  // A limit on files, as a disk that is full. In a process of its own, which keeps the limit.
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const absl::Status full = WriteWholeFile(path, {"x", std::string(2000, 'y')});
    ::_exit(full.code() == absl::StatusCode::kResourceExhausted &&
                    std::string(full.message()).find("cannot write") == 0
                ? 0
                : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(Contents(path) == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("what is no file cannot be read", "[file]") {
  const Folder folder;
  std::string text;
  const absl::Status absent = Read(folder.File("absent"), &text);
  CHECK(absent.code() == absl::StatusCode::kNotFound);
  CHECK(std::string(absent.message()) ==
        "cannot read " + folder.File("absent") + ": No such file or directory");
  CHECK(Read(folder.File(""), &text).code() == absl::StatusCode::kFailedPrecondition);
  REQUIRE(::mkfifo(folder.File("pipe").c_str(), 0600) == 0);
  CHECK(Read(folder.File("pipe"), &text).code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("each failure of the system has its code", "[file]") {
  const auto code = [](int error) { return SystemError("cannot write", "f", error).code(); };
  for (const int error : {ENOSPC, EDQUOT, EFBIG}) {
    CHECK(code(error) == absl::StatusCode::kResourceExhausted);
  }
  for (const int error : {EACCES, EPERM, EROFS}) {
    CHECK(code(error) == absl::StatusCode::kPermissionDenied);
  }
  CHECK(code(ENOENT) == absl::StatusCode::kNotFound);
  CHECK(code(EISDIR) == absl::StatusCode::kFailedPrecondition);
  CHECK(code(EIO) == absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace kvstore
