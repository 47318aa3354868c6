#include "tests/simulation/params.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/model/store_mode.h"

namespace kvstore::sim {
namespace {

constexpr uint64_t kValueBytes = 8;
constexpr uint64_t kAsyncSalt = 12;
constexpr uint64_t kCommandSalt = 2000;
constexpr uint64_t kRowsSalt = 72;
constexpr uint64_t kReplySalt = 5000;
constexpr uint64_t kTrialSalt = 8000;
constexpr uint64_t kRoundsSalt = 9000;
constexpr uint64_t kStartSalt = 11000;
constexpr uint64_t kLargeSalt = 12000;
constexpr uint64_t kJobsSalt = 13000;
constexpr uint64_t kDiskSalt = 14000;
constexpr uint64_t kClockSalt = 15000;
constexpr uint64_t kTakeBackSalt = 16000;
constexpr uint64_t kBadSalt = 17000;
constexpr uint64_t kStalenessSalt = 18003;  // misses the seeds of regressions.txt
constexpr uint64_t kNormSalt = 19683;       // likewise
constexpr uint64_t kLivesSalt = 19116;      // likewise
constexpr uint64_t kNumbersSalt = 24152;    // likewise
constexpr uint64_t kStatesSalt = 26976;     // likewise
constexpr uint64_t kOperatorSalt = 25106;   // likewise
constexpr uint64_t kReaderSalt = 31042;     // likewise
constexpr uint64_t kCompressionSalt = 34000;

void ChooseShape(Rng& rng, Params& p) {
  p.workers = static_cast<uint32_t>(rng.Between(1, 5));
  p.servers = static_cast<uint32_t>(rng.Between(1, 4));
  for (uint32_t s = 0; s < p.servers; ++s) {
    p.shards.push_back(static_cast<uint32_t>(rng.Between(1, 3)));
  }
  uint32_t parts = 0;
  const int64_t keys = rng.Between(1, 4);
  for (int64_t k = 0; k < keys && parts < 6; ++k) {
    p.key_parts.push_back(static_cast<uint32_t>(rng.Between(1, 3)));
    parts += p.key_parts.back();
  }
  // Few requests on the whole: many seeds find more than long ones.
  const int64_t rounds_max = std::clamp<int64_t>(120 / (p.workers * parts), 3, 20);
  p.rounds = static_cast<uint32_t>(rng.Between(3, rounds_max));
  p.epochs = static_cast<uint32_t>(rng.Between(1, 3));
  const uint32_t ahead[] = {1, 2, 4, 8, 32, 1000};
  p.ahead = ahead[rng.Below(std::size(ahead))];
  p.explicit_ranks = rng.Permille(300);
  p.last_is_late = rng.Permille(200);
  if (rng.Permille(100)) p.update_fails_permille = rng.Coin() ? 120 : 900;
  if (rng.Permille(150)) p.jobs = 2;
  if (rng.Permille(20)) {
    // One part and workers that run as far ahead as they may, past every window.
    p.burst = true;
    p.key_parts = {1};
    p.workers = 2;
    p.rounds = 90;
    p.epochs = 1;
    p.ahead = 1000;
    if (rng.Coin()) p.update_fails_permille = 900;
  }
}

void ChooseWeather(Rng& rng, Params& p) {
  if (rng.Permille(600)) p.loss_permille = static_cast<uint32_t>(rng.Between(1, 300));
  if (rng.Permille(600)) p.dup_permille = static_cast<uint32_t>(rng.Between(1, 500));
  p.reorder = rng.Coin();
  switch (rng.Below(4)) {
    case 0:
      p.delay_max_ms = 2;
      break;
    case 1:
      p.delay_min_ms = 1;
      p.delay_max_ms = 50;
      break;
    case 2:
      p.delay_min_ms = 10;
      p.delay_max_ms = 800;
      break;
    default:
      p.delay_min_ms = 1;
      p.delay_max_ms = 5;
      p.delay_tail_permille = 50;
      p.delay_tail_ms = 1500;
      break;
  }
  if (rng.Coin()) p.timer_late_ms = rng.Between(1, 40);
  p.disk_ms = rng.Coin() ? 5 : rng.Between(1, 250);
  p.notice_ms = rng.Coin() ? 20 : rng.Between(1, 1200);
  p.heal_ms = rng.Between(4000, 30000);
  p.chaos_every_ms = rng.Permille(150) ? INT64_MAX : rng.Between(50, 1500);
  p.breaks_streams = rng.Coin();
  p.breaks_sessions = rng.Coin();
  p.pauses = rng.Coin();
  p.partitions = rng.Coin();
  p.crashes_scheduler = rng.Coin();
  p.restarts_while_forming = rng.Permille(250);
  p.encode_frames = rng.Permille(300);
  p.optimistic_dial = rng.Coin();
}

void ChooseBudgets(Rng& rng, Params& p) {
  p.scheduler.workers = p.workers;
  p.scheduler.servers = p.servers;
  p.scheduler.silent_dead_ms = rng.Permille(200) ? 60000 : 15000;
  p.membership.register_timeout_ms = 3000 + p.delay_tail_ms;
  const uint64_t parked[] = {0, 1, 2, 4, 16, 1u << 20};
  p.server.parked_bytes_max = parked[rng.Below(std::size(parked))] * kValueBytes;
  p.server.retry_after_ms = static_cast<uint32_t>(rng.Between(5, 60));
  const int64_t try_ms[] = {60, 250, 1000, 2000};
  p.client.try_ms = try_ms[rng.Below(std::size(try_ms))];
  // Shorter than a round trip would only make traffic.
  p.client.try_ms = std::max(p.client.try_ms, p.delay_max_ms);
  const uint64_t window[] = {1, 2, 8, 1u << 16};
  p.client.window_bytes = window[rng.Below(std::size(window))] * kValueBytes;
  if (rng.Permille(300)) {
    p.client.rounds_ahead_max = static_cast<uint32_t>(rng.Between(1, 3));
    p.server.rounds_ahead_max = p.client.rounds_ahead_max;  // just enough
  }
}

// Many nodes, and little that each does.
void ChooseLarge(Params& p) {
  const uint64_t draw = Mix64(p.seed + kLargeSalt);
  if (draw % 50 != 0 || p.burst) return;
  p.workers = static_cast<uint32_t>(8 + draw / 50 % 9);
  p.servers = static_cast<uint32_t>(4 + draw / 450 % 5);
  p.shards.clear();
  for (uint32_t s = 0; s < p.servers; ++s) {
    p.shards.push_back(static_cast<uint32_t>(1 + (draw >> (24 + s)) % 3));
  }
  p.key_parts = {2, 2};
  p.rounds = 3;
  p.epochs = 1;
  p.scheduler.workers = p.workers;
  p.scheduler.servers = p.servers;
}

}  // namespace

const char* LethalName(Lethal lethal) {
  switch (lethal) {
    case Lethal::kNone:
      return "none";
    case Lethal::kWorkerCrash:
      return "worker crash";
    case Lethal::kWorkerRestart:
      return "worker restart";
    case Lethal::kWorkerFrozen:
      return "worker frozen";
    case Lethal::kPushRefused:
      return "push refused";
    case Lethal::kWorkerFails:
      return "worker fails";
    case Lethal::kServerCrash:
      return "server crash";
    case Lethal::kServerRestart:
      return "server restart";
    case Lethal::kServerFrozen:
      return "server frozen";
  }
  return "?";
}

Params Params::FromSeed(uint64_t seed) {
  Params p;
  p.seed = seed;
  Rng rng(seed);
  ChooseShape(rng, p);
  ChooseWeather(rng, p);
  ChooseBudgets(rng, p);
  ChooseLarge(p);
  // Drawn apart, so that the seeds of regressions.txt stay what they were.
  p.async = Mix64(seed + kAsyncSalt) % 4 == 0;
  if (const uint64_t draw = Mix64(seed + kStalenessSalt); draw % 8 == 0) {
    constexpr uint64_t kBounds[] = {0, 1, 2, 3, 8, kStalenessMax};
    p.async = true;
    p.staleness = kBounds[draw / 8 % std::size(kBounds)];
  }
  p.commands = Mix64(seed + kCommandSalt) % 4 == 0;
  const uint64_t rows = Mix64(seed + kRowsSalt);
  for (size_t k = 0; k < p.key_parts.size(); ++k) {
    p.row_sparse.push_back(rows % 3 == 0 && (rows >> (8 + k)) % 2 == 0);
  }
  if (Mix64(seed + kReplySalt) % 4 == 0)
    p.server.reply_bytes_max = 0;  // one pull of rows at a time
  p.trials = Mix64(seed + kTrialSalt) % 4 == 0;
  if (p.trials) {
    // The keys just fit, wherever they lie.
    uint64_t parts = Mix64(seed + kTrialSalt + 1) % 3;
    for (const uint32_t count : p.key_parts) parts += count;
    p.server.value_bytes_max = parts * kChargedBytes;
  }
  if (p.jobs > 1) p.jobs += static_cast<uint32_t>(Mix64(seed + kJobsSalt) % 3);
  if (const uint64_t disk = Mix64(seed + kDiskSalt); disk % 4 == 0) {
    p.disk_slow_permille = static_cast<uint32_t>(disk / 4 % 200);
    p.disk_fails_permille = static_cast<uint32_t>(disk / 800 % 100);
  }
  p.clocks = Mix64(seed + kClockSalt) % 2 == 0;
  p.inits_taken_back = Mix64(seed + kTakeBackSalt) % 5 == 0;
  if (const uint64_t ends = Mix64(seed + kLivesSalt) % 6; !p.burst && !p.inits_taken_back) {
    p.lives = ends == 0;
    p.resets = ends == 1;
  }
  p.numbers = Mix64(seed + kNumbersSalt) % 3 == 0 && !p.burst;
  const bool one_life = !p.two_lives() && !p.burst;
  if (Mix64(seed + kOperatorSalt) % 6 == 0 && !p.async && one_life && seed % 5 != 0) {
    p.operates = true;
    p.numbers = false;
    p.jobs = 1;
  }
  p.bad_requests = Mix64(seed + kBadSalt) % 3 == 0;
  if (const uint64_t norms = Mix64(seed + kNormSalt); norms % 3 == 0) {
    p.measurings = static_cast<uint32_t>(1 + norms / 3 % 2);
  }
  if (const uint64_t readers = Mix64(seed + kReaderSalt); readers % 5 == 0) {
    p.readers = static_cast<uint32_t>(1 + readers / 5 % 3);
    p.server.readers_waiting_max = readers / 15 % 4;
  }
  const uint64_t start = Mix64(seed + kStartSalt);
  if (start % 3 == 0 || p.restarts_while_forming)
    p.idle_ms = static_cast<int64_t>(start / 3 % 8000);
  p.opening_barrier = start / 24000 % 5 == 0;
  // Tiny windows of rounds, which lost answers fill.
  if (const uint64_t window = Mix64(seed + kRoundsSalt); window % 6 == 0) {
    p.client.rounds_ahead_max = static_cast<uint32_t>(2 + window / 6 % 2);
    p.server.rounds_ahead_max = p.client.rounds_ahead_max;
    p.ahead = std::max(p.ahead, 8u);
  }
  // Every fifth seed exceeds the budget.
  if (seed % 5 == 0) {
    p.lethal = static_cast<Lethal>(rng.Between(1, 8));
    p.lethal_ms = rng.Between(0, 6000);
    p.rounds = std::max(p.rounds, 6u);
    p.jobs = 1;
  }
  p.compressed = Mix64(seed + kCompressionSalt) % 4 == 0;
  // What was refused is open for ever, and nothing can be loaded then.
  p.states = Mix64(seed + kStatesSalt) % 4 == 0 && p.lethal != Lethal::kPushRefused;
  return p;
}

std::string Params::StoreType() const {
  if (staleness.has_value()) return fmt::format("{}{}", kBoundedStaleness, *staleness);
  return async ? "dist_async" : "dist_sync";
}

std::string Params::Describe() const {
  return fmt::format(
      "{} workers, {} servers ({} shards), keys of {} parts ({} of rows), {} rounds, ahead {}, "
      "loss {}‰, dup "
      "{}‰, delay {}..{} ms + {}‰ to {} ms, parked {} B, window {} B, try {} ms, heal {} ms, "
      "{}{}{}{}{}{}{}{}{}{}{}{}"
      "lethal: {}",
      workers, servers, fmt::join(shards, "+"), fmt::join(key_parts, "+"),
      std::count(row_sparse.begin(), row_sparse.end(), true), rounds, ahead, loss_permille,
      dup_permille, delay_min_ms, delay_max_ms, delay_tail_permille, delay_tail_ms,
      server.parked_bytes_max, client.window_bytes, client.try_ms, heal_ms,
      async ? StoreType() + ", " : "",
      measurings > 0 ? fmt::format("{} measurings, ", measurings) : "",
      commands ? "commands, " : "", trials ? "trials, " : "",
      lives    ? "lives, "
      : resets ? "resets, "
               : "",
      compressed ? "compressed, " : "", states ? "states, " : "", numbers ? "numbers, " : "",
      operates ? "an operator, " : "", reorder ? "reorder, " : "", encode_frames ? "encoded, " : "",
      (jobs > 1 ? fmt::format("{} jobs, ", jobs) : "") +
          (readers > 0 ? fmt::format("{} readers, ", readers) : ""),
      restarts_while_forming ? "restarts while forming, " : "", LethalName(lethal));
}

}  // namespace kvstore::sim
