#include "cli/process/child_process.h"

#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/cli/process/make_supervisor.h"

namespace kvstore {
namespace {

constexpr double kLongS = 60;

ChildOptions Shell(const std::string& name, const std::string& script) {
  ChildOptions options;
  options.process.name = name;
  options.process.command = {"/bin/sh", "-c", script};
  options.process.environment = {{"CHILD_TEST", "a value"}};
  options.process.has_input = true;
  return options;
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST_CASE("a child answers line by line and ends when its input does", "[process]") {
  ChildProcesses children(MakeSupervisor());
  const auto child =
      *children.Start(Shell("echo", "while read line; do echo \"$CHILD_TEST: $line\"; done"));
  REQUIRE(child->WriteLine("one").ok());
  REQUIRE(child->WriteLine("two").ok());
  CHECK(*child->ReadLine(kLongS) == "a value: one");
  CHECK(*child->ReadLine(kLongS) == "a value: two");
  child->CloseInput();
  CHECK(child->AwaitEnd(kLongS).ok());
}

TEST_CASE("two children answer, whoever is read first", "[process]") {
  ChildProcesses children(MakeSupervisor());
  const auto one = *children.Start(Shell("one", "read line; echo one $line"));
  const auto two = *children.Start(Shell("two", "read line; echo two $line"));
  REQUIRE(one->WriteLine("a").ok());
  REQUIRE(two->WriteLine("b").ok());
  CHECK(*two->ReadLine(kLongS) == "two b");
  CHECK(*one->ReadLine(kLongS) == "one a");
}

TEST_CASE("a child that ends instead of answering is named with its exit code", "[process]") {
  ChildProcesses children(MakeSupervisor());
  const auto child = *children.Start(Shell("brief", "exit 3"));
  const absl::Status status = child->ReadLine(kLongS).status();
  CHECK(absl::IsUnavailable(status));
  CHECK(Message(status) == "brief is gone (exit code 3)");
  CHECK(Message(child->AwaitEnd(kLongS)) == "brief: exit code 0 expected, got: exit code 3");
  CHECK(Message(child->WriteLine("x")) == "brief is gone (exit code 3)");
}

TEST_CASE("what a child said before its end is read first", "[process]") {
  ChildProcesses children(MakeSupervisor());
  const auto child = *children.Start(Shell("last words", "echo one; echo two; exit 1"));
  CHECK_FALSE(child->AwaitEnd(kLongS).ok());
  CHECK(*child->ReadLine(kLongS) == "one");
  CHECK(*child->ReadLine(kLongS) == "two");
  CHECK(absl::IsUnavailable(child->ReadLine(kLongS).status()));
}

TEST_CASE("waiting for one child ends when another, which is watched, dies", "[process]") {
  ChildProcesses children(MakeSupervisor());
  const auto silent = *children.Start(Shell("silent", "read line"));
  const auto dying = *children.Start(Shell("dying", "kill -9 $$"));
  const absl::Status status = silent->ReadLine(kLongS, {dying.get()}).status();
  CHECK(absl::IsUnavailable(status));
  CHECK(Message(status) == "dying is gone (killed by SIGKILL)");
}

TEST_CASE("a child that says nothing runs into the deadline", "[process]") {
  ChildProcesses children(MakeSupervisor());
  const auto child = *children.Start(Shell("silent", "read line"));
  CHECK(absl::IsDeadlineExceeded(child->ReadLine(0.01).status()));
}

TEST_CASE("a child that ignores SIGTERM is killed, and that is reported", "[process]") {
  ChildProcesses children(MakeSupervisor());
  const auto child =
      *children.Start(Shell("stubborn", "trap '' TERM; echo ready; while :; do read line; done"));
  REQUIRE(*child->ReadLine(kLongS) == "ready");
  CHECK(Message(child->Terminate(0.05)).find("it had to be killed") != std::string::npos);
}

TEST_CASE("a destroyed child is gone", "[process]") {
  ChildProcesses children(MakeSupervisor());
  pid_t pid = 0;
  {
    const auto child = *children.Start(Shell("silent", "read line"));
    pid = child->pid();
    REQUIRE(kill(pid, 0) == 0);
  }
  CHECK(kill(pid, 0) != 0);
}

TEST_CASE("the end of a child's log tells why it is gone", "[process]") {
  ChildProcesses children(MakeSupervisor());
  ChildOptions options =
      Shell("daemon", "seq 1000; echo to output; echo port 7 is taken >&2; exit 4");
  options.answers = false;
  const auto child = *children.Start(options);
  const std::string message = Message(child->ReadLine(kLongS).status());
  CAPTURE(message);
  CHECK(message.rfind("daemon is gone (exit code 4); the end of its log:\n", 0) == 0);
  CHECK(message.find("\n1000\n") != std::string::npos);
  CHECK(message.find("to output\n") != std::string::npos);
  CHECK(message.find("port 7 is taken\n") != std::string::npos);
  CHECK(message.size() < 2100);
}

TEST_CASE("an interrupt ends the wait for an answer", "[process]") {
  ChildProcesses children(MakeSupervisor());
  const auto child = *children.Start(Shell("killer", "kill -INT $PPID; read line"));
  CHECK(absl::IsCancelled(child->ReadLine(kLongS).status()));
  CHECK(children.Interrupted());
  CHECK(absl::IsCancelled(child->WriteLine("x")));
  CHECK(child->Terminate(kLongS).code() == absl::StatusCode::kInternal);  // it can still be ended
}

TEST_CASE("a program that does not exist is named", "[process]") {
  ChildProcesses children(MakeSupervisor());
  ChildOptions options;
  options.process.name = "kvstored 0";
  options.process.command = {"/no/such/program"};
  const absl::Status status = children.Start(options).status();
  CHECK(absl::IsNotFound(status));
  CHECK(Message(status) ==
        "kvstored 0: cannot start '/no/such/program': No such file or directory");
}

}  // namespace
}  // namespace kvstore
