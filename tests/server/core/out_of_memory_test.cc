// A core on the daemons' values whose memory runs out, at every place: of each event of a job, the
// first allocation fails, then the second, and so on. Workers do what the SDK does then: what is
// refused with retry-after is asked again, and when the core throws, all streams are closed, so
// that everybody asks after what was not answered. Everything must end as if nothing had been.
#include <catch2/catch.hpp>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/cluster/partitioner.h"
#include "common/wire/norm_note.h"
#include "common/wire/state_page.h"
#include "server/core/server_core.h"
#include "server/values/tensor_values.h"
#include "tests/server/core/shard_under_test.h"
#include "tests/support/failing_new.h"

namespace kvstore {
namespace {

using testing::FailingNth;
using testing::kCluster;
using testing::kServerIncarnation;
using testing::RoutingOf;

struct Kind {
  std::string store;
  Storage storage;
  DType dtype;
  // The last of two parts of a value, with an updater that needs norms of all of it.
  bool measured = false;
};

constexpr KeyId kKey = 17;
constexpr KeyId kOther = 18;
constexpr int64_t kRows = 6;
constexpr int64_t kWidth = 4;

struct Event {
  std::string what;
  RequestFrame frame;

  const RequestEntry& entry() const { return frame.entries.front(); }
};

// The requests of a job of two workers.
class Job {
 public:
  explicit Job(Kind kind) : kind_(std::move(kind)) {}

  std::vector<Event> Events() {
    OptimizerConfig momentum{kind_.measured ? "lars" : "sgd",
                             {{"learning_rate", 0.5}, {"momentum", 0.5}}};
    AddInit("Init that waits", 1, kKey, false);
    AddInit("Init", 0, kKey, true);
    AddOptimizer("set optimizer", Op::kSetOptimizer, momentum);
    AddOptimizer("check optimizer", Op::kCheckOptimizer, OptimizerConfig{"adam", {}});
    AddPush("push before its turn", 1, 2);
    AddPush("push of the last rank", 1, 1);
    AddPull("pull", 1, 1);
    AddPush("push that completes rounds", 0, 1);
    AddProbe("probe", 1, events_[events_.size() - 2]);
    AddPush("push of round 2", 0, 2);
    AddNorms("norms of round 1", 1, 1);
    if (kind_.store == "dist_sync") {
      AddNorms("norms of round 2", 0, 2);
    } else {
      for (const auto& [rank, round] : {std::pair(1, 2), {0, 1}, {0, 2}}) {
        AddNorms(fmt::format("norms of round {} of {}", round, rank), rank, round);
      }
    }
    AddPull("pull of round 2", 0, 2);
    AddState("read the state", Op::kReadState, 1, EncodeStateCursor({}));
    AddState("bring a state", Op::kWriteState, 0, EncodeStatePage(State()));
    StatePage commit;
    commit.verb = StateVerb::kCommit;
    AddState("replace the state", Op::kWriteState, 0, EncodeStatePage(commit));
    AddState("read the other state", Op::kReadState, 1, EncodeStateCursor({}));
    AddInit("Init of another", 0, kOther, true);
    AddTakeBack("take it back", events_.back().entry().request);
    AddInit("Init of it again", 0, kOther, true);
    AddReset("reset of another that waits", 1);
    AddReset("reset of another", 0);
    AddCommand("command");
    AddPush("push of round 3", 0, 3);
    AddLeave("leave", 1);
    AddNorms("norms of round 3", 0, 3);
    AddPull("pull of round 3", 0, 3);
    return events_;
  }

 private:
  bool rows() const { return kind_.storage == Storage::kRowSparse; }

