// Every SIMD target gives the bits of the formula for one number, in all arrays of every update, at
// every size, alignment and remainder. What the formulas are is tests/common/updater's business.
#include "common/kernels/updates.h"

#include <hwy/highway.h>

#include "common/kernels/cpu/update_loop-inl.h"
#include "tests/common/kernels/harness.h"
#include "tests/common/kernels/numbers.h"

namespace kvstore {
namespace {

using testing::DTypeOf;
using testing::FirstDifference;
using testing::ForEachShape;
using testing::ForEachTarget;
using testing::kSeed;
using testing::Placed;
using testing::RandomNumbers;

// What an update has beside the UpdateNumbers: not what would leave operations out.
void SetOwn(UpdateNumbers&) {}
void SetOwn(MomentumNumbers& numbers) { numbers.momentum = 0.85; }
void SetOwn(SignNumbers& numbers) { numbers.wd_lh = 0.07; }
void SetOwn(SignumNumbers& numbers) { numbers.wd_lh = 0.07; }
void SetOwn(DcasgdMomentumNumbers& numbers) { numbers.momentum = 0.85; }
void SetOwn(WorkerDcasgdMomentumNumbers& numbers) { numbers.momentum = 0.85; }
void SetOwn(GroupAdagradNumbers& numbers) { numbers.history = 0.31; }
void SetOwn(RmspropNumbers& numbers) {
  numbers.bounded = numbers.clip;
  numbers.clip_weights = 0.6;
}
void SetOwn(NadamNumbers& numbers) {
  numbers.share_now = 0.55;
  numbers.momentum_next = 0.46;
  numbers.rest_now = 0.77;
  numbers.rest_next = 0.87;
  numbers.rest_var = 0.003;
}
void SetOwn(LambNumbers& numbers) {
  numbers.power1 = 0.216;
  numbers.power2 = 0.997;
  numbers.rate = 0.13;
}
void SetOwn(LansNumbers& numbers) {
  numbers.norm = 1.7;
  numbers.power1 = 0.216;
  numbers.power2 = 0.997;
  numbers.mean_rate = 0.13;
  numbers.grad_rate = 0.017;
}
void SetOwn(FtmlNumbers& numbers) {
  numbers.power1 = 0.216;
  numbers.power2 = 0.997;
}

// Numbers that make every operation round, in both formulas, with and without clipping and decay.
template <typename Numbers>
std::vector<Numbers> Variants() {
  if constexpr (std::is_same_v<Numbers, AddScaledNumbers>) {
    return {{0.3}};
  } else {
    std::vector<Numbers> variants(5);
    for (size_t i = 1; i < variants.size(); ++i) {
      variants[i].learning_rate = 0.3;
      variants[i].rescale_grad = 0.7;
      variants[i].wd = i == 1 ? 0.0 : 0.01;
      variants[i].clip = i >= 3;
      variants[i].clip_gradient = 0.4;
      variants[i].mxnet1 = i % 2 == 0;
      SetOwn(variants[i]);
    }
    return variants;
  }
}

// The formula, number after number.
template <typename T, typename Numbers, size_t... kState>
void Reference(const Numbers& numbers, const std::vector<T>& weight,
               std::vector<std::vector<T>>& states, std::vector<T>& grad,
               std::index_sequence<kState...> indices) {
  HWY_NAMESPACE::UpdateReals<T>(numbers, weight.data(), {states[kState].data()...}, grad.data(), 0,
                                grad.size(), indices);
}

template <typename T, typename Numbers>
void CheckUpdate(const Numbers& numbers) {
  const HWY_NAMESPACE::StatesOf<Numbers> states_of;
  ForEachTarget([&] {
    std::mt19937_64 random(kSeed);
    ForEachShape([&](size_t elements, size_t weight_offset, size_t grad_offset) {
      CAPTURE(elements, weight_offset, grad_offset);
      const std::vector<T> weight = RandomNumbers<T>(random, elements);
      std::vector<T> grad = RandomNumbers<T>(random, elements);
      std::vector<std::vector<T>> states;
      std::vector<Placed<T>> placed_states;
      std::vector<void*> placed_arrays;
      Placed<T> placed_weight(weight, weight_offset);
      Placed<T> placed_grad(grad, grad_offset);
      for (size_t k = 0; k < states_of.size(); ++k) {
        states.push_back(RandomNumbers<T>(random, elements));
        // Squares, roots of which are taken, are not negative; other states are of either sign.
        if (weight_offset % 2 == 0) {
          for (T& x : states.back()) x = std::abs(x);
        }
        placed_states.emplace_back(states[k], (weight_offset + 5 * (k + 1)) % 64);
      }
      for (auto& state : placed_states) placed_arrays.push_back(state.data());
      Reference(numbers, weight, states, grad, states_of);
      UpdateWeights(DTypeOf<T>(), numbers, placed_weight.data(), placed_arrays.data(),
                    placed_grad.data(), elements);
      REQUIRE(FirstDifference(placed_grad.values(), grad) == -1);
      bool beside_untouched = FirstDifference(placed_weight.values(), weight) == -1 &&
                              placed_weight.GuardsIntact() && placed_grad.GuardsIntact();
      for (size_t k = 0; k < states.size(); ++k) {
        CAPTURE(k);
        REQUIRE(FirstDifference(placed_states[k].values(), states[k]) == -1);
        beside_untouched = beside_untouched && placed_states[k].GuardsIntact();
      }
      REQUIRE(beside_untouched);
    });
  });
}

}  // namespace

// Every type of AnyNumbers, so that none is forgotten.
TEMPLATE_LIST_TEST_CASE("an update has the bits of its formula for one number on every target",
                        "[kernels]", AnyNumbers) {
  CAPTURE(kSeed);
  size_t variant = 0;
  for (const TestType& numbers : Variants<TestType>()) {
    CAPTURE(variant++);
    CheckUpdate<float>(numbers);
    CheckUpdate<double>(numbers);
  }
}

TEST_CASE("a clipped NaN stays a NaN on every target", "[kernels]") {
  SgdNumbers numbers;
  numbers.clip = true;
  numbers.clip_gradient = 1;
  ForEachTarget([&] {
    const std::vector<float> weight(19, 1.0f);
    std::vector<float> grad(19, std::numeric_limits<float>::quiet_NaN());
    UpdateWeights(DType::kFloat32, numbers, weight.data(), nullptr, grad.data(), grad.size());
    for (const float w : grad) REQUIRE(std::isnan(w));
  });
}

TEST_CASE("a NaN in ftrl's sum is not taken for a small one", "[kernels]") {
  ForEachTarget([] {
    const std::vector<float> weight(19, 1.0f);
    std::vector<float> z(19), n(19);
    std::vector<float> grad(19, std::numeric_limits<float>::quiet_NaN());
    void* const states[] = {z.data(), n.data()};
    UpdateWeights(DType::kFloat32, FtrlNumbers(), weight.data(), states, grad.data(), 19);
    for (const float w : grad) REQUIRE(std::isnan(w));
  });
}

TEST_CASE("how an array is cut does not change a bit", "[kernels]") {
  // Parts, frames and slices cut arrays anywhere; each element must come out the same in a vector
  // and in the remainder.
  CAPTURE(kSeed);
  std::mt19937_64 random(kSeed);
  constexpr size_t kElements = 1009;
  MomentumNumbers numbers;
  numbers.learning_rate = 0.3;
  numbers.wd = 0.01;
  numbers.momentum = 0.85;
  const std::vector<float> weight = RandomNumbers<float>(random, kElements);
  const std::vector<float> mom = RandomNumbers<float>(random, kElements);
  const std::vector<float> grad = RandomNumbers<float>(random, kElements);
  std::vector<float> whole_mom = mom, whole = grad;
  void* const whole_state[] = {whole_mom.data()};
  UpdateWeights(DType::kFloat32, numbers, weight.data(), whole_state, whole.data(), kElements);
  for (int trial = 0; trial < 50; ++trial) {
    CAPTURE(trial);
    std::vector<float> cut_mom = mom, cut = grad;
    for (size_t at = 0; at < kElements;) {
      const size_t n = std::min<size_t>(1 + random() % 80, kElements - at);
      void* const state[] = {cut_mom.data() + at};
      UpdateWeights(DType::kFloat32, numbers, weight.data() + at, state, cut.data() + at, n);
      at += n;
    }
    REQUIRE(FirstDifference(cut, whole) == -1);
    REQUIRE(FirstDifference(cut_mom, whole_mom) == -1);
  }
}

}  // namespace kvstore
