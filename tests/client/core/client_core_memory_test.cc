// A worker's core without memory: each allocation of each call fails in turn. Afterwards the same
// contributions have arrived, each once, under the same rounds, and the same answers have come.
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <new>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/wire/norm_note.h"
#include "tests/client/core/client_core_fixture.h"
#include "tests/support/failing_new.h"

namespace kvstore {
namespace {

using testing::FailingNth;

constexpr KeyId kKey = 17;
constexpr PartIndex kParts = 3;

// The servers of a job with one worker: what they must never see makes the test fail.
class Servers {
 public:
  // `measures`: every push waits for the norms of its whole value.
  explicit Servers(bool measures) : measures_(measures) {}

  ReplyFrame Answer(const RequestFrame& frame) {
    ReplyFrame reply;
    reply.header = frame.header;
    REQUIRE(!frame.entries.empty());
    for (const RequestEntry& entry : frame.entries) {
      ReplyEntry& answer = reply.entries.emplace_back(entry);
      answer.progress = Progress::kDone;
      Part& part = parts_[entry.id()];
      switch (entry.op) {
        case Op::kInit:
          CHECK(FindKeySpec(frame, entry) != nullptr);
          part.exists = true;
          break;
        case Op::kPush: {
          CHECK(part.exists);
          CHECK(entry.round <=
                part.version + part.waiting.size() + 1);  // no round was given that is not sent
          const std::string bytes = entry.piece.data.ToString();
          if (measures_ && entry.round > part.version) {
            part.waiting.emplace(entry.round, Waiting{entry, bytes});
            TellNorms(part, entry.round, &answer);
            break;
          }
          if (measures_) {
            TellNorms(part, entry.round, &answer);
          } else if (entry.round == part.version + 1) {
            part.version = entry.round;
            part.value = bytes;
            applied.emplace_back(entry.id(), entry.round, bytes);
          }
          break;
        }
        case Op::kNorms:
          TakeNorms(part, entry, &reply);
          break;
        case Op::kPull:
          if (measures_ && entry.round > part.version) {
            answer.SetStatus(absl::UnavailableError("it is not there yet"));
            answer.retry_after_ms = 10;
            break;
          }
          CHECK(entry.round == part.version);
          answer.version = part.version;
          answer.data = Payload::CopyOf(part.value);
          break;
        case Op::kProbe:  // which only a push is known by
          if (entry.probed_op != Op::kPush ||
              (entry.round > part.version && part.waiting.count(entry.round) == 0)) {
            answer.progress = Progress::kUnknown;
          } else if (measures_) {
            TellNorms(part, entry.round, &answer);
          }
          break;
        case Op::kCommand:
          REQUIRE(frame.command.has_value());
          if (commands_.insert({frame.header.server_incarnation, entry.request}).second) {
            ran.push_back(frame.command->body);
          }
          answer.SetStatus(absl::NotFoundError("a refusal with enough words to need memory"));
          break;
        case Op::kSetOptimizer:
          REQUIRE(frame.optimizer.has_value());
          break;
        default:
          FAIL("an op that was not asked");
      }
    }
    return reply;
  }

  std::vector<std::tuple<PartId, Round, std::string>> applied;
  std::vector<std::string> ran;

 private:
  struct Waiting {
    EntryHead push;
    std::string bytes;
  };
  struct Part {
    bool exists = false;
    Round version = 0;
    std::string value;
    std::map<Round, Waiting> waiting;
  };

  static double NormOf(PartIndex part, Round round) {
    return 0.1 * static_cast<double>(part + 1) * static_cast<double>(round);
  }
  static double NormOf(Round round) {
    double sum = 0;
    for (PartIndex part = 0; part < kParts; ++part) sum += NormOf(part, round);
    return sum;
  }
  // What the answer to a push, or to a probe of one, says of norms.
  static void TellNorms(const Part& part, Round round, ReplyEntry* answer) {
    NormNote note;
    note.parts = kParts;
    answer->progress = Progress::kReceived;
    if (round > part.version + 1) return;  // before its turn
    if (round <= part.version) {
      answer->progress = Progress::kDone;
      note.known = 1;
      note.norms.squares[0] = NormOf(round);
    } else {
      note.measured = true;
      note.own.squares[0] = NormOf(answer->part, round);
    }
    answer->data = EncodeNormNote(note);
  }
  void TakeNorms(Part& part, const RequestEntry& entry, ReplyFrame* reply) {
    const auto note = DecodeNormNote(entry.piece.data);
    REQUIRE(note.ok());
    CHECK(note->known == 1);
    CHECK(!note->abandoned);
    CHECK(note->norms.squares[0] == NormOf(entry.round));
    if (entry.round <= part.version) return;
    REQUIRE(entry.round == part.version + 1);
    const Waiting due = part.waiting.at(entry.round);
    part.waiting.erase(entry.round);
    part.version = entry.round;
    part.value = due.bytes;
    applied.emplace_back(entry.id(), entry.round, due.bytes);
    TellNorms(part, entry.round, &reply->entries.emplace_back(due.push));
    const auto next = part.waiting.find(entry.round + 1);
    if (next == part.waiting.end()) return;
    TellNorms(part, entry.round + 1, &reply->entries.emplace_back(next->second.push));
  }