  KeySpec SpecOf(KeyId key) const {
    KeySpec spec;
    spec.key = key;
    spec.name = "the name of a key that is too long for a small string";
    spec.dtype = kind_.dtype;
    spec.storage = kind_.storage;
    spec.shape = {kRows, kWidth};
    if (kind_.measured)
      spec.shape = {int64_t{kPartBytesMax} / static_cast<int64_t>(DTypeBytes(kind_.dtype)) +
                    kRows * kWidth};
    return spec;
  }
  RequestEntry EntryOf(Op op, KeyId key) {
    RequestEntry entry;
    entry.op = op;
    entry.key = key;
    if (kind_.measured && InfoOf(op).scope == OpScope::kPart) entry.part = 1;
    entry.request = ++last_request_;
    return entry;
  }
  RequestFrame& Add(const std::string& what, WorkerRank rank, RequestEntry entry) {
    events_.push_back({what, testing::Shard::FrameOf(rank, std::move(entry))});
    return events_.back().frame;
  }
  // The number in the dtype; small whole ones are exact in each.
  void Put(std::string* bytes, int number) const {
    if (kind_.dtype == DType::kFloat16) {
      static constexpr uint16_t kHalves[] = {0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500};
      bytes->append(reinterpret_cast<const char*>(&kHalves[number % 6]), sizeof(uint16_t));
    } else {
      const auto wide = static_cast<float>(number);
      bytes->append(reinterpret_cast<const char*>(&wide), sizeof(wide));
    }
  }
  std::string Elements(size_t count, int salt) const {
    std::string bytes;
    for (size_t i = 0; i < count; ++i) Put(&bytes, static_cast<int>(i) * salt + 1);
    return bytes;
  }
  static std::string Ids(const std::vector<int64_t>& ids) {
    return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int64_t)};
  }
  // Rows come in two fragments, of which the second comes first if `swapped`.
  std::vector<Piece> Pieces(int salt, bool swapped) const {
    if (!rows()) {
      Piece piece;
      piece.data = Payload::CopyOf(Elements(kRows * kWidth, salt));
      return {piece};
    }
    std::vector<Piece> pieces(2);
    for (uint32_t i = 0; i < 2; ++i) {
      const std::vector<int64_t> ids = {i, 2 + (i + salt) % 3, 5};
      pieces[i].rows = 3;
      pieces[i].fragment = i;
      pieces[i].fragments = 2;
      pieces[i].data = Payload::CopyOf(Ids(ids) + Elements(3 * kWidth, salt + static_cast<int>(i)));
    }
    if (swapped) std::swap(pieces[0], pieces[1]);
    return pieces;
  }

  void AddInit(const std::string& what, WorkerRank rank, KeyId key, bool brings) {
    for (Piece& piece : brings ? Pieces(1, false) : std::vector<Piece>(1)) {
      RequestEntry entry = EntryOf(Op::kInit, key);
      entry.piece = std::move(piece);
      entry.piece.create = brings;
      Add(what, rank, std::move(entry)).keys.push_back(SpecOf(key));
    }
  }
  void AddPush(const std::string& what, WorkerRank rank, Round round) {
    const int salt = static_cast<int>(rank * 2 + round);
    for (Piece& piece : Pieces(salt, salt % 2 == 1)) {
      RequestEntry entry = EntryOf(Op::kPush, kKey);
      entry.round = round;
      entry.piece = std::move(piece);
      Add(what, rank, std::move(entry));
    }
  }
  // Those of part 0, which is not here, are made up.
  void AddNorms(const std::string& what, WorkerRank rank, Round round) {
    if (!kind_.measured) return;
    NormNote note;
    note.parts = 2;
    note.known = 1;
    note.norms.squares = {400, 100 * static_cast<double>(round), 0, 0};
    RequestEntry entry = EntryOf(Op::kNorms, kKey);
    entry.round = round;
    entry.piece.data = EncodeNormNote(note);
    Add(what, rank, std::move(entry));
  }
  void AddPull(const std::string& what, WorkerRank rank, Round round) {
    RequestEntry entry = EntryOf(Op::kPull, kKey);
    entry.round = round;
    if (rows()) {
      entry.piece.rows = kRows;
      entry.piece.data = Payload::CopyOf(Ids({0, 1, 2, 3, 4, 5}));
    }
    Add(what, rank, std::move(entry));
  }
  void AddProbe(const std::string& what, WorkerRank rank, const Event& of) {
    RequestEntry entry = EntryOf(Op::kProbe, kKey);
    entry.probed_op = of.entry().op;
    entry.round = of.entry().round;
    Add(what, rank, std::move(entry));
  }
  void AddOptimizer(const std::string& what, Op op, OptimizerConfig config) {
    Add(what, 0, EntryOf(op, 0)).optimizer = std::move(config);
  }
  void AddState(const std::string& what, Op op, WorkerRank rank, Payload note) {
    RequestEntry entry = EntryOf(op, kKey);
    entry.piece.data = std::move(note);
    Add(what, rank, std::move(entry));
  }
  // All of a momentum.
  StatePage State() const {
    StatePage page;
    page.info.updater = kind_.measured ? "lars" : "sgd";
    page.info.names = {"momentum"};
    page.info.dtype = kind_.dtype;
    page.info.kept = true;
    page.info.updates = 5;
    if (!rows()) {
      page.to = kRows * kWidth;
      page.data = Payload::CopyOf(Elements(kRows * kWidth, 3));
    } else {
      page.to = kRows;
      page.rows = 2;
      page.data = Payload::CopyOf(Ids({1, 4}) + Elements(2 * kWidth, 3));
    }
    return page;
  }
  void AddReset(const std::string& what, WorkerRank rank) {
    Add(what, rank, EntryOf(Op::kReset, kOther));
  }
  void AddTakeBack(const std::string& what, RequestId last_of_init) {
    RequestEntry entry = EntryOf(Op::kTakeBack, kOther);
    entry.takes_back = last_of_init - (rows() ? 1 : 0);
    Add(what, 0, std::move(entry));
  }
  void AddCommand(const std::string& what) {
    Add(what, 0, EntryOf(Op::kCommand, 0)).command =
        Command{3, "a body that is too long for a small string"};
  }
  void AddLeave(const std::string& what, WorkerRank rank) {
    Add(what, rank, EntryOf(Op::kLeave, 0));
  }

