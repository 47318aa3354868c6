#include "bench/kvbench/child_process.h"

#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <vector>

namespace kvstore::bench {
namespace {

constexpr double kLongS = 60;

std::unique_ptr<ChildProcess> Shell(const std::string& name, const std::string& script) {
  ChildOptions options;
  options.name = name;
  options.command = {"/bin/sh", "-c", script};
  options.environment = {{"KVBENCH_TEST", "a value"}};
  absl::StatusOr<std::unique_ptr<ChildProcess>> child = ChildProcess::Start(options);
  REQUIRE(child.ok());
  return *std::move(child);
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST_CASE("a child answers line by line and ends when its input does", "[kvbench]") {
  const auto child = Shell("echo", "while read line; do echo \"$KVBENCH_TEST: $line\"; done");
  REQUIRE(child->WriteLine("one").ok());
  REQUIRE(child->WriteLine("two").ok());
  CHECK(*child->ReadLine(kLongS) == "a value: one");
  CHECK(*child->ReadLine(kLongS) == "a value: two");
  child->CloseInput();
  CHECK(child->Join(kLongS).ok());
}

TEST_CASE("a child that ends instead of answering is named with its status", "[kvbench]") {
  const auto child = Shell("brief", "exit 3");
  const absl::Status status = child->ReadLine(kLongS).status();
  CHECK(absl::IsUnavailable(status));
  CHECK(Message(status) == "brief ended with status 3");
  CHECK(Message(child->Join(kLongS)) == "brief: exit status 0 expected, got 3");
}

TEST_CASE("waiting for one child ends when another, which is watched, dies", "[kvbench]") {
  const auto silent = Shell("silent", "read line");
  const auto dying = Shell("dying", "kill -9 $$");
  const absl::Status status = silent->ReadLine(kLongS, {dying.get()}).status();
  CHECK(absl::IsUnavailable(status));
  CHECK(Message(status) == "dying was ended by signal 9");
}

TEST_CASE("a child that says nothing runs into the deadline", "[kvbench]") {
  const auto child = Shell("silent", "read line");
  CHECK(absl::IsDeadlineExceeded(child->ReadLine(0.01).status()));
}

TEST_CASE("a child that ignores SIGTERM is killed, and that is reported", "[kvbench]") {
  const auto child = Shell("stubborn", "trap '' TERM; echo ready; while :; do read line; done");
  REQUIRE(*child->ReadLine(kLongS) == "ready");
  CHECK(Message(child->Terminate(0.05)).find("it had to be killed") != std::string::npos);
}

TEST_CASE("a destroyed child is gone", "[kvbench]") {
  pid_t pid = 0;
  {
    const auto child = Shell("silent", "read line");
    pid = child->pid();
    REQUIRE(kill(pid, 0) == 0);
  }
  CHECK(kill(pid, 0) != 0);
}

TEST_CASE("the end of a child's log tells why it is gone", "[kvbench]") {
  char log[] = "/tmp/kvbench-log-XXXXXX";
  REQUIRE(close(mkstemp(log)) == 0);
  ChildOptions options;
  options.name = "daemon";
  options.command = {"/bin/sh", "-c", "echo to output; echo port 7 is taken >&2; exit 4"};
  options.log_file = log;
  options.answers = false;
  const auto child = *ChildProcess::Start(options);
  CHECK(Message(child->ReadLine(kLongS).status()) ==
        "daemon ended with status 4; the end of its log:\nto output\nport 7 is taken\n");
  unlink(log);
}

TEST_CASE("a program that does not exist is named", "[kvbench]") {
  ChildOptions options;
  options.name = "kvstored 0";
  options.command = {"/no/such/program"};
  const absl::Status status = ChildProcess::Start(options).status();
  CHECK(absl::IsUnavailable(status));
  CHECK(Message(status).find("kvstored 0: no such program (/no/such/program)") == 0);
}

}  // namespace
}  // namespace kvstore::bench
