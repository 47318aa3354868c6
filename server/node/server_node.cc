#include "server/node/server_node.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>
#include <new>
#include <random>
#include <utility>

#include "common/base/allocator.h"
#include "common/base/headroom.h"
#include "common/base/status_macros.h"
#include "common/tensor/buffer.h"
#include "common/tensor/page_pool.h"
#include "common/transport/host_port.h"
#include "common/transport/local_address.h"
#include "common/transport/methods.h"
#include "server/values/tensor_values.h"

namespace kvstore {

namespace {

// How long to wait before the way to the scheduler is looked up again: DNS may not know its name
// yet, or the network may not be up yet.
constexpr int64_t kRouteRetryMs = 500;
// Until there may be memory for a routing table.
constexpr int64_t kRoutingAgainMs = 100;
// How often memory is given back: rarely enough that the pauses between two rounds of training are
// mostly shorter.
constexpr int64_t kTrimEveryMs = 1000;

uint64_t RandomNonce() {
  std::random_device random;
  return ((uint64_t{random()} << 32) | random()) | 1;  // never 0
}

int64_t Scaled(int64_t ms, double scale) {
  return std::max<int64_t>(static_cast<int64_t>(static_cast<double>(ms) * scale), 1);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerNode>> ServerNode::Start(ServerNodeOptions options,
                                                              Transport* transport,
                                                              ServerNodeEvents events) {
  auto node =
      std::unique_ptr<ServerNode>(new ServerNode(std::move(options), transport, std::move(events)));
  if (!node->NeedsRoute()) KVS_RETURN_IF_ERROR(node->Listen(""));
  node->control_->Post([node = node.get()] {
    node->control_->PostAfter(node->options_.connect_timeout_ms, [node] { node->CheckJoined(); });
    if (node->listener_ != nullptr) {
      node->Join();
    } else {
      node->AwaitRoute();
    }
    node->TrimMemory();
  });
  return node;
}

ServerNode::ServerNode(ServerNodeOptions options, Transport* transport, ServerNodeEvents events)
    : options_(std::move(options)),
      transport_(transport),
      events_(std::move(events)),
      buffers_(PoolBuffers()),
      profiler_(std::make_unique<ServerProfiler>(options_.profile_bytes_max)) {
  KeepHeadroom();
  const auto on_profile = [this](WorkerRank, const Command& command,
                                 const std::function<void(absl::Status)>& done) {
    profiler_->Order({static_cast<ProfilerVerb>(command.id), command.body}, done);
  };
  for (ShardIndex shard = 0; shard < options_.shards; ++shard) {
    const std::string name = fmt::format("shard{}", shard);
    shard_loops_.push_back(transport_->MakeServerLoop(name));
    shards_.push_back(std::make_unique<Shard>(
        shard, options_.core,
        std::make_unique<TensorValues>(options_.program_updater, options_.shards,
                                       options_.core.nan_policy, options_.key_stats),
        shard_loops_.back().get(),
        ShardHandlers{options_.on_command, on_profile, profiler_->recorder().AddLane(name)}));
  }
  control_ = transport_->MakeServerLoop("control");
  commands_ = std::make_unique<OperatorCommands>(
      options_.on_command, [this](std::function<void()> task) { control_->Post(std::move(task)); });
}

ServerNode::~ServerNode() {
  // When this is done the control loop makes no listener any more, and leaves the one there is to
  // us. The loop may be asking DNS just now; then we wait for as long as DNS takes.
  std::promise<void> stopped;
  control_->Post([this, &stopped] {
    stopping_ = true;
    if (session_ != nullptr) session_->Stop();
    stopped.set_value();
  });
  stopped.get_future().wait();
  if (listener_ != nullptr) listener_->Shutdown();
  listener_.reset();
  // The profiler's thread tells the shards' loops how its orders went.
  profiler_->Stop();
  // Tasks of the control loop use the shards' loops, never the other way round.
  control_.reset();
  shard_loops_.clear();
}

bool ServerNode::NeedsRoute() const {
  if (options_.listen.empty()) return true;
  const absl::StatusOr<HostPort> listen = ParseHostPort(options_.listen);
  return listen.ok() && IsAnyHost(listen->host) && options_.advertise.empty();
}

void ServerNode::AwaitRoute() {
  if (stopping_) return;
  const absl::StatusOr<HostPort> scheduler = ParseHostPort(options_.scheduler);
  const absl::StatusOr<std::string> route =
      scheduler.ok() ? LocalHostTowards(*scheduler) : scheduler.status();
  if (!route.ok()) {
    if (route_trouble_.empty()) {
      spdlog::warn("scheduler {}: {}; asking again until there is a way", options_.scheduler,
                   std::string(route.status().message()));
    }
    route_trouble_ = std::string(route.status().message());
    control_->PostAfter(kRouteRetryMs, [this] { AwaitRoute(); });
    return;
  }
  if (const absl::Status listening = Listen(*route); !listening.ok()) {
    events_.on_stop(absl::UnavailableError(listening.message()));
    return;
  }
  Join();
}

absl::Status ServerNode::Listen(const std::string& route) {
  HostPort listen{route, 0};
  if (!options_.listen.empty()) {
    KVS_ASSIGN_OR_RETURN(listen, ParseHostPort(options_.listen));
  }
  HostPort advertise{IsAnyHost(listen.host) ? route : listen.host, listen.port};
  if (!options_.advertise.empty()) {
    KVS_ASSIGN_OR_RETURN(advertise, ParseHostPort(options_.advertise));
  }
  ListenOptions methods;
  for (const std::unique_ptr<Shard>& shard : shards_) methods.methods.push_back(shard->Method());
  methods.unary_methods.push_back(
      {kServerStatusMethod, control_.get(),
       [this](const Payload&, const UnaryReply& reply) { GetStatus(reply); }});
  methods.unary_methods.push_back(
      {kKeyStatsMethod, control_.get(),
       [this](const Payload& request, const UnaryReply& reply) { GetKeyStats(request, reply); }});
  methods.unary_methods.push_back(
      {kDeleteKeysMethod, control_.get(),
       [this](const Payload& asked, const UnaryReply& reply) { EndKeys(false, asked, reply); }});
  methods.unary_methods.push_back(
      {kResetKeysMethod, control_.get(),
       [this](const Payload& asked, const UnaryReply& reply) { EndKeys(true, asked, reply); }});
  methods.unary_methods.push_back(
      {kReadKeyMethod, control_.get(),
       [this](const Payload& asked, const UnaryReply& reply) { ReadKey(asked, reply); }});
  methods.unary_methods.push_back(
      {kOrderNumbersMethod, control_.get(),
       [this](const Payload& asked, const UnaryReply& reply) { OrderNumbers(asked, reply); }});
  methods.unary_methods.push_back(
      {kOrderProfilerMethod, control_.get(),
       [this](const Payload& asked, const UnaryReply& reply) { OrderProfiler(asked, reply); }});
  methods.unary_methods.push_back(
      {kRunCommandMethod, control_.get(),
       [this](const Payload& asked, const UnaryReply& reply) { commands_->Run(asked, reply); }});
  methods.unary_methods.push_back(
      {kReadProfileMethod, control_.get(),
       [this](const Payload& asked, const UnaryReply& reply) { ReadProfile(asked, reply); }});
  KVS_ASSIGN_OR_RETURN(listener_, transport_->Listen(HostPortString(listen), std::move(methods)));
  listen.port = listener_->port();
  if (advertise.port == 0) advertise.port = listener_->port();
  listen_ = HostPortString(listen);
  address_ = HostPortString(advertise);
  return absl::OkStatus();
}

void ServerNode::Join() {
  if (session_ == nullptr) events_.on_listening(listen_, address_);
  MembershipOptions membership;
  membership.redial_min_ms = Scaled(membership.redial_min_ms, options_.time_scale);
  membership.redial_max_ms = Scaled(membership.redial_max_ms, options_.time_scale);
  membership.register_timeout_ms = Scaled(membership.register_timeout_ms, options_.time_scale);
  v1::Register& registration = membership.registration;
  registration.set_role(v1::ROLE_SERVER);
  registration.set_address(address_);
  registration.set_shards(options_.shards);
  registration.set_nonce(RandomNonce());
  registration.set_protocol(kProtocolVersion);
  registration.set_updater_plugin(options_.updater_plugin_told);
  // The shards keep the rank that they were first given, so it must be the same again.
  std::optional<uint32_t> rank = options_.rank;
  if (session_ != nullptr) rank = session_->core().identity()->rank();
  if (rank) registration.set_wanted_rank_plus_one(*rank + 1);
  session_ = std::make_unique<SchedulerSession>(
      transport_, control_.get(), options_.scheduler, std::move(membership),
      [this](const MembershipOutbox& news) { Learn(news); });
  session_->Start();
}

void ServerNode::CheckJoined() {
  if (stopping_ || (session_ != nullptr && session_->core().identity())) return;
  std::string why = session_ != nullptr ? session_->trouble() : route_trouble_;
  if (why.empty()) why = "no answer";
  events_.on_stop(absl::UnavailableError(
      fmt::format("scheduler {}: not registered within {:g} s: {}", options_.scheduler,
                  static_cast<double>(options_.connect_timeout_ms) / 1000, why)));
}

void ServerNode::TrimMemory() {
  if (stopping_) return;  // control_ is null while its loop runs for the last time
  const bool quiet = buffers_.Trim();
  // Gives back what gRPC's buffers of the work before have left; once per pause, not while small
  // values come and go.
  if (quiet && !quiet_) TrimAllocator();
  quiet_ = quiet;
  control_->PostAfter(kTrimEveryMs, [this] { TrimMemory(); });
}

void ServerNode::Learn(const MembershipOutbox& news) {
  if (news.registered) {
    spdlog::info("registered as server {} incarnation {} of cluster {:016x} (term {}, job {})",
                 news.registered->rank(), news.registered->incarnation(),
                 news.registered->cluster(), news.registered->term(), news.registered->job());
  }
  if (news.proposal) session_->Confirm(news.proposal->attempt());
  if (news.routing != nullptr) TakeRouting(news.routing);
  if (news.job_ended) {
    const v1::JobEnded& ended = *news.job_ended;
    if (ended.code() == 0) {
      spdlog::info("job {} finished: {}", ended.job(), ended.message());
    } else {
      spdlog::warn("job {} failed: {}", ended.job(), ended.message());
    }
    events_.on_job_ended(ended);
  }
  for (const v1::NodeHealth& health : news.health) {
    spdlog::debug("{} {} is {}", v1::Role_Name(health.role()), health.rank(),
                  v1::Health_Name(health.health()));
  }
  if (!news.refused) return;
  if (absl::IsAborted(*news.refused) && session_->core().identity()) {
    JoinAnew(*news.refused);
  } else {
    events_.on_stop(*news.refused);
  }
}

void ServerNode::JoinAnew(const absl::Status& why) {
  v1::JobEnded ended;
  const RoutingPtr& routing = session_->core().routing();
  if (routing != nullptr) ended.set_job(routing->job);
  ended.set_code(static_cast<uint32_t>(why.code()));
  ended.set_message(std::string(why.message()));
  spdlog::warn("this server registers anew: {}", ended.message());
  if (routing != nullptr) events_.on_job_ended(ended);
  control_->Post([this] {
    if (!stopping_) Join();
  });  // not in a callback of the session, which it replaces
}

void ServerNode::TakeRouting(const RoutingPtr& routing) {
  if (fenced_) return;
  const v1::Registered& self = *session_->core().identity();
  if (self.rank() >= routing->servers.size() ||
      routing->servers[self.rank()].incarnation != self.incarnation()) {
    fenced_ = true;  // the shards keep refusing under the table they have
    events_.on_stop(absl::AbortedError(
        fmt::format("server {} incarnation {} is replaced: epoch {} does not name it", self.rank(),
                    self.incarnation(), routing->epoch)));
    return;
  }
  const auto slots =
      std::count_if(routing->slot_owner.begin(), routing->slot_owner.end(),
                    [&](const ShardAddress& owner) { return owner.server == self.rank(); });
  spdlog::info("job {} epoch {}: {}, {} workers, {} of {} slots are here", routing->job,
               routing->epoch, routing->store_type, routing->workers.size(), slots, kSlotCount);
  profiler_->set_rank(self.rank());
  GiveRouting(self.cluster(), self.rank(), self.incarnation(), routing);
}

void ServerNode::GiveRouting(ClusterId cluster, ServerRank rank, Incarnation incarnation,
                             const RoutingPtr& routing) {
  try {
    for (const std::unique_ptr<Shard>& shard : shards_) {
      shard->OnRouting(cluster, rank, incarnation, routing);
    }
  } catch (const std::bad_alloc&) {
    // The session has the table and is not sent it again; a shard that has it already ignores it.
    control_->PostAfter(kRoutingAgainMs, [=] {
      if (!stopping_) GiveRouting(cluster, rank, incarnation, routing);
    });
  }
}

}  // namespace kvstore