  const Kind kind_;
  RequestId last_request_ = 0;
  std::vector<Event> events_;
};

// What a worker was told last about a request, as text.
std::string TextOf(const ReplyEntry& reply) {
  return fmt::format("{} {} '{}' version {} data {:02x}", static_cast<int>(reply.progress),
                     absl::StatusCodeToString(reply.code), reply.message, reply.version,
                     fmt::join(reply.data.ToString(), ""));
}
bool IsFinal(const ReplyEntry& reply) {
  return reply.retry_after_ms == 0 &&
         (reply.code != absl::StatusCode::kOk || reply.progress == Progress::kDone);
}

// One core, its workers, and the shell between them.
class World {
 public:
  World(const Kind& kind, std::vector<Event> events)
      : events_(std::move(events)), told_(events_.size()), core_({}, ShardAddress{0, 0}, &values_) {
    core_.OnRouting(kCluster, kServerIncarnation, RoutingOf(2, 1, 1, kind.store));
  }

  // Event `i` comes, and goes on until it is answered or waits for others. The first time, the
  // allocations from number `spared` on fail, `failing` of them. Returns how many failed.
  int Run(size_t i, int spared = 0, int failing = 0) {
    sent_ = i + 1;
    const RequestFrame frame = FrameOf(i);
    ServerOutbox out;
    bool thrown = false;
    int failed = 0;
    {
      const FailingNth scarce(spared, failing);
      try {
        core_.OnFrame(0, 1, frame, &out);
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
      failed = scarce.failed();
    }
    if (failed > 0) at_failure_ = core_.Status();
    if (thrown) {
      TakeCommands();
      AskAfterAll();
    } else {
      TakeNews(out);
    }
    for (int tries = 0; !again_.empty(); ++tries) {
      REQUIRE(tries < 100);
      const size_t next = *again_.begin();
      again_.erase(again_.begin());
      Send(FrameOf(next));
    }
    return failed;
  }

  // Right after allocations failed.
  const ShardStatus& at_failure() const { return at_failure_; }
  ShardStatus Status() const { return core_.Status(); }
  // What everybody was told in the end, and how often commands were run.
  std::vector<std::string> Ends() const {
    std::vector<std::string> ends;
    for (size_t i = 0; i < sent_; ++i) {
      ends.push_back(events_[i].what + ": " + (told_[i] ? TextOf(*told_[i]) : "not answered"));
    }
    ends.push_back(fmt::format("{} commands run", commands_run_));
    const ShardStatus status = core_.Status();
    ends.push_back(fmt::format("{} keys, {} of {} bytes held, {} parked, {} rounds, {} open",
                               status.keys, status.held_bytes, status.value_bytes,
                               status.parked_bytes, status.committed_rounds,
                               status.open_rounds.size()));
    return ends;
  }

 private:
  // A request that is made anew has another number.
  RequestId IdOf(size_t event) const {
    const RequestId attempts = attempts_.count(event) == 0 ? 0 : attempts_.at(event);
    return events_[event].entry().request * 1000 + attempts;
  }
  RequestFrame FrameOf(size_t event) const {
    RequestFrame frame = events_[event].frame;
    RequestEntry& entry = frame.entries[0];
    entry.request = IdOf(event);
    if (entry.takes_back > 0) entry.takes_back = IdOf(EventOf(entry.takes_back));
    return frame;
  }
  size_t EventOf(RequestId request) const {
    size_t event = 0;
    while (events_[event].entry().request != request) ++event;
    return event;
  }

  void Send(const RequestFrame& frame) {
    ServerOutbox out;
    core_.OnFrame(0, 1, frame, &out);
    TakeNews(out);
  }
  void TakeNews(const ServerOutbox& out) {
    for (const ServerFrame& sent : out) {
      for (const ReplyEntry& reply : sent.frame.entries) TakeReply(reply);
    }
    TakeCommands();
  }
  void TakeCommands() {
    for (const CommandRun& run : core_.TakeCommands()) {
      ++commands_run_;
      ServerOutbox done;
      core_.OnCommandDone(run.ticket, absl::OkStatus(), &done);
      TakeNews(done);
    }
  }

  void TakeReply(ReplyEntry reply) {
    const size_t event = EventOf(reply.request / 1000);
    if (reply.request != IdOf(event)) return;  // of an Init that was given up
    const Event& asked = events_[event];
    const bool probe = asked_after_.erase(event) > 0 && reply.op == Op::kProbe;
    if (reply.retry_after_ms > 0 || (probe && reply.progress == Progress::kUnknown)) {
      again_.insert(event);
      return;
    }
    again_.erase(event);
    if (asked.entry().op == Op::kInit && absl::IsResourceExhausted({reply.code, ""})) {
      return InitAnew(asked);
    }
    // Only of a push a probe says more than that it waits.
    if (probe && (reply.progress != Progress::kDone || asked.entry().op != Op::kPush)) return;
    if (!told_[event] || !IsFinal(*told_[event])) told_[event] = std::move(reply);
  }

  // The program is told that there was no memory, and tries once more: a new Init, from its first
  // fragment on.
  void InitAnew(const Event& refused) {
    for (size_t i = 0; i < sent_; ++i) {
      if (events_[i].what != refused.what) continue;
      ++attempts_[i];
      told_[i].reset();
      again_.insert(i);
    }
  }

  // The streams were closed: everybody asks after what was not answered.
  void AskAfterAll() {
    for (size_t i = 0; i < sent_; ++i) {
      const Op op = events_[i].entry().op;
      if (told_[i] && (IsFinal(*told_[i]) || op == Op::kProbe)) continue;
      if (!InfoOf(op).may_be_probed) {
        again_.insert(i);
        continue;
      }
      RequestFrame probe = FrameOf(i);
      probe.keys.clear();
      probe.entries[0].op = Op::kProbe;
      probe.entries[0].probed_op = op;
      probe.entries[0].piece = {};
      asked_after_.insert(i);
      Send(probe);
    }
  }

  const std::vector<Event> events_;
  std::vector<std::optional<ReplyEntry>> told_;  // of each event, the last word
  TensorValues values_;
  ServerCore core_;
  size_t sent_ = 0;                       // so many events came
  std::map<size_t, RequestId> attempts_;  // how often a request was made anew
  std::set<size_t> again_;                // events whose request is to be sent again
  std::set<size_t> asked_after_;          // events that a probe is under way for
  int commands_run_ = 0;
  ShardStatus at_failure_;
};

}  // namespace

