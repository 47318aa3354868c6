// Operations that are issued as a group, and end one by one.
#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <string>
#include <vector>

#include "client/order/dependency_engine.h"

namespace kvstore {
namespace {

class TestOwner : public OperationOwner {
 public:
  void Flush() noexcept override { ++flushes; }
  int64_t operation_timeout_ms() const override { return timeout_ms; }
  absl::Status Overdue(const std::vector<OverdueOperation>& operations, int64_t) override {
    std::string names;
    for (const auto& operation : operations) names += operation.what + ";";
    return absl::DeadlineExceededError(names);
  }

  int64_t timeout_ms = 60000;
  std::atomic<int> flushes{0};
};

struct Fixture {
  struct Member {
    VarPtr key;
    VarPtr array;
    Access access = Access::kWrite;
  };

  // Returns how many of them are taken; `token` is the group's.
  size_t Append(const std::vector<Member>& members) {
    OperationList operations = OperationList::OfGroup(members.size());
    OperationSpec leader;
    leader.owner = owner;
    leader.verb = "Pull";
    leader.uses.push_back({all, Access::kTrack});
    leader.issue = [this](const TokenPtr& given) {
      token = given;
      ++issued;
    };
    operations.Add(std::move(leader));
    for (size_t i = 0; i < members.size(); ++i) {
      const std::string name = std::to_string(i);
      operations.AddMember(
          std::make_shared<OperationSubject>(OperationSubject{name, "key " + name}),
          {members[i].key, Access::kOrder}, {members[i].array, members[i].access});
    }
    size_t taken = 0;
    DependencyEngine::Ready ready = engine.AppendGroup(std::move(operations), &taken);
    engine.Run(std::move(ready));
    return taken;
  }
  void Do(const std::vector<OperationSpec::Use>& uses, std::function<void(const TokenPtr&)> issue) {
    std::vector<OperationSpec> specs(1);
    specs[0].owner = owner;
    specs[0].verb = "op";
    specs[0].uses.assign(uses.begin(), uses.end());
    specs[0].issue = std::move(issue);
    engine.Run(engine.Append(std::move(specs)));
  }
  std::vector<Member> Members(size_t count) {
    std::vector<Member> members(count);
    for (Member& member : members) {
      member = {DependencyEngine::NewVar(), DependencyEngine::NewVar(), Access::kWrite};
    }
    return members;
  }
  bool Writes(const VarPtr& var) const { return engine.HasWriter(var); }

