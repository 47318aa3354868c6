// What SetOptimizer accepts and refuses, and in which words.
#include "common/updater/updater.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

namespace kvstore {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::Equals;

absl::Status Made(std::string_view name, const UpdaterParameters& parameters = {}) {
  return MakeUpdater(name, parameters).status();
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("every updater of the list is made with its defaults and says its name", "[updater]") {
  CHECK(UpdaterNames() == std::vector<std::string>{
                              "assign", "sum",       "test",   "sgd",   "adagrad", "adam",
                              "ftrl",   "nag",       "signum", "adamw", "rmsprop", "adadelta",
                              "adamax", "adabelief", "ftml",   "nadam", "dcasgd",  "groupadagrad",
                              "sgld",   "lamb",      "lans",   "lars"});
  for (const std::string& name : UpdaterNames()) {
    CAPTURE(name);
    auto updater = MakeUpdater(name, {});
    REQUIRE(updater.ok());
    CHECK((*updater)->name() == name);
  }
}

TEST_CASE("an unknown optimizer is refused with the list of known ones", "[updater]") {
  const absl::Status status = Made("lbsgd");
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(Message(status),
             Equals("unknown optimizer 'lbsgd'; expected one of assign, sum, test, sgd, adagrad, "
                    "adam, ftrl, nag, signum, adamw, rmsprop, adadelta, adamax, adabelief, ftml, "
                    "nadam, dcasgd, groupadagrad, sgld, lamb, lans, lars"));
  CHECK(Made("").code() == absl::StatusCode::kInvalidArgument);
  CHECK(Made("SGD").code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("the bytes of a pickle are refused and quoted harmlessly", "[updater]") {
  const std::string pickle =
      std::string("\x80\x04\x95\n\0c__builtin__\nexec\n", 23) + std::string(100000, 'x');
  const absl::Status status = Made(pickle);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message().size() < 300);
  for (const char c : Message(status)) REQUIRE((c >= ' ' && c <= '~'));
  CHECK_THAT(Message(status), Contains("assign, sum, test, sgd, adagrad, adam, ftrl"));
}

TEST_CASE("an unknown parameter is refused with the list of known ones", "[updater]") {
  const absl::Status status = Made("sgd", {{"lr", 0.5}});
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(Message(status),
             Equals("optimizer 'sgd': unknown parameter 'lr' (= 0.5); expected mxnet1, "
                    "learning_rate, wd, rescale_grad, clip_gradient, momentum, multi_precision, "
                    "begin_num_update, lazy_update"));
  CHECK_THAT(Message(Made("assign", {{"learning_rate", 1}})), Contains("expected no parameters"));
  CHECK_THAT(Message(Made("sum", {{"rescale_grad", 1}})), Contains("expected no parameters"));
  CHECK_THAT(Message(Made("test", {{"wd", 1}})), Contains("expected rescale_grad"));
}

TEST_CASE("the name of an unknown parameter is quoted harmlessly", "[updater]") {
  const std::string name = "lr\x1b[2J\n\xff" + std::string(100000, 'x');
  const absl::Status status = Made("sgd", {{name, 0.5}});
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message().size() < 300);
  for (const char c : Message(status)) REQUIRE((c >= ' ' && c <= '~'));
  CHECK_THAT(Message(status), Contains("unknown parameter 'lr?[2J??xxx"));
}

TEST_CASE("a number out of its range is refused by name", "[updater]") {
  const std::map<std::string, std::vector<double>> refused = {
      {"learning_rate", {-0.1, kNaN, kInfinity, -kInfinity, 1e39}},
      {"momentum", {-0.5, kNaN, kInfinity}},
      {"wd", {-1e-4, kNaN, kInfinity}},
      {"rescale_grad", {0.0, -0.0, kNaN, kInfinity, 1e-60}},
      {"clip_gradient", {0.0, -1.0, kNaN, kInfinity, 1e-60}},
  };
  for (const auto& [parameter, numbers] : refused) {
    for (const double number : numbers) {
      CAPTURE(parameter, number);
      const absl::Status status = Made("sgd", {{parameter, number}});
      CHECK(status.code() == absl::StatusCode::kInvalidArgument);
      CHECK_THAT(Message(status), Contains("optimizer 'sgd': " + parameter + ": a finite number"));
    }
  }
  CHECK_THAT(Message(Made("sgd", {{"learning_rate", -0.25}})),
             Equals("optimizer 'sgd': learning_rate: a finite number >= 0 (within f32) expected, "
                    "got -0.25"));
  CHECK(Made("test", {{"rescale_grad", 0}}).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("shares are below 1 and flags 0 or 1", "[updater]") {
  CHECK_THAT(
      Message(Made("adam", {{"beta1", 1}})),
      Equals("optimizer 'adam': beta1: a number from 0 on, below 1 (within f32) expected, got "
             "1"));
  const std::vector<std::pair<const char*, const char*>> shares = {
      {"adam", "beta1"},   {"adam", "beta2"},   {"adamw", "beta1"},     {"adamw", "beta2"},
      {"adamax", "beta1"}, {"adamax", "beta2"}, {"adabelief", "beta1"}, {"adabelief", "beta2"},
      {"ftml", "beta1"},   {"ftml", "beta2"},   {"nadam", "beta1"},     {"nadam", "beta2"},
      {"rmsprop", "rho"},  {"adadelta", "rho"},
  };
  for (const auto& [name, share] : shares) {
    for (const double number : {-0.1, 1.0, 1 - 1e-9, 2.0, kNaN}) {
      CAPTURE(name, share, number);
      CHECK(Made(name, {{share, number}}).code() == absl::StatusCode::kInvalidArgument);
    }
    CHECK(Made(name, {{share, 0}}).ok());
  }
  const auto check_flag = [](const std::string& name, const char* flag) {
    CAPTURE(name, flag);
    CHECK_THAT(Message(Made(name, {{flag, 0.5}})), Contains(": 0 or 1 expected, got 0.5"));
    CHECK(Made(name, {{flag, 1}}).ok());
  };
  for (const std::string& name : UpdaterNames()) {
    if (name == "assign" || name == "sum" || name == "test") continue;
    check_flag(name, "mxnet1");
    check_flag(name, "multi_precision");
  }
  check_flag("rmsprop", "centered");
  check_flag("adamw", "correct_bias");
  check_flag("adabelief", "correct_bias");
}

TEST_CASE("what is divided by is not 0", "[updater]") {
  for (const char* name : {"adam", "adagrad", "adamw", "rmsprop", "adadelta", "adamax", "adabelief",
                           "ftml", "nadam", "groupadagrad"}) {
    CAPTURE(name);
    CHECK(Made(name, {{"epsilon", 0}}).code() == absl::StatusCode::kInvalidArgument);
  }
  for (const char* name : {"ftrl", "ftml"}) {
    CAPTURE(name);
    CHECK(Made(name, {{"learning_rate", 0}}).code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(Made("ftrl", {{"lamda1", 0}, {"beta", 0}}).ok());
}

TEST_CASE("each optimizer's own numbers have their ranges", "[updater]") {
  const std::vector<std::tuple<const char*, const char*, double>> refused = {
      {"nag", "momentum", -0.5},      {"signum", "momentum", -0.5},
      {"signum", "wd_lh", -0.1},      {"rmsprop", "momentum", -0.5},
      {"rmsprop", "clip_weights", 0}, {"nadam", "schedule_decay", -0.1},
      {"dcasgd", "momentum", -0.5},   {"dcasgd", "lamda", -0.1},
  };
  for (const auto& [name, parameter, number] : refused) {
    CAPTURE(name, parameter, number);
    const absl::Status status = Made(name, {{parameter, number}});
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(Message(status), Contains(std::string(parameter) + ": a finite number >"));
  }
  CHECK_THAT(Message(Made("nadam", {{"beta1", 0.99995}})),
             Equals("optimizer 'nadam': beta1: at most 0.9999 expected, got 0.99995"));
  CHECK(Made("nadam", {{"beta1", 0.9999}, {"schedule_decay", 1e30}}).ok());
}

TEST_CASE("sgld's seed is a whole number", "[updater]") {
  CHECK(Made("sgld", {{"seed", 0x1p53}}).ok());
  for (const double seed : {0.5, 0x1p54}) {
    CAPTURE(seed);
    CHECK_THAT(Message(Made("sgld", {{"seed", seed}})),
               Contains("optimizer 'sgld': seed: a whole number from 0 to 2^53 expected, got "));
  }
  CHECK(Made("sgld", {{"seed", -1}}).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("groupadagrad has no weight decay", "[updater]") {
  CHECK(Made("groupadagrad", {{"wd", 0}}).ok());
  CHECK(Made("groupadagrad", {{"wd", 0.01}}) ==
        absl::InvalidArgumentError("optimizer 'groupadagrad': wd: 0 expected, it has no weight "
                                   "decay, got 0.01"));
}

TEST_CASE("adamax of MXNet 1.9.1 has no epsilon", "[updater]") {
  CHECK(Made("adamax", {{"epsilon", 1e-8}}).ok());
  CHECK_THAT(Message(Made("adamax", {{"epsilon", 1e-8}, {"mxnet1", 1}})),
             Contains("unknown parameter 'epsilon'"));
}

TEST_CASE("updates of rows that a sum does not have are sgd's and adam's", "[updater]") {
  for (const char* name : {"sgd", "adam"}) {
    CHECK(Made(name, {{"lazy_update", 1}}).ok());
    CHECK(Made(name, {{"lazy_update", 0}}).ok());
    CHECK_THAT(Message(Made(name, {{"lazy_update", 2}})),
               Contains("lazy_update: 0 or 1 expected, got 2"));
  }
  CHECK_THAT(Message(Made("nag", {{"lazy_update", 0}})),
             Contains("unknown parameter 'lazy_update'"));
}

TEST_CASE("numbers at the edges of their ranges are taken", "[updater]") {
  CHECK(Made("sgd", {{"learning_rate", 0}, {"momentum", 0}, {"wd", 0}}).ok());
  CHECK(Made("sgd", {{"rescale_grad", -1}, {"momentum", 1}, {"clip_gradient", 1e-30}}).ok());
  CHECK(Made("sgd", {{"learning_rate", std::numeric_limits<float>::max()}}).ok());
}

TEST_CASE("momentum is kept only when there is one", "[updater]") {
  using Names = std::vector<std::string>;
  const auto kept = [](std::string_view name, double momentum) {
    return (*MakeUpdater(name, {{"momentum", momentum}}))->StateNames();
  };
  for (const char* name : {"sgd", "nag", "signum"}) {
    CAPTURE(name);
    CHECK(kept(name, 0).empty());
    CHECK(kept(name, 0.9) == Names{"momentum"});
  }
  CHECK(kept("dcasgd", 0) == Names{"moved"});
  CHECK(kept("dcasgd", 0.9) == Names{"momentum", "moved"});
  CHECK(kept("rmsprop", 0.9) == Names{"var"});
  CHECK((*MakeUpdater("rmsprop", {{"centered", 1}}))->StateNames() ==
        Names{"mean", "var", "momentum"});
  // MXNet 1.9.1's nag has none by default.
  CHECK((*MakeUpdater("nag", {}))->StateNames() == Names{"momentum"});
  CHECK((*MakeUpdater("nag", {{"mxnet1", 1}}))->StateNames().empty());
}

}  // namespace kvstore