TEST_CASE("wherever memory runs out, nothing is lost, done twice or done by half",
          "[core][memory]") {
  const Kind kind = GENERATE(Kind{"dist_sync", Storage::kDense, DType::kFloat32},
                             Kind{"dist_sync", Storage::kDense, DType::kFloat16},
                             Kind{"dist_sync", Storage::kRowSparse, DType::kFloat32},
                             Kind{"dist_sync", Storage::kRowSparse, DType::kFloat16},
                             Kind{"dist_async", Storage::kDense, DType::kFloat32},
                             Kind{"dist_async", Storage::kDense, DType::kFloat16},
                             Kind{"dist_async", Storage::kRowSparse, DType::kFloat32},
                             Kind{"dist_async", Storage::kRowSparse, DType::kFloat16},
                             Kind{"dist_sync", Storage::kDense, DType::kFloat32, true},
                             Kind{"dist_sync", Storage::kDense, DType::kFloat16, true},
                             Kind{"dist_async", Storage::kDense, DType::kFloat32, true},
                             Kind{"dist_ssp:0", Storage::kDense, DType::kFloat32},
                             Kind{"dist_ssp:0", Storage::kRowSparse, DType::kFloat32});
  CAPTURE(kind.store, static_cast<int>(kind.storage), DTypeName(kind.dtype), kind.measured);
  const std::vector<Event> events = Job(kind).Events();

  World undisturbed(kind, events);
  std::vector<ShardStatus> after;
  for (size_t i = 0; i < events.size(); ++i) {
    undisturbed.Run(i);
    after.push_back(undisturbed.Status());
  }
  const std::vector<std::string> expected = undisturbed.Ends();
  for (const std::string& end : expected) CHECK_THAT(end, !Catch::Contains("not answered"));
  // One allocation fails, or all from one on.
  const int failing = GENERATE(1, FailingNth::kAll);
  int places = 0;
  for (size_t at = 0; at < events.size(); ++at) {
    for (int spared = 0;; ++spared) {
      CAPTURE(events[at].what, at, spared, failing);
      World world(kind, events);
      int failed = 0;
      for (size_t i = 0; i < events.size(); ++i) {
        failed += i == at ? world.Run(i, spared, failing) : world.Run(i);
      }
      if (failed == 0) break;
      ++places;
      size_t first = at;  // fragment; a value for the rest of which there is no memory is undone
      while (first > 0 && events[first - 1].what == events[at].what) --first;
      const ShardStatus undone = first == 0 ? ShardStatus() : after[first - 1];
      const ShardStatus before = at == 0 ? ShardStatus() : after[at - 1];
      const ShardStatus& then = world.at_failure();
      const auto has = [&](const ShardStatus& status) {
        return then.keys == status.keys && then.value_bytes == status.value_bytes;
      };
      CHECK((has(before) || has(after[at]) || has(undone)));
      CHECK(then.committed_rounds >= before.committed_rounds);
      CHECK(then.committed_rounds <= after[at].committed_rounds);
      const std::vector<std::string> ends = world.Ends();
      REQUIRE(ends.size() == expected.size());
      for (size_t i = 0; i < ends.size(); ++i) CHECK(ends[i] == expected[i]);
    }
  }
  CHECK(places > 100);
}

