#include "server/service/shard.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "common/transport/methods.h"
#include "server/service/request_check.h"

namespace kvstore {
namespace {

constexpr int64_t kRefusalsToldEveryMs = 10000;

}  // namespace

Shard::Shard(ShardIndex index, ServerCoreOptions options, std::unique_ptr<ShardValues> values,
             EventLoop* loop, ShardHandlers handlers)
    : index_(index),
      options_(options),
      values_(std::move(values)),
      loop_(loop),
      handlers_(std::move(handlers)),
      recorder_(handlers_.lane) {}
Shard::~Shard() = default;

ServedMethod Shard::Method() {
  ServedMethod method;
  method.method = ShardMethod(index_);
  method.loop = loop_;
  method.acceptor = [this](std::unique_ptr<MessageStream> stream) { Accept(std::move(stream)); };
  return method;
}

void Shard::OnRouting(ClusterId cluster, ServerRank rank, Incarnation incarnation,
                      const RoutingPtr& routing) {
  loop_->Post([=] {
    const RoutingPtr& next = next_routing_.table;
    if (routing->epoch <= (next != nullptr ? next->epoch : reply_header_.epoch)) return;
    next_routing_ = {cluster, rank, incarnation, routing};
    try {
      TakeRouting();
    } catch (const std::bad_alloc&) {
      CloseStreams();  // the next message tries again
    }
  });
}

void Shard::TakeRouting() {
  if (next_routing_.table == nullptr) return;
  const auto& [cluster, rank, incarnation, table] = next_routing_;
  if (core_ == nullptr) {
    core_ = std::make_unique<ServerCore>(options_, ShardAddress{rank, index_}, values_.get(),
                                         &recorder_);
  }
  core_->OnRouting(cluster, incarnation, table);
  recorder_.set_job(table->job);
  reply_header_.cluster = cluster;
  reply_header_.epoch = table->epoch;
  reply_header_.job = table->job;
  reply_header_.server_incarnation = incarnation;
  next_routing_.table = nullptr;
}

void Shard::GetStatus(std::function<void(ShardStatus)> done) {
  loop_->Post([this, done = std::move(done)] {
    try {
      ShardStatus status = core_ == nullptr ? ShardStatus() : core_->Status();
      status.streams = streams_.size();
      for (const auto& [peer, stream] : streams_)
        status.streams_in_memory += stream.stream->shares_memory();
      done(std::move(status));
    } catch (const std::bad_alloc&) {
      spdlog::warn("shard {}: no memory to answer a question about its state", index_);
    }
  });
}

void Shard::EndKeys(bool reset, const std::string& name, bool prefix, bool dry_run,
                    std::function<void(absl::StatusOr<std::vector<DeletedKey>>)> done) {
  loop_->Post([this, reset, name, prefix, dry_run, done = std::move(done)] {
    try {
      std::vector<DeletedKey> ended;
      ServerOutbox out;
      if (core_ != nullptr) {
        ended = reset ? core_->ResetKeys(name, prefix, dry_run, &out)
                      : core_->DeleteKeys(name, prefix, dry_run, &out);
      }
      for (const ServerFrame& reply : out) Send(reply.peer, reply.frame);
      done(std::move(ended));
    } catch (const std::bad_alloc&) {
      CloseStreams();  // who waited for what is gone will ask
      done(absl::ResourceExhaustedError(fmt::format(
          "memory to {} all of the keys expected, ask again", reset ? "reset" : "delete")));
    }
  });
}

void Shard::ReadKey(const PartRange& range, PartIndex from, int64_t row, size_t bytes_max,
                    std::function<void(const absl::StatusOr<ReadPart>&)> done) {
  loop_->Post([this, range, from, row, bytes_max, done = std::move(done)] {
    try {
      done(core_ == nullptr ? ReadPart() : core_->Read(range, from, row, bytes_max));
    } catch (const std::bad_alloc&) {
      done(absl::ResourceExhaustedError("memory for a piece of the value expected, ask again"));
    }
  });
}

void Shard::OrderNumbers(NumbersVerb verb, const std::string& optimizer,
                         const NumbersChange& change,
                         std::function<void(absl::StatusOr<OptimizerReport>)> done) {
  loop_->Post([this, verb, optimizer, change, done = std::move(done)] {
    try {
      if (core_ == nullptr) {
        return done(absl::FailedPreconditionError("a job expected, this server is in none"));
      }
      ServerOutbox out;
      const absl::Status ordered =
          core_->OrderNumbers(SteadyNowMs(), verb, optimizer, change, &out);
      for (const ServerFrame& reply : out) Send(reply.peer, reply.frame);
      if (!ordered.ok()) return done(ordered);
      done(core_->Optimizer());
    } catch (const std::bad_alloc&) {
      CloseStreams();  // who waited for what was held will ask
      done(absl::UnavailableError("memory for an order of numbers expected, ask again"));
    }
  });
}

void Shard::GetKeyStats(const KeyQuery& query,
                        std::function<void(std::vector<KeyStats>, uint64_t keys, JobId job)> done) {
  loop_->Post([this, query, done = std::move(done)] {
    try {
      uint64_t keys = 0;
      std::vector<KeyStats> stats;
      if (core_ != nullptr) stats = core_->StatsOf(query, &keys);
      done(std::move(stats), keys, reply_header_.job);
    } catch (const std::bad_alloc&) {
      spdlog::warn("shard {}: no memory to answer a question about its keys", index_);
    }
  });
}

void Shard::Accept(std::unique_ptr<MessageStream> stream) {
  const PeerId peer = ++last_peer_;
  StreamEvents events;
  events.on_message = [this, peer](const Payload& message) { OnMessage(peer, message); };
  events.on_closed = [this, peer](const absl::Status& status) {
    if (spdlog::should_log(spdlog::level::debug)) {
      spdlog::debug("shard {}: stream of {} closed: {}", index_, streams_.at(peer).stream->peer(),
                    std::string(status.message()));
    }
    ForgetStream(peer);
  };
  stream->SetEvents(std::move(events));
  const std::optional<uint32_t> only_rank = stream->caller().worker_rank;
  streams_[peer] = {std::move(stream), only_rank};
}

void Shard::OnMessage(PeerId peer, const Payload& message) {
  try {
    TakeRouting();
    HandleMessage(peer, message);
  } catch (const std::bad_alloc&) {
    CloseStreams();
  }
}

void Shard::CloseStreams() {
  spdlog::warn(
      "shard {}: the system has no more memory: its {} streams are closed, and the workers ask "
      "again",
      index_, streams_.size());
  while (!streams_.empty()) ForgetStream(streams_.begin()->first);
}

void Shard::ForgetStream(PeerId peer) noexcept {
  streams_.erase(peer);
  if (core_ != nullptr) core_->OnPeerDown(peer);
}

void Shard::HandleMessage(PeerId peer, const Payload& message) {
  absl::StatusOr<RequestFrame> request = DecodeFrame<RequestFrame>(message);
  if (!request.ok()) return RefuseBytes(peer, request.status());
  RefuseEntries(peer, &*request);
  if (core_ == nullptr) {
    return PutOff(peer, *request, absl::UnavailableError("the server has no routing table yet"));
  }
  PutOffUnread(peer, &*request);
  ServerOutbox out;
  recorder_.Refresh();
  core_->OnFrame(loop_->NowMs(), peer, *request, &out);
  for (const ServerFrame& reply : out) {
    NoteRefusals(reply.frame);
    Send(reply.peer, reply.frame);
  }
  NoteNotFinite(core_->TakeWarning());
  RunCommands();
}

void Shard::NoteRefusals(const ReplyFrame& frame) {
  for (const ReplyEntry& entry : frame.entries) {
    if (entry.code != absl::StatusCode::kResourceExhausted) continue;
    const int64_t now_ms = loop_->NowMs();
    if (now_ms < quiet_until_ms_) return;
    quiet_until_ms_ = now_ms + kRefusalsToldEveryMs;
    const WorkerRank rank = frame.header.rank;
    spdlog::warn("shard {}: refused to {}: {} {}", index_,
                 rank == kReaderRank ? "a reader" : fmt::format("worker {}", rank),
                 OpName(entry.op), entry.message);
    return;
  }
}

void Shard::NoteNotFinite(const std::string& seen) {
  if (seen.empty()) return;
  ++not_finite_untold_;
  const int64_t now_ms = loop_->NowMs();
  if (now_ms < not_finite_quiet_until_ms_) return;
  not_finite_quiet_until_ms_ = now_ms + kRefusalsToldEveryMs;
  spdlog::warn("shard {}: {} pushes with numbers that are not finite, the last: {}", index_,
               std::exchange(not_finite_untold_, 0), seen);
}

void Shard::RunCommands() {
  for (const CommandRun& run : core_->TakeCommands()) {
    try {
      RunCommand(run);
    } catch (const std::bad_alloc&) {
      FinishCommand(run.ticket, absl::ResourceExhaustedError(fmt::format(
                                    "{} {}: memory to run it expected, the system has no more",
                                    OpName(run.op), run.command.id)));
    }
  }
}

void Shard::FinishCommand(uint64_t ticket, const absl::Status& outcome) {
  ServerOutbox out;
  core_->OnCommandDone(ticket, outcome, &out);
  for (const ServerFrame& reply : out) Send(reply.peer, reply.frame);
}

void Shard::RunCommand(const CommandRun& run) {
  const auto done = [this, ticket = run.ticket](const absl::Status& outcome) {
    loop_->Post([this, ticket, outcome] {
      try {
        FinishCommand(ticket, outcome);
      } catch (const std::bad_alloc&) {
        CloseStreams();
      }
    });
  };
  const bool profiles = run.op == Op::kProfile;
  const CommandHandler& handler = profiles ? handlers_.on_profile : handlers_.on_command;
  if (handler != nullptr) {
    handler(run.from, run.command, done);
  } else if (profiles) {
    done(absl::UnimplementedError("PROFILE: a profiler expected, this server has none"));
  } else {
    done(NoController(run.command.id));
  }
}

void Shard::RefuseBytes(PeerId peer, const absl::Status& status) {
  const std::unique_ptr<MessageStream>& stream = streams_.at(peer).stream;
  spdlog::warn("shard {}: {} sent bytes that are no frame: {}", index_, stream->peer(),
               std::string(status.message()));
  ReplyFrame reply;
  reply.header = reply_header_;
  reply.entries.emplace_back(EntryHead(), status);
  stream->Send(EncodeFrame(reply));
  ForgetStream(peer);
}

void Shard::RefuseEntries(PeerId peer, RequestFrame* request) {
  const absl::Status whole = CheckRequest(*request, streams_.at(peer).only_rank);
  ReplyFrame refusals;
  if (!whole.ok() && request->entries.empty()) refusals.entries.emplace_back(EntryHead(), whole);
  const auto refused = [&](const RequestEntry& entry) {
    const absl::Status status = whole.ok() ? CheckEntry(*request, entry) : whole;
    if (!status.ok()) refusals.entries.emplace_back(entry, status);
    return !status.ok();
  };
  // CheckEntry reads the frame's header and keys only, so entries may move meanwhile.
  request->entries.erase(std::remove_if(request->entries.begin(), request->entries.end(), refused),
                         request->entries.end());
  if (refusals.entries.empty()) return;
  refusals.header = reply_header_;
  refusals.header.rank = request->header.rank;
  refusals.header.incarnation = request->header.incarnation;
  Send(peer, refusals);
}

void Shard::PutOffUnread(PeerId peer, RequestFrame* request) {
  const size_t queued = streams_.at(peer).stream->queued_bytes();
  if (queued <= kQueuedReplyBytesMax) return;
  const auto pulls = std::stable_partition(
      request->entries.begin(), request->entries.end(),
      [](const RequestEntry& entry) { return !InfoOf(entry.op).answers_bytes; });
  RequestFrame unread;
  unread.header = request->header;
  std::move(pulls, request->entries.end(), std::back_inserter(unread.entries));
  request->entries.erase(pulls, request->entries.end());
  if (unread.entries.empty()) return;
  PutOff(peer, unread,
         absl::ResourceExhaustedError(fmt::format(
             "{} bytes of replies wait to be read, at most {} may", queued, kQueuedReplyBytesMax)));
}

void Shard::PutOff(PeerId peer, const RequestFrame& request, const absl::Status& status) {
  ReplyFrame reply;
  reply.header = request.header;
  for (const RequestEntry& entry : request.entries) {
    reply.entries.emplace_back(entry, status).retry_after_ms = options_.retry_after_ms;
  }
  Send(peer, reply);
}

void Shard::Send(PeerId peer, const ReplyFrame& frame) {
  const auto stream = streams_.find(peer);
  if (stream != streams_.end()) stream->second.stream->Send(EncodeFrame(frame));
}

}  // namespace kvstore
