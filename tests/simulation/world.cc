#include "tests/simulation/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace kvstore::sim {

ProcessId World::AddProcess(std::string name) {
  processes_.emplace_back().name = std::move(name);
  return static_cast<ProcessId>(processes_.size() - 1);
}

void World::Begin(ProcessId id) {
  Process& process = processes_[id];
  ++process.life;
  process.up = true;
  if (params_.clocks) {
    process.clock_ahead_ms =
        static_cast<int64_t>(Mix64(params_.seed + 977 * id + process.life) >> 34);
  }
  process.paused = process.paused_for_good = false;
  process.backlog.clear();
}

void World::Kill(ProcessId id) {
  processes_[id].up = false;
  processes_[id].paused = false;
  processes_[id].backlog.clear();
}

void World::Pause(ProcessId id, int64_t for_ms) {
  Process& process = processes_[id];
  if (process.paused_for_good) return;  // or a pause would wake it
  process.paused_for_good = for_ms == INT64_MAX;
  process.paused = true;
  const uint64_t pause = ++process.pauses;
  const uint32_t life = process.life;
  if (for_ms == INT64_MAX) return;
  Outside(for_ms, [this, id, life, pause] { Resume(id, life, pause); });
}

void World::Resume(ProcessId id, uint32_t life, uint64_t pause) {
  if (processes_[id].life != life || processes_[id].pauses != pause || !processes_[id].paused) {
    return;
  }
  processes_[id].paused = false;
  const std::vector<Task> backlog = std::exchange(processes_[id].backlog, {});
  if (tracing()) Trace(fmt::format("{} goes on, {} events waited", name(id), backlog.size()));
  for (const Task& task : backlog) {
    if (!processes_[id].up || processes_[id].life != life) return;
    task();
  }
}

void World::At(int64_t at_ms, ProcessId id, Task task) {
  if (!processes_[id].up) return;
  Push(at_ms, id, processes_[id].life, std::move(task));
}

void World::Outside(int64_t delay_ms, Task task) {
  Push(now_ms_ + delay_ms, 0, 0, std::move(task));
}

void World::Push(int64_t at_ms, ProcessId process, uint32_t life, Task task) {
  uint32_t place = 0;
  if (free_.empty()) {
    place = static_cast<uint32_t>(planned_.size());
    planned_.emplace_back();
  } else {
    place = free_.back();
    free_.pop_back();
  }
  planned_[place] = {process, life, std::move(task)};
  events_.push({std::max(at_ms, now_ms_), ++order_, place});
}

bool World::RunNext() {
  if (events_.empty()) return false;
  const Event event = events_.top();
  events_.pop();
  Planned planned = std::move(planned_[event.place]);
  planned_[event.place].task = nullptr;
  free_.push_back(event.place);
  now_ms_ = event.at_ms;
  ++stats_.events;
  if (planned.life != 0) {
    Process& process = processes_[planned.process];
    if (!process.up || process.life != planned.life) return true;
    Note(static_cast<uint64_t>(now_ms_) * 64 + planned.process);
    if (process.paused) {
      process.backlog.push_back(std::move(planned.task));
      return true;
    }
  }
  planned.task();
  return true;
}

void World::Trace(const std::string& line) const {
  std::printf("%7lld ms  %s\n", static_cast<long long>(now_ms_), line.c_str());
}

void World::Fail(const std::string& what) const {
  throw Violation(fmt::format("at {} ms: {}", now_ms_, what));
}

void Alarm::Arm(int64_t at_ms) {
  if (at_ms == INT64_MAX || at_ms >= armed_ms_) return;
  armed_ms_ = at_ms;
  const int64_t late = world_.params().timer_late_ms;
  world_.At(at_ms - world_.clock_ms(process_) + world_.now_ms() +
                (late > 0 ? world_.rng().Between(0, late) : 0),
            process_, [this, at_ms] { Fire(at_ms); });
}

void Alarm::Fire(int64_t tag) {
  if (tag != armed_ms_) return;  // an earlier time was asked for since
  armed_ms_ = INT64_MAX;
  fired_at_once_ = last_ms_ == world_.now_ms() ? fired_at_once_ + 1 : 0;
  last_ms_ = world_.now_ms();
  if (fired_at_once_ > 100) {
    world_.Fail(fmt::format("{}: the timer is due again and again without time passing",
                            world_.name(process_)));
  }
  task_();
}

}  // namespace kvstore::sim
