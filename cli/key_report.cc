#include "cli/key_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cli/printer.h"
#include "common/base/json_writer.h"
#include "common/model/key_spec.h"
#include "common/tensor/dtype.h"

namespace kvstore {
namespace {

void Add(const v1::Figures& from, v1::Figures* to) {
  to->set_elements(to->elements() + from.elements());
  to->set_not_finite(to->not_finite() + from.not_finite());
  to->set_squares(to->squares() + from.squares());
  to->set_absmax(std::max(to->absmax(), from.absmax()));
}

struct Keys {
  std::vector<v1::KeyStats> all;  // int keys by number, then string keys by name
  std::vector<std::string> errors;
};

Keys KeysOf(const KeyAnswers& answers) {
  Keys keys;
  std::map<KeyPlace, v1::KeyStats> by_name;
  for (const auto& [rank, answer] : answers) {
    if (!answer.ok()) {
      keys.errors.push_back(
          fmt::format("server {}: {}", rank, std::string(answer.status().message())));
      continue;
    }
    for (const v1::KeyStats& key : answer->keys()) {
      const auto [at, fresh] = by_name.try_emplace(KeyPlace{key.key(), key.name()}, key);
      if (fresh) continue;
      v1::KeyStats& sum = at->second;
      sum.set_parts(sum.parts() + key.parts());
      sum.set_version(std::min(sum.version(), key.version()));
      sum.set_pushes(std::max(sum.pushes(), key.pushes()));
      sum.set_failures(sum.failures() + key.failures());
      sum.set_pulls(sum.pulls() + key.pulls());
      sum.set_staleness_sum(sum.staleness_sum() + key.staleness_sum());
      sum.set_staleness_max(std::max(sum.staleness_max(), key.staleness_max()));
      Add(key.value(), sum.mutable_value());
      if (key.has_sum()) Add(key.sum(), sum.mutable_sum());
    }
  }
  for (auto& [place, key] : by_name) keys.all.push_back(std::move(key));
  return keys;
}

// Int keys have no name.
std::string NameOf(const v1::KeyStats& key) {
  return key.name().empty() ? std::to_string(static_cast<int64_t>(key.key())) : key.name();
}

// Of the pulls of a key's parts.
double MeanStaleness(const v1::KeyStats& key) {
  return static_cast<double>(key.staleness_sum()) /
         static_cast<double>(std::max<uint64_t>(key.pulls(), 1));
}

std::string FiguresText(const v1::Figures& figures) {
  std::string text = fmt::format("{:.4g}", std::sqrt(figures.squares()));
  if (figures.not_finite() > 0) text += fmt::format(" ({} not finite)", figures.not_finite());
  return text;
}

// The table, and below it what it lacks: servers that did not answer.
std::string TextOf(const Table& table, const Keys& keys) {
  std::string text = table.empty() ? "no such keys\n" : table.ToString();
  for (const std::string& error : keys.errors) text += "\n" + error + "\n";
  return text;
}

}  // namespace

std::string KeysAsTable(const KeyAnswers& answers) {
  const Keys keys = KeysOf(answers);
  Table table({"KEY", "PARTS", "VERSION", "PUSHES", "FAILURES", "NORM", "ABSMAX", "SUM'S NORM",
               "SUM'S ABSMAX", "PULLS", "STALENESS"});
  for (const v1::KeyStats& key : keys.all) {
    table.AddRow({NameOf(key), std::to_string(key.parts()), std::to_string(key.version()),
                  std::to_string(key.pushes()), std::to_string(key.failures()),
                  FiguresText(key.value()), fmt::format("{:.4g}", key.value().absmax()),
                  key.has_sum() ? FiguresText(key.sum()) : "-",
                  key.has_sum() ? fmt::format("{:.4g}", key.sum().absmax()) : "-",
                  std::to_string(key.pulls()),
                  fmt::format("{:.2f}, at most {}", MeanStaleness(key), key.staleness_max())});
  }
  return TextOf(table, keys);
}

std::string KeysAsJson(const KeyAnswers& answers) {
  const Keys keys = KeysOf(answers);
  JsonWriter json;
  json.BeginObject().Key("keys").BeginArray();
  for (const v1::KeyStats& key : keys.all) {
    json.BeginObject()
        .Member("key", NameOf(key))
        .Member("parts", key.parts())
        .Member("version", key.version())
        .Member("pushes", key.pushes())
        .Member("failures", key.failures())
        .Member("pulls", key.pulls())
        .Member("staleness_mean", MeanStaleness(key))
        .Member("staleness_max", key.staleness_max())
        .Member("elements", key.value().elements())
        .Member("norm", std::sqrt(key.value().squares()))
        .Member("absmax", key.value().absmax())
        .Member("not_finite", key.value().not_finite());
    if (key.has_sum()) {
      json.Member("sum_norm", std::sqrt(key.sum().squares()))
          .Member("sum_absmax", key.sum().absmax())
          .Member("sum_not_finite", key.sum().not_finite());
    }
    json.End();
  }
  json.End().Key("errors").BeginArray();
  for (const std::string& error : keys.errors) json.Value(error);
  json.End().End();
  return json.text() + "\n";
}

namespace {

std::string ShapeText(const v1::KeyStats& key) {
  return fmt::format("[{}]", fmt::join(key.shape(), ","));
}

const char* StorageText(const v1::KeyStats& key) {
  return key.storage() == v1::STORAGE_ROW_SPARSE ? "row_sparse" : "dense";
}

struct Deleted {
  std::map<std::pair<bool, std::string>, uint64_t> parts;  // by key, int keys first
  std::vector<std::string> errors;
};

Deleted DeletedOf(const DeleteAnswers& answers) {
  Deleted deleted;
  for (const auto& [rank, answer] : answers) {
    if (!answer.ok()) {
      deleted.errors.push_back(
          fmt::format("server {}: {}", rank, std::string(answer.status().message())));
      continue;
    }
    for (const auto& key : answer->keys()) {
      const bool named = !key.name().empty();
      const std::string text = named ? key.name() : std::to_string(static_cast<int64_t>(key.key()));
      deleted.parts[{named, text}] += key.parts();
    }
  }
  return deleted;
}

}  // namespace

std::string KeyListAsTable(const KeyAnswers& answers) {
  const Keys keys = KeysOf(answers);
  Table table({"KEY", "DTYPE", "SHAPE", "STORAGE", "PARTS", "VERSION"});
  for (const v1::KeyStats& key : keys.all) {
    table.AddRow({NameOf(key), std::string(DTypeName(static_cast<DType>(key.dtype()))),
                  ShapeText(key), StorageText(key), std::to_string(key.parts()),
                  std::to_string(key.version())});
  }
  return TextOf(table, keys);
}

std::string KeyListAsJson(const KeyAnswers& answers) {
  const Keys keys = KeysOf(answers);
  JsonWriter json;
  json.BeginObject().Key("keys").BeginArray();
  for (const v1::KeyStats& key : keys.all) {
    json.BeginObject()
        .Member("key", NameOf(key))
        .Member("dtype", std::string(DTypeName(static_cast<DType>(key.dtype()))))
        .Member("storage", StorageText(key));
    json.Key("shape").BeginArray();
    for (const int64_t dimension : key.shape()) json.Value(dimension);
    json.End().Member("parts", key.parts()).Member("version", key.version()).End();
  }
  json.End().Key("errors").BeginArray();
  for (const std::string& error : keys.errors) json.Value(error);
  json.End().End();
  return json.text() + "\n";
}

namespace {

std::string EndedAsTable(const DeleteAnswers& answers, const char* header) {
  const Deleted deleted = DeletedOf(answers);
  Table table({"KEY", header});
  for (const auto& [key, parts] : deleted.parts) table.AddRow({key.second, std::to_string(parts)});
  std::string text = table.empty() ? "no such keys\n" : table.ToString();
  for (const std::string& error : deleted.errors) text += "\n" + error + "\n";
  return text;
}

std::string EndedAsJson(const DeleteAnswers& answers, bool dry_run, const char* name) {
  const Deleted deleted = DeletedOf(answers);
  JsonWriter json;
  json.BeginObject().Key(name).BeginArray();
  for (const auto& [key, parts] : deleted.parts) {
    json.BeginObject().Member("key", key.second).Member("parts", parts).End();
  }
  json.End().Member("dry_run", dry_run).Key("errors").BeginArray();
  for (const std::string& error : deleted.errors) json.Value(error);
  json.End().End();
  return json.text() + "\n";
}

}  // namespace

std::string DeletedAsTable(const DeleteAnswers& answers, bool dry_run) {
  return EndedAsTable(answers, dry_run ? "PARTS TO DELETE" : "DELETED PARTS");
}
std::string DeletedAsJson(const DeleteAnswers& answers, bool dry_run) {
  return EndedAsJson(answers, dry_run, "deleted");
}
std::string ResetAsTable(const DeleteAnswers& answers, bool dry_run) {
  return EndedAsTable(answers, dry_run ? "PARTS TO RESET" : "RESET PARTS");
}
std::string ResetAsJson(const DeleteAnswers& answers, bool dry_run) {
  return EndedAsJson(answers, dry_run, "reset");
}

}  // namespace kvstore