  DependencyEngine engine;
  std::shared_ptr<TestOwner> owner = std::make_shared<TestOwner>();
  VarPtr all = DependencyEngine::NewVar();
  TokenPtr token;
  int issued = 0;
};

}  // namespace

TEST_CASE("a group is issued once, and its operations end one by one", "[engine][groups]") {
  Fixture f;
  const auto members = f.Members(3);
  CHECK(f.Append(members) == 3);
  CHECK(f.issued == 1);
  CHECK(f.owner->flushes == 1);
  const OperationToken::Ended one[] = {{1, absl::OkStatus()}};
  f.token->Complete(one);
  CHECK(f.Writes(members[0].array));
  CHECK_FALSE(f.Writes(members[1].array));
  CHECK(f.engine.Wait({members[1].array}, DependencyEngine::WaitFor::kAll).ok());
  const OperationToken::Ended others[] = {{2, absl::OkStatus()}, {0, absl::OkStatus()}};
  f.token->Complete(others);
  CHECK_FALSE(f.engine.WaitAtMost(f.all, 0));  // the token is still there
  f.token = nullptr;
  CHECK(f.engine.Wait({f.all}, DependencyEngine::WaitFor::kAll).ok());
}

TEST_CASE("who waits for one of a group waits for no other", "[engine][groups]") {
  Fixture f;
  const auto members = f.Members(2);
  REQUIRE(f.Append(members) == 2);
  auto waited = std::async(std::launch::async, [&] {
    return f.engine.Wait({members[0].array}, DependencyEngine::WaitFor::kAll).ok();
  });
  const OperationToken::Ended first[] = {{0, absl::OkStatus()}};
  f.token->Complete(first);
  CHECK(waited.get());
  CHECK(f.Writes(members[1].array));
  const OperationToken::Ended second[] = {{1, absl::OkStatus()}};
  f.token->Complete(second);
  f.token = nullptr;
}

TEST_CASE("an operation behind one of a group is issued when that one ends", "[engine][groups]") {
  Fixture f;
  const auto members = f.Members(2);
  REQUIRE(f.Append(members) == 2);
  int ran = 0;
  f.Do({{members[0].array, Access::kRead}}, [&](const TokenPtr& token) {
    ++ran;
    token->Finish(absl::OkStatus());
  });
  // Only the order of a key counts, and that is given back when the group is issued.
  f.Do({{members[1].key, Access::kOrder}}, [&](const TokenPtr& token) {
    ran += 10;
    token->Finish(absl::OkStatus());
  });
  CHECK(ran == 10);
  const OperationToken::Ended first[] = {{0, absl::OkStatus()}};
  f.token->Complete(first);
  CHECK(ran == 11);
  f.token->Finish(absl::OkStatus());
  f.token = nullptr;
}

TEST_CASE("a group ends before the first operation that would have to wait", "[engine][groups]") {
  Fixture f;
  const auto members = f.Members(4);
  TokenPtr busy;
  const Access access = GENERATE(Access::kRead, Access::kWrite);
  f.Do({{members[2].array, access}}, [&](const TokenPtr& token) { busy = token; });
  CHECK(f.Append(members) == 2);
  CHECK(f.issued == 1);
  CHECK_FALSE(f.Writes(members[3].array));
  f.token->Finish(absl::OkStatus());
  f.token = nullptr;
  f.issued = 0;
  CHECK(f.Append({members[2], members[3]}) == 0);
  CHECK(f.issued == 0);
  CHECK_FALSE(f.Writes(members[3].array));
  busy->Finish(absl::OkStatus());
  busy = nullptr;
  CHECK(f.Append({members[2], members[3]}) == 2);
  f.token->Finish(absl::OkStatus());
  f.token = nullptr;
}

TEST_CASE("readers of an array may be in a group together, and one array is written once",
          "[engine][groups]") {
  Fixture f;
  auto members = f.Members(3);
  members[1].array = members[0].array;
  CHECK(f.Append(members) == 1);
  f.token->Finish(absl::OkStatus());
  f.token = nullptr;
  for (auto& member : members) member.access = Access::kRead;
  CHECK(f.Append(members) == 3);
  f.token->Finish(absl::OkStatus());
  f.token = nullptr;
  CHECK(f.engine.Wait({f.all}, DependencyEngine::WaitFor::kAll).ok());
}

TEST_CASE("a failure of one of a group is its own, and is told once", "[engine][groups]") {
  Fixture f;
  const auto members = f.Members(3);
  REQUIRE(f.Append(members) == 3);
  const OperationToken::Ended ended[] = {
      {0, absl::OkStatus()}, {1, absl::InternalError("of 1")}, {2, absl::OkStatus()}};
  f.token->Complete(ended);
  f.token = nullptr;
  CHECK(f.engine.TakeFailure(members[0].array, true).ok());
  CHECK(f.engine.TakeFailure(members[2].key, true).ok());
  const std::vector<VarPtr> vars = {f.all, members[1].key, members[1].array};
  const VarPtr& asked = vars[GENERATE(size_t{0}, size_t{1}, size_t{2})];
  const KeyedStatus failure = f.engine.TakeFailure(asked, true);
  CHECK(failure.key == "1");
  CHECK(failure.status == absl::InternalError("of 1"));
  for (const VarPtr& var : vars) {
    CHECK(f.engine.TakeFailure(var, true).ok());
  }
}

TEST_CASE("what a group leaves behind fails with what its token was told, or was not",
          "[engine][groups]") {
  Fixture f;
  const auto members = f.Members(3);
  REQUIRE(f.Append(members) == 3);
  const OperationToken::Ended ended[] = {{1, absl::OkStatus()}};
  f.token->Complete(ended);
  const bool told = GENERATE(false, true);
  if (told) f.token->Finish(absl::UnavailableError("gone"));
  f.token = nullptr;
  for (const size_t i : {0, 2}) {
    CHECK(f.engine.TakeFailure(members[i].array, true).status.code() ==
          (told ? absl::StatusCode::kUnavailable : absl::StatusCode::kInternal));
  }
  CHECK(f.engine.TakeFailure(members[1].array, true).ok());
  CHECK(f.engine.TakeFailure(f.all, true).ok());
}

TEST_CASE("an overdue wait names the operations of a group that it waits for", "[engine][groups]") {
  Fixture f;
  f.owner->timeout_ms = 1;
  const auto members = f.Members(3);
  REQUIRE(f.Append(members) == 3);
  const absl::Status late =
      f.engine.Wait({members[0].array, members[2].array}, DependencyEngine::WaitFor::kAll);
  CHECK(late.message() == "Pull of key 0;Pull of key 2;");
  f.token->Finish(absl::OkStatus());
  f.token = nullptr;
}

TEST_CASE("a group whose issue function ends it at once is over when it was run",
          "[engine][groups]") {
  Fixture f;
  const auto members = f.Members(2);
  OperationList operations = OperationList::OfGroup(2);
  OperationSpec leader;
  leader.owner = f.owner;
  leader.verb = "Push";
  leader.uses.push_back({f.all, Access::kTrack});
  leader.issue = [](const TokenPtr& token) {
    const OperationToken::Ended first[] = {{0, absl::OkStatus()}};
    token->Complete(first);
    throw std::bad_alloc();
  };
  operations.Add(std::move(leader));
  for (const auto& member : members) {
    operations.AddMember(std::make_shared<OperationSubject>(OperationSubject{"k", "key k"}),
                         {member.key, Access::kOrder}, {member.array, Access::kWrite});
  }
  size_t taken = 0;
  f.engine.Run(f.engine.AppendGroup(std::move(operations), &taken));
  REQUIRE(taken == 2);
  CHECK(f.engine.Wait({f.all}, DependencyEngine::WaitFor::kAll).ok());
  CHECK(f.engine.TakeFailure(members[0].array, true).ok());
  CHECK(absl::IsResourceExhausted(f.engine.TakeFailure(members[1].array, true).status));
}

}  // namespace kvstore
