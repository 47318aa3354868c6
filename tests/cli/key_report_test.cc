#include "cli/key_report.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

v1::KeyStats Key(const std::string& name, int64_t number, double squares) {
  v1::KeyStats key;
  key.set_name(name);
  key.set_key(static_cast<uint64_t>(number));
  key.set_parts(1);
  key.set_version(7);
  key.set_pushes(14);
  key.set_pulls(4);
  key.set_staleness_sum(3);
  key.set_staleness_max(2);
  key.mutable_value()->set_elements(2);
  key.mutable_value()->set_squares(squares);
  key.mutable_value()->set_absmax(squares);
  return key;
}

KeyAnswers SomeAnswers() {
  v1::ServerKeyStats first, second;
  *first.add_keys() = Key("w", 9, 9);
  *first.add_keys() = Key("", -3, 4);
  *second.add_keys() = Key("w", 9, 16);
  second.mutable_keys(0)->set_version(6);
  second.mutable_keys(0)->set_failures(1);
  second.mutable_keys(0)->mutable_sum()->set_squares(0.25);
  second.mutable_keys(0)->mutable_sum()->set_absmax(0.5);
  second.mutable_keys(0)->mutable_value()->set_not_finite(1);
  KeyAnswers answers;
  answers.emplace(0, first);
  answers.emplace(1, second);
  answers.emplace(2, absl::UnavailableError("h:1: no answer"));
  return answers;
}

}  // namespace

TEST_CASE("a key's parts on several servers are one line", "[cli]") {
  const std::string text = KeysAsTable(SomeAnswers());
  CAPTURE(text);
  CHECK_THAT(text,
             Contains("\n-3   1      7        14      0         2                 4       -"));
  CHECK_THAT(text, Contains("\nw    2      6        14      1         5 (1 not finite)  16      "
                            "0.5         0.5           8      0.75, at most 2\n"));
  CHECK_THAT(text, Contains("\nserver 2: h:1: no answer\n"));
  CHECK(KeysAsTable({}) == "no such keys\n");
}

TEST_CASE("the JSON of keys has the figures by name", "[cli]") {
  CHECK(KeysAsJson(SomeAnswers()) ==
        "{\"keys\":[{\"key\":\"-3\",\"parts\":1,\"version\":7,\"pushes\":14,\"failures\":0,"
        "\"pulls\":4,\"staleness_mean\":0.75,\"staleness_max\":2,"
        "\"elements\":2,\"norm\":2,\"absmax\":4,\"not_finite\":0},"
        "{\"key\":\"w\",\"parts\":2,\"version\":6,\"pushes\":14,\"failures\":1,"
        "\"pulls\":8,\"staleness_mean\":0.75,\"staleness_max\":2,\"elements\":4,"
        "\"norm\":5,\"absmax\":16,\"not_finite\":1,\"sum_norm\":0.5,\"sum_absmax\":0.5,"
        "\"sum_not_finite\":0}],\"errors\":[\"server 2: h:1: no answer\"]}\n");
}

TEST_CASE("the list of keys says what each is", "[cli]") {
  v1::ServerKeyStats first;
  v1::KeyStats& key = *first.add_keys();
  key = Key("w", 9, 0);
  key.set_dtype(v1::DTYPE_F16);
  key.set_storage(v1::STORAGE_ROW_SPARSE);
  key.add_shape(50);
  key.add_shape(4);
  KeyAnswers answers;
  answers.emplace(0, first);
  answers.emplace(1, first);
  CHECK_THAT(KeyListAsTable(answers), Contains("\nw    f16    [50,4]  row_sparse  2      7\n"));
  CHECK(KeyListAsJson(answers) ==
        "{\"keys\":[{\"key\":\"w\",\"dtype\":\"f16\",\"storage\":\"row_sparse\",\"shape\":[50,4],"
        "\"parts\":2,\"version\":7}],\"errors\":[]}\n");
}

TEST_CASE("what is deleted is told by key, whichever servers had it", "[cli]") {
  v1::DeletedKeys deleted;
  deleted.add_keys()->set_name("w");
  deleted.mutable_keys(0)->set_parts(2);
  deleted.add_keys()->set_key(static_cast<uint64_t>(int64_t{-3}));
  deleted.mutable_keys(1)->set_parts(1);
  DeleteAnswers answers;
  answers.emplace(0, deleted);
  answers.emplace(1, deleted);
  answers.emplace(2, absl::UnavailableError("h:1: no answer"));
  CHECK_THAT(DeletedAsTable(answers, false), Contains("DELETED PARTS") && Contains("\n-3   2") &&
                                                 Contains("\nw    4") &&
                                                 Contains("\nserver 2: h:1: no answer\n"));
  CHECK_THAT(DeletedAsTable(answers, true), Contains("PARTS TO DELETE"));
  CHECK(DeletedAsJson(answers, true) ==
        "{\"deleted\":[{\"key\":\"-3\",\"parts\":2},{\"key\":\"w\",\"parts\":4}],\"dry_run\":true,"
        "\"errors\":[\"server 2: h:1: no answer\"]}\n");
  CHECK(DeletedAsTable({}, false) == "no such keys\n");
  CHECK_THAT(ResetAsTable(answers, false), Contains("RESET PARTS") && Contains("\nw    4"));
  CHECK_THAT(ResetAsTable(answers, true), Contains("PARTS TO RESET"));
  CHECK_THAT(ResetAsJson(answers, false), Contains("{\"reset\":[{\"key\":\"-3\",\"parts\":2}"));
}

}  // namespace kvstore
