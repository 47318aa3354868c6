// The keys of a job, as two servers tell them, answer by answer.
#include "client/dist/job_keys.h"

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/model/key_spec.h"
#include "common/transport/methods.h"
#include "common/transport/transport.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {
namespace {

constexpr JobId kJob = 7;
constexpr int64_t kPartElements = 1 << 18;

// What the servers answer, by address.
class Answers final : public Transport {
 public:
  std::unique_ptr<EventLoop> MakeLoop(const std::string&) override { return nullptr; }
  std::unique_ptr<EventLoop> MakeServerLoop(const std::string&) override { return nullptr; }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string&, ListenOptions) override {
    return absl::UnimplementedError("");
  }
  std::unique_ptr<MessageStream> Dial(EventLoop&, const std::string&, const std::string&,
                                      StreamEvents) override {
    return nullptr;
  }
  using Answer = std::function<absl::StatusOr<std::string>(const v1::KeyStatsRequest& asked)>;

  absl::StatusOr<std::string> CallUnary(const std::string& address, const std::string& method,
                                        const std::string& request, int64_t) override {
    CHECK(method == kKeyStatsMethod);
    v1::KeyStatsRequest asked;
    REQUIRE(asked.ParseFromString(request));
    CHECK(asked.without_figures());
    ++calls[address];
    return answers.at(address)(asked);
  }

  std::map<std::string, Answer> answers;
  std::map<std::string, int> calls;
};

void Add(const KeyPlace& place, uint64_t parts, const std::vector<int64_t>& shape,
         v1::ServerKeyStats* page) {
  v1::KeyStats& key = *page->add_keys();
  key.set_key(place.key);
  key.set_name(place.name);
  key.set_dtype(v1::DTYPE_F32);
  key.set_storage(v1::STORAGE_DENSE);
  for (const int64_t dimension : shape) key.add_shape(dimension);
  key.set_parts(parts);
}

v1::ServerKeyStats PageOf(JobId job = kJob) {
  v1::ServerKeyStats page;
  page.set_job(job);
  return page;
}

// The page, of all that there is.
Answers::Answer Always(v1::ServerKeyStats page) {
  page.set_keys_total(static_cast<uint64_t>(page.keys_size()));
  return [page](const v1::KeyStatsRequest&) { return page.SerializeAsString(); };
}

struct Fixture {
  Fixture() { transport.answers = {{"a:1", Always(PageOf())}, {"b:2", Always(PageOf())}}; }

  absl::StatusOr<std::vector<KeyInfo>> Ask(const std::string& prefix = "") {
    KeysQuestion question;
    question.prefix = prefix;
    question.timeout_ms = timeout_ms;
    question.pause_ms = 1;
    return KeysOfJob(transport, question, [this](int64_t) { return Routing(); });
  }
  absl::StatusOr<RoutingPtr> Routing() {
    ++asked_for_routing;
    if (asked_for_routing > 1 && !ended.ok()) return ended;
    auto table = std::make_shared<RoutingTable>();
    table->job = kJob;
    table->epoch = epoch;
    table->servers.resize(2);
    table->servers[0].address = first;
    table->servers[1].address = "b:2";
    return RoutingPtr(table);
  }

  Answers transport;
  int64_t timeout_ms = 60000;
  int asked_for_routing = 0;
  Epoch epoch = 1;
  std::string first = "a:1";
  absl::Status ended;
};

std::string TextOf(const absl::StatusOr<std::vector<KeyInfo>>& keys) {
  if (!keys.ok()) return keys.status().ToString();
  std::string text;
  for (const KeyInfo& key : *keys) text += key.name + " ";
  return text;
}

}  // namespace

TEST_CASE("the keys of a job are those of which all parts are on one server or another",
          "[dist][keys]") {
  Fixture f;
  v1::ServerKeyStats page = PageOf();
  Add({static_cast<KeyId>(-3), ""}, 1, {2, 3}, &page);
  Add({10, ""}, 2, {3 * kPartElements}, &page);
  Add({99, "half"}, 1, {2 * kPartElements}, &page);
  f.transport.answers["a:1"] = Always(page);
  page = PageOf();
  Add({9, ""}, 1, {1}, &page);
  Add({10, ""}, 1, {3 * kPartElements}, &page);
  Add({5, "name"}, 1, {}, &page);
  f.transport.answers["b:2"] = Always(page);
  const auto keys = f.Ask();
  CHECK(TextOf(keys) == "-3 9 10 name ");
  CHECK(keys->at(0).shape == std::vector<int64_t>{2, 3});
  CHECK(keys->at(0).dtype == DataType::kFloat32);
  CHECK(keys->at(0).storage == StorageType::kDefault);
}

