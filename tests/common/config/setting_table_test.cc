// The table is sound, and the documentation says what is in it.
#include "common/config/setting_table.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "common/config/config.h"

namespace kvstore {
namespace {

TEST_CASE("in one program a name, an id and a variable belong to one setting", "[config]") {
  for (const Programs program : {kSchedulerProgram, kServerProgram, kWorkerProgram}) {
    std::set<std::string> names, variables;
    std::set<SettingId> ids;
    for (const SettingSpec& spec : SettingTable()) {
      if ((spec.programs & program) == 0) continue;
      CAPTURE(program, spec.name);
      CHECK(names.insert(spec.name).second);
      CHECK(ids.insert(spec.id).second);
      CHECK_FALSE(spec.variables.empty());
      for (const SettingVariable& variable : spec.variables) {
        CHECK(variables.insert(variable.name).second);
        CHECK(variable.partner.empty() ==
              (variable.form == VariableForm::kSame || variable.form == VariableForm::kSeconds));
      }
      // Ours come first.
      CHECK(spec.variables.front().name.rfind("KVSTORE_", 0) == 0);
      CHECK_FALSE(spec.help.empty());
    }
  }
}

TEST_CASE("the file of settings is known before the settings in it", "[config]") {
  CHECK(SettingTable().front().id == SettingId::kConfig);
}

TEST_CASE("every default fits its setting", "[config]") {
  for (const Programs program : {kSchedulerProgram, kServerProgram, kWorkerProgram}) {
    std::map<std::string, std::string> flags = {
        {"scheduler", "h:1"}, {"workers", "1"}, {"servers", "1"}};
    for (const SettingSpec& spec : SettingTable()) {
      if ((spec.programs & program) != 0 && !spec.default_text.empty()) {
        flags[spec.name] = spec.default_text;
      }
    }
    const auto config = Config::Read(
        program, flags, [](const std::string&) -> std::optional<std::string> { return {}; });
    CAPTURE(program, config.status().message());
    CHECK(config.ok());
  }
}

TEST_CASE("a launcher takes away what tells a process its place, and nothing else", "[config]") {
  const std::vector<std::string> place = PlaceVariables();
  const auto has = [&](const std::string& name) {
    return std::count(place.begin(), place.end(), name) == 1;
  };
  for (const char* name :
       {"KVSTORE_SCHEDULER",   "KVSTORE_ROLE",     "KVSTORE_RANK",      "KVSTORE_NUM_WORKERS",
        "KVSTORE_NUM_SERVERS", "KVSTORE_LISTEN",   "KVSTORE_ADVERTISE", "KVSTORE_NODE_HOST",
        "KVSTORE_STATE_DIR",   "DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT", "KVSTORE_SERVER_RANK",
        "DMLC_ROLE",           "DMLC_NUM_WORKER",  "DMLC_NUM_SERVER",   "DMLC_WORKER_ID",
        "DMLC_NODE_HOST",      "DMLC_INTERFACE",   "KVSTORE_INTERFACE", "KVSTORE_TIME_SCALE",
        "KVSTORE_CONFIG"}) {
    CAPTURE(name);
    CHECK(has(name));
  }
  for (const char* name : {"KVSTORE_LOG_LEVEL", "KVSTORE_SHARDS", "RANK", "SLURM_PROCID"}) {
    CAPTURE(name);
    CHECK_FALSE(has(name));
  }
}

TEST_CASE("docs/operations.md has the table of settings", "[config][docs]") {
  const std::string path = std::string(KVS_SOURCE_DIR) + "/docs/operations.md";
  std::ifstream file(path);
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  const bool same = text.str().find(SettingsAsMarkdown()) != std::string::npos;
  if (!same) std::cout << "The table of " << path << " should be:\n" << SettingsAsMarkdown();
  CHECK(same);
}

}  // namespace
}  // namespace kvstore