  const bool measures_;
  std::map<PartId, Part> parts_;
  std::set<std::pair<Incarnation, RequestId>> commands_;
};

// What became of a ticket.
struct Outcome {
  absl::StatusCode code;
  std::string message;
  Round round;
  std::string data;

  bool operator==(const Outcome& other) const {
    return std::tie(code, message, round, data) ==
           std::tie(other.code, other.message, other.round, other.data);
  }
};

// A whole job of one worker and two servers. In its call number `failing` to the core the
// allocations behind the first `spared` fail, `fails` of them.
class Job {
 public:
  Job(bool measures, int failing, int spared, int fails)
      : servers(measures),
        failing_(failing),
        spared_(spared),
        fails_(fails),
        core_(Options(), kCluster, kRank, kIncarnation) {}

  void Run() {
    const RoutingPtr routing = RoutingOf(2);
    while (!Call([&] { core_.OnRouting(now_ms_, routing, &out_); })) Carry();
    Carry();
    Submit(Op::kInit, 1);
    Submit(Op::kPush, 2);
    Settle();
    SubmitPushesAndPulls();
    Break({0, 0});  // with what was sent over it
    Settle();
    SubmitGroups();
    Break({1, 0});
    Settle();
    Ask(Op::kSetOptimizer, 900);
    Ask(Op::kCommand, 901);
    Break({1, 0});
    Settle();
    Submit(Op::kPush, 50);
    Submit(Op::kPull, 60);
    replies_.clear();  // lost; and so are norms, for which the pushes wait
    Carry();
    replies_.clear();
    while (
        !Call([&] { core_.OnJobEnded(absl::AbortedError("the job is over, for all"), &out_); })) {
      Carry();
    }
    Carry();
    Submit(Op::kPush, 70);
    CHECK(core_.open_requests() == 0);
  }

  bool failed() const { return failed_; }
  int calls() const { return calls_; }

  Servers servers;
  std::map<Ticket, Outcome> outcomes;

 private:
  static ClientCoreOptions Options() {
    ClientCoreOptions options;
    options.window_bytes = 64;
    options.rounds_ahead_max = 2;
    return options;
  }

  // False if there was too little memory.
  template <typename Body>
  bool Call(const Body& body) {
    if (calls_++ != failing_) {
      body();
      return true;
    }
    try {
      const FailingNth failing(spared_, fails_);
      body();
      failed_ = failing.failed() > 0;
      return true;
    } catch (const std::bad_alloc&) {
      failed_ = true;
      return false;
    }
  }

  std::vector<PartRequest> Requests(Op op, Ticket first) const {
    std::vector<PartRequest> requests(kParts);
    for (PartIndex part = 0; part < kParts; ++part) {
      PartRequest& request = requests[part];
      request.op = op;
      request.id = {kKey, part};
      request.ticket = 10 * first + part;
      request.priority = static_cast<int>(part);
      if (op == Op::kPull) continue;
      request.piece.data = Payload::CopyOf(std::string(40, static_cast<char>('a' + first % 20)));
      request.piece.create = op == Op::kInit;
      KeySpec key;
      key.key = kKey;
      key.name = "a name of more than sixteen bytes";
      request.key = std::make_shared<KeySpec>(key);
    }
    return requests;
  }

  void Submit(std::vector<PartRequest> requests) {
    while (!Call([&] { core_.Submit(now_ms_, std::move(requests), &out_); })) {
      REQUIRE(requests.size() >= kParts);  // as they were
      Carry();
    }
    Carry();
  }
  void Submit(Op op, Ticket first) { Submit(Requests(op, first)); }

  void SubmitPushesAndPulls() {
    std::vector<PartRequest> all;
    Ticket first = 10;
    for (const Op op : {Op::kPush, Op::kPull, Op::kPush, Op::kPush, Op::kPull, Op::kPush}) {
      for (PartRequest& request : Requests(op, first++)) all.push_back(std::move(request));
    }
    Submit(std::move(all));
  }

