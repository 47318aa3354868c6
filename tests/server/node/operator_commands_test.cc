// A command of an operator is carried out once, however often it is asked for.
#include "server/node/operator_commands.h"

#include <catch2/catch.hpp>
#include <deque>
#include <string>
#include <vector>

#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {
namespace {

Payload Asked(uint64_t nonce, int32_t id = 10, const std::string& body = "") {
  v1::RunCommandRequest request;
  request.set_id(id);
  request.set_body(body);
  request.set_nonce(nonce);
  return Payload::CopyOf(request.SerializeAsString());
}

// A controller whose commands end when the test says so.
class Fixture {
 public:
  struct Begun {
    Command command;
    std::function<void(absl::Status)> done;
  };
  Fixture()
      : commands_(
            [this](WorkerRank from, const Command& command,
                   std::function<void(absl::Status)> done) {
              CHECK(from == kReaderRank);
              begun.push_back({command, std::move(done)});
            },
            [](const std::function<void()>& task) { task(); }) {}

  void Run(const Payload& asked) {
    const size_t place = answers.size();
    answers.emplace_back();
    commands_.Run(asked, [this, place](const absl::StatusOr<std::string>& answer) {
      CHECK_FALSE(answers[place].has_value());
      answers[place] = answer.status();
    });
  }

  std::vector<Begun> begun;
  std::deque<std::optional<absl::Status>> answers;

 private:
  OperatorCommands commands_;
};

TEST_CASE("a command asked for twice is carried out once, and both hear how it went", "[command]") {
  Fixture fixture;
  fixture.Run(Asked(7, 10, "text"));
  fixture.Run(Asked(7, 10, "text"));
  REQUIRE(fixture.begun.size() == 1);
  CHECK(fixture.begun[0].command.id == 10);
  CHECK(fixture.begun[0].command.body == "text");
  CHECK_FALSE(fixture.answers[0].has_value());
  fixture.begun[0].done(absl::NotFoundError("no such thing"));
  fixture.Run(Asked(7, 10, "text"));
  for (const auto& answer : fixture.answers) CHECK(answer == absl::NotFoundError("no such thing"));
  CHECK(fixture.begun.size() == 1);
  fixture.Run(Asked(8, 10, "text"));
  REQUIRE(fixture.begun.size() == 2);
  fixture.begun[1].done(absl::OkStatus());
  CHECK(fixture.answers[3] == absl::OkStatus());
}

TEST_CASE("what is no command is refused, and nothing is begun", "[command]") {
  Fixture fixture;
  fixture.Run(Payload::CopyOf("\xff"));
  fixture.Run(Asked(0));
  fixture.Run(Asked(1, -1));
  fixture.Run(Asked(2, 4));  // MXNet's kSetGradientCompression
  fixture.Run(Asked(3, 10, std::string(kCommandBodyBytesMax + 1, 'x')));
  for (const auto& answer : fixture.answers) {
    REQUIRE(answer.has_value());
    CHECK(answer->code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(fixture.begun.empty());
}

TEST_CASE("a server without a controller says so", "[command]") {
  OperatorCommands none(nullptr, [](const std::function<void()>& task) { task(); });
  absl::Status answer;
  none.Run(Asked(1, 10), [&](const absl::StatusOr<std::string>& got) { answer = got.status(); });
  CHECK(answer.code() == absl::StatusCode::kUnimplemented);
  CHECK_THAT(std::string(answer.message()), Catch::Contains("kvstored never has"));
}

TEST_CASE("what is remembered is bounded, and what is under way is never forgotten", "[command]") {
  Fixture fixture;
  constexpr uint64_t kMax = OperatorCommands::kKeptMax;
  for (uint64_t nonce = 1; nonce <= kMax; ++nonce) fixture.Run(Asked(nonce));
  fixture.Run(Asked(kMax + 1));
  REQUIRE(fixture.answers.back().has_value());
  CHECK(fixture.answers.back()->code() == absl::StatusCode::kResourceExhausted);
  fixture.begun[5].done(absl::OkStatus());
  fixture.begun[3].done(absl::OkStatus());
  fixture.Run(Asked(kMax + 2));  // in the place of number 4, which is older than number 6
  CHECK(fixture.begun.size() == kMax + 1);
  fixture.Run(Asked(6));
  CHECK(fixture.answers.back() == absl::OkStatus());
  CHECK(fixture.begun.size() == kMax + 1);
}

}  // namespace
}  // namespace kvstore
