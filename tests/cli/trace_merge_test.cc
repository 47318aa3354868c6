#include "cli/trace_merge.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace kvstore {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("kvs-merge-" + std::to_string(getpid()))) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string Make(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return *this / name;
  }

 private:
  fs::path path_;
};

std::string TextOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST_CASE("a line's time is moved to the nanosecond, and nothing else of it", "[merge]") {
  CHECK(ShiftedLine(R"({"name":"a","ts":12.345,"dur":1.000})", 5) ==
        R"({"name":"a","ts":12.350,"dur":1.000})");
  CHECK(ShiftedLine(R"({"ts":12.345})", -12346) == R"({"ts":-0.001})");
  CHECK(ShiftedLine(R"({"ts":-0.001})", 2) == R"({"ts":0.001})");
  // Beyond what a double holds.
  CHECK(ShiftedLine(R"({"ts":9007199254740993.001,"x":1})", 1) ==
        R"({"ts":9007199254740993.002,"x":1})");
  CHECK(ShiftedLine(R"({"ph":"M","args":{"name":"\"ts\":5"}})", 7) ==
        R"({"ph":"M","args":{"name":"\"ts\":5"}})");
}

TEST_CASE("a difference of clocks that may be none is none", "[merge]") {
  CHECK(ShiftOf({1000, 30}, {1040, 30}) == 0);
  CHECK(ShiftOf({1000, 30}, {1061, 30}) == 61);
  CHECK(ShiftOf({5000, 10}, {-200, 10}) == -5200);
}

TEST_CASE("files are merged with their clocks aligned, then the lines that are added", "[merge]") {
  const Folder folder;
  const std::string a = folder.Make(
      "a.json", R"({"displayTimeUnit":"ms","otherData":{"node":"worker 0",)"
                "\"clock_minus_scheduler_ns\":\"1500\"},\"traceEvents\":[\n{\"ph\":\"M\"},\n"
                "{\"ph\":\"X\",\"ts\":2.000}\n]}\n");
  TraceMerge merge(folder / "out.json");
  REQUIRE(merge.AddFile(a).ok());
  merge.AddNode(R"("node":"server 0")");
  REQUIRE(merge.Begin().ok());
  REQUIRE(merge.AddLines(R"({"ph":"M"})").ok());
  REQUIRE(merge.AddLines("").ok());
  REQUIRE(merge.AddLines(",\n{\"ts\":3.000},\n{\"ts\":4.000}").ok());
  REQUIRE(merge.Finish().ok());
  CHECK(TextOf(folder / "out.json") ==
        R"({"displayTimeUnit":"ms","otherData":{"nodes":[{"node":"worker 0",)"
        "\"clock_minus_scheduler_ns\":\"1500\"},{\"node\":\"server 0\"}]},\"traceEvents\":[\n"
        "{\"ph\":\"M\"},\n{\"ph\":\"X\",\"ts\":0.500},\n{\"ph\":\"M\"},\n{\"ts\":3.000},\n"
        "{\"ts\":4.000}\n]}\n");
}

TEST_CASE("what is no file of ours, or not all of one, is named", "[merge]") {
  const Folder folder;
  TraceMerge merge(folder / "out.json");
  CHECK(merge.AddFile(folder / "none.json").code() == absl::StatusCode::kFailedPrecondition);
  CHECK(merge.AddFile(folder.Make("b.json", "{}")).message() ==
        (folder / "b.json") + ": a file of a node's profiler expected, this is none");
  const std::string cut = folder.Make(
      "c.json",
      "{\"displayTimeUnit\":\"ms\",\"otherData\":{},\"traceEvents\":[\n{\"ph\":\"M\"},\n");
  REQUIRE(merge.AddFile(cut).ok());
  CHECK(merge.Begin().message() == cut + ": its end is missing");
  CHECK_FALSE(fs::exists(folder / "out.json"));
}

}  // namespace
}  // namespace kvstore
