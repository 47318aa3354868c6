// Operations of a store, made by hand: what a facade would have made of a call, and a token of the
// dependency engine that says how the operation ended.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/dist/part_sink.h"
#include "client/order/dependency_engine.h"
#include "client/reduce/cpu_reducer.h"
#include "client/store/argument_checks.h"
#include "client/store/store_backend.h"
#include "common/tensor/buffer.h"
#include "kvstore/ndarray.h"

namespace kvstore::testing {

// One operation under way, on a Var of its own. The test, or what it tests, holds the token.
class Underway {
 public:
  Underway() {
    std::vector<OperationSpec> specs(1);
    specs[0].owner = owner_;
    specs[0].verb = "an operation";
    specs[0].uses = {{var_, Access::kWrite}};
    specs[0].issue = [this](const TokenPtr& issued) {
      token = issued;
      order_ = issued->HoldOrder();  // as if it were still being issued
    };
    engine_.Run(engine_.Append(std::move(specs)));
    REQUIRE(token != nullptr);
  }

  // Whether the last reference to the token is gone.
  bool Complete() { return engine_.WaitAtMost(var_, 0); }
  // How it ended.
  absl::Status Outcome() {
    REQUIRE(Complete());
    return engine_.TakeFailure(var_, true).status;
  }

 private:
  class Owner : public OperationOwner {
   public:
    void Flush() noexcept override {}
    int64_t operation_timeout_ms() const override { return 60000; }
    absl::Status Overdue(const std::vector<OverdueOperation>&, int64_t) override {
      return absl::DeadlineExceededError("overdue");
    }
  };

  DependencyEngine engine_;
  std::shared_ptr<Owner> owner_ = std::make_shared<Owner>();
  VarPtr var_ = DependencyEngine::NewVar();
  std::shared_ptr<const void> order_;

 public:
  TokenPtr token;
};

inline KeyPtr Key17() {
  auto key = std::make_shared<Key>();
  key->number = 17;
  key->id = 17;
  key->text = "17";
  key->label = "key 17";
  return key;
}

// An operation on key 17, whose value looks like `like`.
inline std::shared_ptr<KeyOperation> OperationOn(OperationKind kind, const NDArray& like,
                                                 Arrays values, Arrays outputs = {}) {
  auto operation = std::make_shared<KeyOperation>();
  operation->kind = kind;
  operation->key = Key17();
  operation->spec = SpecFrom(like);
  operation->values = std::move(values);
  operation->outputs = std::move(outputs);
  return operation;
}

// A dense f32 array whose i-th element is `first` + i.
inline NDArray Counting(std::vector<int64_t> shape, float first = 0) {
  NDArray array(std::move(shape));
  for (int64_t i = 0; i < array.size(); ++i) {
    array.data_as<float>()[i] = first + static_cast<float>(i);
  }
  return array;
}

// The row_sparse f32 array of `rows` rows of `width` elements that has the rows `ids`; row r is all
// r.
inline NDArray RowsNamed(int64_t rows, int64_t width, const std::vector<int64_t>& ids) {
  if (ids.empty()) return NDArray::RowSparse({rows, width});
  const NDArray data({static_cast<int64_t>(ids.size()), width});
  auto* to = data.data_as<float>();
  for (const int64_t id : ids) {
    for (int64_t i = 0; i < width; ++i) *to++ = static_cast<float>(id);
  }
  return NDArray::RowSparse({rows, width}, ids, data);
}

// What the operation brings.
inline Contribution ContributionOf(const KeyOperation& operation, const TokenPtr& token) {
  CpuReducer reducer(1);
  if (auto as_is = reducer.AsIs(operation, token)) return *std::move(as_is);
  return *reducer.Reduce(operation);
}

// What a push or a pull asks.
template <typename Verb, typename... Args>
PartAsks AsksOf(Verb& verb, Args&&... args) {
  PartAsks asks;
  verb.AddAsks(std::forward<Args>(args)..., &asks);
  return asks;
}

}  // namespace kvstore::testing
