#include "cli/optimizer_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "cli/printer.h"
#include "common/base/json_writer.h"

namespace kvstore {
namespace {

using Numbers = std::map<std::string, double>;

// Protobuf's maps have no order.
template <typename Map>
Numbers Sorted(const Map& numbers) {
  return Numbers(numbers.begin(), numbers.end());
}

std::string TextOf(const Numbers& numbers) {
  std::vector<std::string> texts;
  for (const auto& [name, number] : numbers) texts.push_back(fmt::format("{}={:g}", name, number));
  return fmt::format("{}", fmt::join(texts, " "));
}

std::string TextOf(const v1::NumbersReport::Change& change) {
  return fmt::format("from step {}: {}", change.from_step(), TextOf(Sorted(change.numbers())));
}

std::string ChangesOf(const v1::NumbersReport& report) {
  std::vector<std::string> texts;
  for (const auto& change : report.changes()) texts.push_back(TextOf(change));
  if (report.has_held()) texts.push_back("held, " + TextOf(report.held()));
  return fmt::format("{}", fmt::join(texts, "; "));
}

// All that must be the same on all servers, as one text.
std::string WholeOf(const v1::NumbersReport& report) {
  return fmt::format("{} {} {} ({}; {})", report.optimizer(), TextOf(Sorted(report.parameters())),
                     report.schedule(), ChangesOf(report), report.times_set());
}

void Write(JsonWriter& json, const char* name, const Numbers& numbers) {
  json.Key(name).BeginObject();
  for (const auto& [number_name, number] : numbers) json.Member(number_name, number);
  json.End();
}

void Write(JsonWriter& json, const v1::NumbersReport::Change& change) {
  json.BeginObject().Member("from_step", change.from_step());
  Write(json, "numbers", Sorted(change.numbers()));
  json.End();
}

std::vector<std::string> Refusals(const OptimizerAnswers& answers) {
  std::vector<std::string> texts;
  for (const auto& [rank, answer] : answers) {
    if (answer.ok()) continue;
    texts.push_back(fmt::format("server {}: {}", rank, std::string(answer.status().message())));
  }
  return texts;
}

std::vector<std::string> Differences(const OptimizerAnswers& answers) {
  std::vector<std::string> texts;
  const auto first = std::find_if(answers.begin(), answers.end(),
                                  [](const auto& answer) { return answer.second.ok(); });
  for (const auto& [rank, answer] : answers) {
    if (!answer.ok()) continue;
    if (WholeOf(*answer) != WholeOf(*first->second)) {
      texts.push_back(fmt::format(
          "server {} has another optimizer, or other numbers, than server {}", rank, first->first));
    }
    if (answer->shards_that_differ() > 0) {
      texts.push_back(
          fmt::format("server {}: {} of its shards have another optimizer, or other "
                      "numbers, than its first one",
                      rank, answer->shards_that_differ()));
    }
  }
  return texts;
}

}  // namespace

std::string RefusalsOf(const OptimizerAnswers& answers) {
  return fmt::format("{}", fmt::join(Refusals(answers), "\n"));
}

std::string DifferencesOf(const OptimizerAnswers& answers) {
  return fmt::format("{}", fmt::join(Differences(answers), "\n"));
}

std::string OptimizersAsTable(const OptimizerAnswers& answers) {
  Table table({"SERVER", "OPTIMIZER", "PARAMETERS", "SCHEDULE", "CHANGES"});
  for (const auto& [rank, answer] : answers) {
    if (!answer.ok()) continue;
    const std::string name =
        answer->own_updater().empty() ? answer->optimizer() : answer->own_updater();
    table.AddRow({std::to_string(rank), name, TextOf(Sorted(answer->parameters())),
                  answer->schedule(), ChangesOf(*answer)});
  }
  std::string text = table.empty() ? "no servers\n" : table.ToString();
  for (const std::string& line : Differences(answers)) text += "\n" + line + "\n";
  for (const std::string& line : Refusals(answers)) text += "\n" + line + "\n";
  return text;
}

std::string OptimizersAsJson(const OptimizerAnswers& answers) {
  JsonWriter json;
  json.BeginObject().Key("servers").BeginArray();
  for (const auto& [rank, answer] : answers) {
    if (!answer.ok()) continue;
    json.BeginObject().Member("server", uint64_t{rank}).Member("optimizer", answer->optimizer());
    Write(json, "parameters", Sorted(answer->parameters()));
    json.Member("schedule", answer->schedule()).Member("own_updater", answer->own_updater());
    json.Key("changes").BeginArray();
    for (const auto& change : answer->changes()) Write(json, change);
    json.End().Key("held");
    if (answer->has_held()) {
      Write(json, answer->held());
    } else {
      json.Null();
    }
    json.Member("times_set", answer->times_set()).End();
  }
  json.End().Key("differences").BeginArray();
  for (const std::string& line : Differences(answers)) json.Value(line);
  json.End().Key("errors").BeginArray();
  for (const std::string& line : Refusals(answers)) json.Value(line);
  json.End().End();
  return json.text() + "\n";
}

}  // namespace kvstore
