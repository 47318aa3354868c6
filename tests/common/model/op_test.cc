// The table of ops against the two other places that list them: data.proto and docs/protocol.md.
#include "common/model/op.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <string>

#include "kvstore/v1/data.pb.h"

namespace kvstore {
namespace {

TEST_CASE("the table of ops has the ops of data.proto, with their numbers", "[op]") {
  CHECK(static_cast<size_t>(v1::Op_MAX) == kOps.size());
  for (const OpInfo& info : kOps) {
    CAPTURE(info.name);
    CHECK(v1::Op_Name(static_cast<v1::Op>(info.op)) == "OP_" + std::string(info.name));
  }
}

TEST_CASE("docs/protocol.md has a row for every op", "[op]") {
  std::ifstream file(KVS_PROTOCOL_MD);
  REQUIRE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  for (const OpInfo& info : kOps) {
    CAPTURE(info.name);
    CHECK(text.str().find("\n| `" + std::string(info.name) + "`") != std::string::npos);
  }
}

TEST_CASE("an op is found by its number, and a number that is no op is not", "[op]") {
  for (const OpInfo& info : kOps) {
    CHECK(FindOp(info.op) == &info);
    CHECK(&InfoOf(info.op) == &info);
    CHECK(OpName(info.op) == info.name);
  }
  for (const uint32_t number :
       {uint32_t{0}, static_cast<uint32_t>(kOps.size()) + 1, ~uint32_t{0}}) {
    CAPTURE(number);
    CHECK(FindOp(static_cast<Op>(number)) == nullptr);
    CHECK(OpName(static_cast<Op>(number)) == "OP?");
  }
}

TEST_CASE("only what is about a part has a round, bytes, an order or a probe", "[op]") {
  for (const OpInfo& info : kOps) {
    CAPTURE(info.name);
    if (info.scope == OpScope::kPart) continue;
    CHECK(info.round == OpRound::kNone);
    CHECK(info.bytes == OpBytes::kNone);
    CHECK(info.order == OpOrder::kFree);
    CHECK_FALSE(info.may_be_probed);
  }
}

}  // namespace
}  // namespace kvstore