TEST_CASE("a value beside which no sum fits is not taken", "[core][memory]") {
  constexpr size_t kPart = 1 << 20;
  TensorValues values;
  ServerCore core({}, ShardAddress{0, 0}, &values);
  core.OnRouting(kCluster, kServerIncarnation, RoutingOf(1));
  KeySpec spec;
  spec.key = kKey;
  spec.dtype = DType::kFloat32;
  spec.shape = {kPart / 4};
  spec.storage = Storage::kDense;
  RequestEntry entry;
  entry.op = Op::kInit;
  entry.key = kKey;
  entry.piece.create = true;
  entry.piece.data = Payload::CopyOf(std::string(kPart, '\1'));
  // While so many blocks of a part's size can be had.
  const auto init = [&](RequestId request, int blocks) {
    entry.request = request;
    RequestFrame frame = testing::Shard::FrameOf(0, entry);
    frame.keys.push_back(spec);
    ServerOutbox out;
    {
      const testing::FailingNew scarce(kPart, blocks);
      core.OnFrame(0, 1, frame, &out);
    }
    return out.at(0).frame.entries.at(0);
  };
  const ReplyEntry refused = init(1, 1);
  CHECK(refused.code == absl::StatusCode::kResourceExhausted);
  CHECK(refused.retry_after_ms == 0);
  CHECK(refused.message ==
        "key 17 part 0: memory for 2097152 bytes expected, the system has no more");
  CHECK(core.Status().value_bytes == 0);
  CHECK(init(2, 2).code == absl::StatusCode::kOk);
}

}  // namespace kvstore