  // A push and a pull of all parts, as a group each. Its completions are told apart by their parts.
  void SubmitGroups() {
    std::vector<PartRequest> groups;
    Ticket ticket = 30;
    for (const Op op : {Op::kPush, Op::kPull}) {
      const auto group = std::make_shared<PartGroup>();
      const auto bytes = std::make_shared<Buffer>(20 * kParts);
      for (PartIndex part = 0; part < kParts; ++part) {
        const uint32_t size = op == Op::kPush ? 20 : 0;
        group->members.push_back({{kKey, part}, part * size, size});
        std::memset(bytes->data() + size_t{20} * part, static_cast<int>('q' + part), 20);
      }
      if (op == Op::kPush) group->bytes = bytes;
      PartRequest& request = groups.emplace_back();
      request.op = op;
      request.ticket = 10 * ticket++;
      request.group = group;
    }
    while (!Call([&] { core_.Submit(now_ms_, std::move(groups), &out_); })) {
      REQUIRE(groups.size() == 2);
      Carry();
    }
    Carry();
  }

  void Ask(Op op, Ticket ticket) {
    ShardRequest request;
    request.op = op;
    request.ticket = ticket;
    request.optimizer.name = "sgd, with a name of many bytes";
    request.command = {7, std::string(100, 'c')};
    while (!Call([&] { core_.Submit(now_ms_, request, &out_); })) Carry();
    Carry();
  }

  // The shell: carries out what the core wants.
  void Carry() {
    ClientOutbox out = std::exchange(out_, {});
    for (const Completion& done : out.done) {
      const Outcome outcome{done.status.code(), std::string(done.status.message()), done.round,
                            done.data.ToString()};
      CHECK(outcomes.emplace(done.ticket + done.member, outcome).second);  // C4
    }
    for (const ClientOutbox::Send& send : out.frames) {
      replies_.emplace_back(send.to, servers.Answer(send.frame));
    }
    for (const ShardAddress shard : out.dial) {
      REQUIRE(Call([&] { core_.OnStreamUp(now_ms_, shard, &out_); }));
      Carry();
    }
  }

  void Break(ShardAddress shard) {
    for (auto it = replies_.begin(); it != replies_.end();) {
      it = it->first == shard ? replies_.erase(it) : std::next(it);
    }
    REQUIRE(Call([&] { core_.OnStreamDown(now_ms_, shard); }));
  }

  // Until nothing is open.
  void Settle() {
    for (int turn = 0; core_.open_requests() > 0; ++turn) {
      REQUIRE(turn < 1000);
      if (replies_.empty()) {
        now_ms_ = core_.NextTimerMs();
        REQUIRE(now_ms_ < INT64_MAX);
        REQUIRE(Call([&] { core_.OnTimer(now_ms_, &out_); }));
        Carry();
        continue;
      }
      const auto from = replies_.front().first;
      const auto reply = replies_.front().second;
      replies_.erase(replies_.begin());
      if (Call([&] { core_.OnFrame(now_ms_, from, reply, &out_); })) {
        Carry();
      } else {
        Break(from);
        Carry();
      }
    }
  }

  const int failing_, spared_, fails_;
  int calls_ = 0;
  bool failed_ = false;
  int64_t now_ms_ = 0;
  ClientCore core_;
  ClientOutbox out_;
  std::vector<std::pair<ShardAddress, ReplyFrame>> replies_;
};

// By part: parts of one value need not keep step on different servers.
std::map<PartId, std::vector<std::pair<Round, std::string>>> ByPart(const Servers& servers) {
  std::map<PartId, std::vector<std::pair<Round, std::string>>> by_part;
  for (const auto& [id, round, bytes] : servers.applied) by_part[id].emplace_back(round, bytes);
  return by_part;
}

}  // namespace

TEST_CASE("a core without memory keeps every rule and ends everything once", "[client][memory]") {
  const int fails = GENERATE(1, FailingNth::kAll);
  const bool measures = GENERATE(false, true);
  Job undisturbed(measures, -1, 0, 0);
  undisturbed.Run();
  REQUIRE(undisturbed.servers.ran.size() == 2);
  int failures = 0;
  for (int call = 0; call < undisturbed.calls(); ++call) {
    bool failed = true;
    for (int spared = 0; failed; ++spared) {
      CAPTURE(call, spared, fails, measures);
      Job job(measures, call, spared, fails);
      job.Run();
      failed = job.failed();
      failures += failed ? 1 : 0;
      CHECK((ByPart(job.servers) == ByPart(undisturbed.servers)));
      CHECK(job.servers.ran.size() == undisturbed.servers.ran.size());
      CHECK((job.outcomes == undisturbed.outcomes));
    }
  }
  CHECK(failures > 100);
}

}  // namespace kvstore
