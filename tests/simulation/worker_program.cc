// User code of a simulated worker: runs its program, action by action.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "common/codec/codec.h"
#include "common/codec/value_encoder.h"
#include "tests/simulation/worker_node.h"

namespace kvstore::sim {

void WorkerNode::Continue() {
  if (awake_ || state_ != State::kRunning) return;
  awake_ = true;
  world_.After(0, process_, [this] {
    awake_ = false;
    Step();
  });
}

void WorkerNode::Step() {
  const std::vector<Action>& actions = programs_.ranks[rank()].actions;
  while (state_ == State::kRunning && at_ < actions.size()) {
    const Action::Kind kind = actions[at_].kind;
    if (!begun() && kind != Action::Kind::kSleep && kind != Action::Kind::kBarrier) {
      return member_->Begin();  // OnBegun() goes on
    }
    if (!RunAction(actions[at_])) return;
    ++at_;
    began_ = false;
  }
}

bool WorkerNode::RunAction(const Action& action) {
  const bool first = !std::exchange(began_, true);
  switch (action.kind) {
    case Action::Kind::kSubmit:
      Submit(action, false);
      return true;
    case Action::Kind::kInitAgain:
      if (first) Submit(action, true);
      return !Blocks(0);
    case Action::Kind::kWait:
      return !Blocks(action.number);
    case Action::Kind::kSleep:
      if (first) {
        world_.After(action.number, process_, [this] {
          ++at_;
          began_ = false;
          Step();
        });
      }
      return false;  // the alarm steps over it
    case Action::Kind::kBarrier:
      if (first) {
        ++barriers_begun_;
        barrier_done_ = false;
        generation_ = 0;
      }
      if (!barrier_done_ && generation_ == 0) {
        generation_ = member_->Barrier(static_cast<uint64_t>(action.number));
        if (generation_ != barriers_begun_) {
          world_.Fail(fmt::format("barrier {} is asked for as generation {}", barriers_begun_,
                                  generation_));
        }
      }
      return barrier_done_;
    case Action::Kind::kInitTakenBack:
      if (first) Submit(action, false);
      if (Blocks(0)) return false;
      TakeBack();
      return !Blocks(0);
    case Action::Kind::kBadPull:
      if (first) SubmitBad(Op::kPull, action.ops[0].key);
      return true;
    case Action::Kind::kCheckOptimizer:
    case Action::Kind::kSetOptimizer:
      if (first) {
        ShardRequest request;
        request.op =
            action.kind == Action::Kind::kSetOptimizer ? Op::kSetOptimizer : Op::kCheckOptimizer;
        request.ticket = shard_ticket_ = ++last_ticket_;
        request.optimizer.name = "hash";
        request.optimizer.parameters["salt"] = static_cast<double>(action.number);
        request.optimizer.parameters["refused_by"] = action.refused_by;
        refused_by_ = action.refused_by;
        shard_request_done_ = false;
        if (action.kind == Action::Kind::kSetOptimizer && refused_push_) {
          oracle_.SetsOptimizerAfterRefusal();
        }
        Run([&](ClientOutbox* out) { client_->Submit(world_.clock_ms(process_), request, out); });
      }
      return shard_request_done_;
    case Action::Kind::kSetNumbers:
      // Two requests at a time, of which the later one counts, in whatever order they arrive.
      if (first) {
        SetNumbers(action, action.number + 1);
        replaced_ticket_ = shard_ticket_;
        SetNumbers(action, action.number);
      }
      return shard_request_done_ && replaced_ticket_ == 0;
    case Action::Kind::kCommand:
      if (first) {
        ShardRequest request;
        request.op = Op::kCommand;
        request.ticket = shard_ticket_ = ++last_ticket_;
        command_ = request.command = Commands::Make(job_, rank(), at_);
        shard_request_done_ = false;
        Run([&](ClientOutbox* out) { client_->Submit(world_.clock_ms(process_), request, out); });
      }
      return shard_request_done_;
    case Action::Kind::kTrial:
      if (first) SubmitTrial(action.number);
      if (Blocks(0)) return false;
      TakeBack();
      return !Blocks(0);
    case Action::Kind::kLoadStates:
      if (first) load_step_ = 0;
      while (!Blocks(0)) {
        if (!LoadStates(action.number)) return true;
      }
      return false;
    case Action::Kind::kLeave:
      if (first) {
        leaving_ = true;
        ShardRequest request;
        request.op = Op::kLeave;
        request.ticket = shard_ticket_ = ++last_ticket_;
        shard_request_done_ = false;
        Run([&](ClientOutbox* out) { client_->Submit(world_.clock_ms(process_), request, out); });
      }
      if (!shard_request_done_) return false;
      if (client_->open_requests() != 0) {
        world_.Fail(fmt::format("{} leaves with {} requests open", world_.name(process_),
                                client_->open_requests()));
      }
      member_->Leave();  // may end this process
      return true;
  }
  return true;
}

void WorkerNode::SetNumbers(const Action& action, int64_t number) {
  ShardRequest request;
  request.op = Op::kSetNumbers;
  request.ticket = shard_ticket_ = ++last_ticket_;
  request.optimizer.name = "hash";
  request.optimizer.parameters["salt"] = static_cast<double>(number);
  request.step = action.from_step;
  shard_request_done_ = false;
  Run([&](ClientOutbox* out) { client_->Submit(world_.clock_ms(process_), request, out); });
}

void WorkerNode::Submit(const Action& action, bool again) {
  std::vector<PartRequest> requests;
  for (const KeyOp& op : action.ops) {
    const bool ends = op.op == Op::kDelete || op.op == Op::kReset;
    if (ends && rank() == 0) oracle_.OnDelete(programs_.keys[op.key].key);
    for (PartIndex part = 0; part < world_.params().key_parts[op.key]; ++part) {
      Ask(op, part, action.priority, again, action.kind == Action::Kind::kInitTakenBack, &requests);
    }
    if (ends) ++lives_[op.key];
  }
  // By no random number, so that the seeds of old still do what they did.
  if (Mix64(last_ticket_ + index_) % 2 == 0) PutInGroups(&requests);
  Run([&](ClientOutbox* out) {
    client_->Submit(world_.clock_ms(process_), std::move(requests), out);
  });
}

void WorkerNode::Ask(const KeyOp& op, PartIndex part, int priority, bool again, bool trial,
                     std::vector<PartRequest>* requests) {
  const uint64_t life = lives_[op.key];
  const KeySpec key = programs_.KeyIn(op.key, life);
  const PartId id{key.key, part};
  const PartId in_life = InLife(id, life);
  const bool row_sparse = world_.params().row_sparse[op.key];
  Round round = 0;
  std::vector<uint64_t> pieces(1);  // what goes with each request; 0: no bytes
  switch (op.op) {
    case Op::kInit:
      if (rank() == 0) pieces = oracle_.Fragments(in_life, 0, 0);
      break;
    case Op::kPush:
      round = ++pushed_[id];
      pieces = oracle_.Compressed(in_life)
                   ? std::vector{Encode(in_life, oracle_.Contribution(in_life, rank(), round))}
                   : oracle_.Fragments(in_life, rank(), round);
      break;
    case Op::kDelete:
    case Op::kReset:
      pushed_[id] = 0;
      break;
    default:
      round = pushed_[id];
      if (row_sparse) {
        pieces.resize(1 + rng_.Below(3));
        for (uint64_t& ids : pieces) ids = rng_.Below(3);
      }
      break;
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    PartRequest& request = requests->emplace_back();
    request.op = op.op;
    request.id = id;
    request.ticket = ++last_ticket_;
    request.priority = priority;
    request.step = op.step;
    Asked asked{op.op, id, life, round, again, op.op == Op::kPull ? pieces[i] : 0};
    if (op.op != Op::kPull) {
      request.piece.fragment = static_cast<uint32_t>(i);
      request.piece.fragments = static_cast<uint32_t>(pieces.size());
    }
    if (pieces[i] != 0) {
      asked.memory = memory_.size();
      memory_.push_back(std::make_unique<std::array<uint8_t, 8>>());
      std::memcpy(memory_.back()->data(), &pieces[i], sizeof pieces[i]);
      request.piece.data = Payload(Slice{memory_.back()->data(), sizeof pieces[i], nullptr});
      request.piece.rows = row_sparse ? 1 : 0;
    }
    if (op.op == Op::kInit) {
      KeySpec told = key;
      request.piece.create = row_sparse && rank() == 0;
      if (rank() != 0 && rng_.Coin()) {
        told.shape_unknown = true;
        told.shape.clear();
        told.dtype = DType::kUnspecified;
        told.storage = Storage::kUnspecified;
      }
      request.key = std::make_shared<KeySpec>(std::move(told));
    }
    asked.trial = trial;
    asked_[request.ticket] = asked;
    if (op.op == Op::kDelete || op.op == Op::kReset) continue;
    monitor_->Submitted(asked.op, asked.id, asked.round, request.piece.fragment);
  }
}

// First the pushes that come before anything else about their parts; then what follows one another
// of one op. So there are groups over several keys, also of pulls, whatever the order of the
// requests.
void WorkerNode::PutInGroups(std::vector<PartRequest>* requests) {
  const auto may_be_in_one = [](const PartRequest& request) {
    return (request.op == Op::kPush || request.op == Op::kPull) && request.piece.rows == 0 &&
           request.piece.fragments == 1 && (request.op == Op::kPush) == !request.piece.data.empty();
  };
  std::set<PartId> met;
  std::stable_partition(requests->begin(), requests->end(), [&](const PartRequest& request) {
    return met.insert(request.id).second && request.op == Op::kPush && may_be_in_one(request);
  });
  std::vector<PartRequest> grouped;
  for (size_t begin = 0; begin < requests->size();) {
    PartRequest& first = (*requests)[begin];
    size_t end = begin;
    while (end < requests->size() && may_be_in_one((*requests)[end]) &&
           (*requests)[end].op == first.op && (*requests)[end].step == first.step) {
      ++end;
    }
    if (end == begin) {
      grouped.push_back(std::move(first));
      ++begin;
      continue;
    }
    const auto group = std::make_shared<PartGroup>();
    std::string bytes;
    PartRequest& made = grouped.emplace_back();
    made.op = first.op;
    made.priority = first.priority;
    made.step = first.step;
    made.ticket = ++last_ticket_;
    for (; begin < end; ++begin) {
      const PartRequest& request = (*requests)[begin];
      const std::string data = request.piece.data.ToString();
      group->members.push_back(
          {request.id, static_cast<uint32_t>(bytes.size()), static_cast<uint32_t>(data.size())});
      bytes += data;
      groups_[made.ticket].push_back(request.ticket);
    }
    if (made.op == Op::kPush) {
      const auto buffer = std::make_shared<Buffer>(bytes.size());
      std::memcpy(buffer->data(), bytes.data(), bytes.size());
      group->bytes = buffer;
    }
    made.group = group;
    if (group->members.size() > 1) world_.stats().Count(Fault::kGrouped);
  }
  *requests = std::move(grouped);
}

std::vector<Ticket> WorkerNode::Tickets() const {
  std::vector<Ticket> tickets;
  for (const auto& [ticket, asked] : asked_) tickets.push_back(ticket);
  for (const auto& [ticket, members] : groups_) tickets.push_back(ticket);
  return tickets;
}

void WorkerNode::AskState(Op op, PartId id, Payload note) {
  std::vector<PartRequest> requests(1);
  PartRequest& request = requests[0];
  request.op = op;
  request.id = id;
  request.ticket = ++last_ticket_;
  request.piece.data = std::move(note);
  Asked& asked = asked_[request.ticket];
  asked.op = op;
  asked.id = id;
  Run([&](ClientOutbox* out) {
    client_->Submit(world_.clock_ms(process_), std::move(requests), out);
  });
}

// As the SDK does: reads all, brings all, and only then has it take its place. Before that it
// brings others, of which nobody may ever hear, and perhaps drops them.
bool WorkerNode::LoadStates(int64_t load) {
  const int step = load_step_++;
  StatePage order;
  order.verb = step == 2 ? StateVerb::kDrop : StateVerb::kCommit;
  if (step == 0) states_.clear();
  if ((step == 1 && rng_.Coin()) || (step == 2 && rng_.Coin())) return true;
  for (uint32_t key = 0; key < programs_.keys.size(); ++key) {
    for (PartIndex part = 0; part < world_.params().key_parts[key]; ++part) {
      const PartId id{programs_.keys[key].key, part};
      const uint64_t state = LoadedState(states_[id], static_cast<uint64_t>(load));
      const auto bring = [&](uint64_t brought) {
        for (uint64_t from = 0; from < NumberValue::kStateBytes;
             from += NumberValue::kStatePageBytesHere) {
          AskState(Op::kWriteState, id, EncodeStatePage(NumberValue::PageOf(brought, from)));
        }
      };
      switch (step) {
        case 0:
          AskState(Op::kReadState, id, EncodeStateCursor({}));
          break;
        case 1:
          bring(Mix64(state));
          break;
        case 3:
          bring(state);
          break;
        case 4:
          oracle_.ExpectState(InLife(id, lives_[key]), state);
          [[fallthrough]];
        case 2:
          AskState(Op::kWriteState, id, EncodeStatePage(order));
          break;
        default:
          return false;
      }
    }
  }
  return step < 5;
}

void WorkerNode::SubmitTrial(int64_t parts) {
  static constexpr uint8_t kBytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  KeySpec key;
  key.key = KeyIdOf(int64_t{1000});
  key.dtype = DType::kFloat64;
  key.shape = {parts};
  key.storage = rng_.Coin() ? Storage::kRowSparse : Storage::kDense;
  std::vector<PartRequest> requests;
  for (PartIndex part = 0; part < static_cast<PartIndex>(parts); ++part) {
    const bool row_sparse = key.storage == Storage::kRowSparse;
    const auto fragments = static_cast<uint32_t>(row_sparse ? rng_.Between(1, 3) : 1);
    for (uint32_t fragment = 0; fragment < fragments; ++fragment) {
      PartRequest& request = requests.emplace_back();
      request.op = Op::kInit;
      request.id = {key.key, part};
      request.ticket = ++last_ticket_;
      request.key = std::make_shared<KeySpec>(key);
      request.piece.data = Payload(Slice{kBytes, sizeof kBytes, nullptr});
      request.piece.rows = row_sparse ? 1 : 0;
      request.piece.create = row_sparse;
      request.piece.fragment = fragment;
      request.piece.fragments = fragments;
      Asked& asked = asked_[request.ticket];
      asked.op = Op::kInit;
      asked.id = request.id;
      asked.trial = true;
      monitor_->Submitted(Op::kInit, request.id, 0, fragment);
    }
  }
  Run([&](ClientOutbox* out) {
    client_->Submit(world_.clock_ms(process_), std::move(requests), out);
  });
}

void WorkerNode::SubmitBad(Op op, uint32_t key) {
  static constexpr uint8_t kBytes[3] = {1, 2, 3};
  std::vector<PartRequest> requests(1);
  PartRequest& request = requests[0];
  request.op = op;
  request.id = {programs_.keys[key].key, 0};
  request.ticket = ++last_ticket_;
  request.piece.data = Payload(Slice{kBytes, sizeof kBytes, nullptr});
  const Round round = op == Op::kPush ? ++pushed_[request.id] : pushed_[request.id];
  Asked& asked = asked_[request.ticket];
  asked.life = lives_[key];
  asked.op = op;
  asked.id = request.id;
  asked.round = round;
  asked.bad = true;
  monitor_->Submitted(op, request.id, round, 0);
  Run([&](ClientOutbox* out) {
    client_->Submit(world_.clock_ms(process_), std::move(requests), out);
  });
}

// As the SDK does: once, before the client core has it.
uint64_t WorkerNode::Encode(PartId in_life, uint64_t contribution) {
  const Eighths eighths = ElementsOf(contribution);
  std::array<float, std::tuple_size_v<Eighths>> elements{};
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<float>(eighths[i]) / 8;
  auto it = encoders_.find(in_life);
  if (it == encoders_.end()) {
    CompressionConfig config;
    config.type = "2bit";
    const CodecPtr codec = *MakeCodec(config);
    it =
        encoders_.try_emplace(in_life, codec, in_life.key, rank(), DType::kFloat32, sizeof elements)
            .first;
  }
  const std::vector<MutableBufferPtr> encoded = it->second.MakeRoom();
  it->second.Encode(reinterpret_cast<const uint8_t*>(elements.data()), encoded);
  uint64_t number = 0;
  if (encoded.size() != 1 || encoded[0]->size() != sizeof number) {
    world_.Fail("an encoded contribution has another size than eight bytes");
  }
  std::memcpy(&number, encoded[0]->data(), sizeof number);
  world_.stats().Count(Fault::kEncoded);
  return number;
}

void WorkerNode::PushWhatIsRefused() {
  refused_push_ = PartId{programs_.keys[0].key, 0};
  SubmitBad(Op::kPush, 0);
}

// As the SDK does with an Init that fails.
void WorkerNode::TakeBack() {
  std::vector<PartRequest> requests = undo_.Requests();
  if (!requests.empty()) world_.stats().Count(Fault::kInitTakenBack);
  for (PartRequest& request : requests) {
    request.ticket = ++last_ticket_;
    Asked& asked = asked_[request.ticket];
    asked.op = Op::kTakeBack;
    asked.id = request.id;
  }
  if (requests.empty()) return;
  Run([&](ClientOutbox* out) {
    client_->Submit(world_.clock_ms(process_), std::move(requests), out);
  });
}

// As Wait() does at its deadline: ask who is waited for.
void WorkerNode::ProbeSometimes() {
  if (state_ != State::kRunning) return;
  const std::vector<Ticket> tickets = Tickets();
  for (const WaitInfo& info : client_->WaitingFor(tickets)) {
    for (const WorkerRank missing : info.missing) {
      if (missing >= world_.params().workers) world_.Fail("a worker is waited for that is none");
    }
  }
  Run([&](ClientOutbox* out) { client_->Probe(tickets, out); });
  world_.After(rng_.Between(200, 2000), process_, [this] { ProbeSometimes(); });
}

}  // namespace kvstore::sim