TEST_CASE("the keys of a job come page by page", "[dist][keys]") {
  Fixture f;
  std::vector<std::string> questions;
  f.transport.answers["a:1"] = [&](const v1::KeyStatsRequest& asked) {
    questions.push_back(asked.has_after() ? std::to_string(asked.after().key()) : "first");
    CHECK(asked.prefix() == "1");
    v1::ServerKeyStats page = PageOf();
    const KeyId first = asked.has_after() ? asked.after().key() + 1 : 100;
    for (KeyId key = first; key < first + 2 && key < 105; ++key) Add({key, ""}, 1, {1}, &page);
    page.set_keys_total(105 - first);
    return page.SerializeAsString();
  };
  CHECK(TextOf(f.Ask("1")) == "100 101 102 103 104 ");
  CHECK(questions == std::vector<std::string>{"first", "101", "103"});
  CHECK(f.transport.calls["b:2"] == 1);
}

TEST_CASE("a server that is not there, or at another job, is asked again", "[dist][keys]") {
  Fixture f;
  int tries = 0;
  f.transport.answers["b:2"] = [&](const v1::KeyStatsRequest&) -> absl::StatusOr<std::string> {
    if (++tries == 1) return absl::UnavailableError("nobody there");
    if (tries == 2) return absl::DeadlineExceededError("no answer");
    v1::ServerKeyStats page = PageOf(tries == 3 ? kJob - 1 : kJob);
    Add({1, ""}, 1, {1}, &page);
    return page.SerializeAsString();
  };
  CHECK(TextOf(f.Ask()) == "1 ");
  CHECK(tries == 4);
  CHECK(f.transport.calls["a:1"] == 1);
}

TEST_CASE("a server that does not answer in time is named, with what was the matter",
          "[dist][keys]") {
  Fixture f;
  f.timeout_ms = 20;
  f.transport.answers["b:2"] = Always(PageOf(kJob + 1));
  CHECK(TextOf(f.Ask()) ==
        "DEADLINE_EXCEEDED: Keys is not done after 20 ms: it waits for server 1 (b:2): the keys of "
        "job 7 expected, it has those of job 8");
}

TEST_CASE("the job's end ends the question for its keys", "[dist][keys]") {
  Fixture f;
  f.ended = absl::DataLossError("server 1 died");
  f.transport.answers["b:2"] = [](const v1::KeyStatsRequest&) {
    return absl::UnavailableError("nobody there");
  };
  CHECK(TextOf(f.Ask()) == "DATA_LOSS: server 1 died");
}

TEST_CASE("a new table is asked from its first server on", "[dist][keys]") {
  Fixture f;
  v1::ServerKeyStats page = PageOf();
  Add({1, ""}, 1, {1}, &page);
  f.transport.answers["a:1"] = Always(page);
  f.transport.answers["c:3"] = Always(PageOf());
  f.transport.answers["b:2"] = [&](const v1::KeyStatsRequest&) -> absl::StatusOr<std::string> {
    if (f.epoch == 2) return PageOf().SerializeAsString();
    f.epoch = 2;
    f.first = "c:3";
    return absl::UnavailableError("nobody there");
  };
  CHECK(TextOf(f.Ask()).empty());
  CHECK(f.transport.calls == std::map<std::string, int>{{"a:1", 1}, {"b:2", 2}, {"c:3", 1}});
}

TEST_CASE("keys that make no sense are the server's error", "[dist][keys]") {
  Fixture f;
  v1::ServerKeyStats page = PageOf();
  SECTION("a page that goes back") {
    Add({2, ""}, 1, {1}, &page);
    Add({1, ""}, 1, {1}, &page);
    f.transport.answers["a:1"] = Always(page);
    CHECK(TextOf(f.Ask()) ==
          "INTERNAL: Keys: server 0 (a:1): a key behind key 2 expected, it sent key 1");
  }
  SECTION("a shape that is none") {
    Add({2, ""}, 1, {-1}, &page);
    f.transport.answers["a:1"] = Always(page);
    CHECK(TextOf(f.Ask()) ==
          "INTERNAL: Keys: server 0 (a:1): key 2: an array expected, it describes dtype 1, shape "
          "[-1], storage 1");
  }
  SECTION("other bytes") {
    f.transport.answers["a:1"] = [](const v1::KeyStatsRequest&) { return std::string("\xff\xff"); };
    CHECK(TextOf(f.Ask()) ==
          "INTERNAL: Keys: server 0 (a:1): a kvstore.v1.ServerKeyStats expected, it sent other "
          "bytes");
  }
  SECTION("an error of its own") {
    f.transport.answers["a:1"] = [](const v1::KeyStatsRequest&) {
      return absl::InvalidArgumentError("what?");
    };
    CHECK(TextOf(f.Ask()) == "INVALID_ARGUMENT: Keys: server 0 (a:1): what?");
  }
}

}  // namespace kvstore
