// Every SIMD target gives the scalar reference's bits of every update, in all its arrays, at every
// size, alignment and remainder.
#include "common/kernels/cpu/scalar_updates.h"
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

// Numbers that make every operation round, in both formulas, with and without clipping and decay.
template <typename Numbers>
std::vector<Numbers> Variants() {
  std::vector<Numbers> variants(5);
  for (size_t i = 1; i < variants.size(); ++i) {
    variants[i].learning_rate = 0.3;
    variants[i].rescale_grad = 0.7;
    variants[i].wd = i == 1 ? 0.0 : 0.01;
    variants[i].clip = i >= 3;
    variants[i].clip_gradient = 0.4;
    variants[i].mxnet1 = i % 2 == 0;
  }
  return variants;
}

// An update with `kStates` arrays beside weight and gradient: its kernel and its scalar reference.
template <typename T, size_t kStates, typename Kernel, typename Reference>
void CheckUpdate(bool states_below_zero, Kernel kernel, Reference reference) {
  CAPTURE(kSeed);
  ForEachTarget([&] {
    std::mt19937_64 random(kSeed);
    ForEachShape([&](size_t elements, size_t weight_offset, size_t grad_offset) {
      CAPTURE(elements, weight_offset, grad_offset);
      const std::vector<T> weight = RandomNumbers<T>(random, elements);
      std::vector<T> grad = RandomNumbers<T>(random, elements);
      std::vector<std::vector<T>> states;
      std::vector<Placed<T>> placed_states;
      std::vector<void*> state_arrays, placed_arrays;
      Placed<T> placed_weight(weight, weight_offset);
      Placed<T> placed_grad(grad, grad_offset);
      for (size_t k = 0; k < kStates; ++k) {
        states.push_back(RandomNumbers<T>(random, elements));
        if (!states_below_zero) {
          for (T& x : states.back()) x = std::abs(x);
        }
        placed_states.emplace_back(states[k], (weight_offset + 5 * (k + 1)) % 64);
      }
      for (auto& state : states) state_arrays.push_back(state.data());
      for (auto& state : placed_states) placed_arrays.push_back(state.data());
      reference(weight.data(), state_arrays.data(), grad.data(), elements);
      kernel(placed_weight.data(), placed_arrays.data(), placed_grad.data(), elements);
      REQUIRE(FirstDifference(placed_grad.values(), grad) == -1);
      bool beside_untouched = FirstDifference(placed_weight.values(), weight) == -1 &&
                              placed_weight.GuardsIntact() && placed_grad.GuardsIntact();
      for (size_t k = 0; k < kStates; ++k) {
        REQUIRE(FirstDifference(placed_states[k].values(), states[k]) == -1);
        beside_untouched = beside_untouched && placed_states[k].GuardsIntact();
      }
      REQUIRE(beside_untouched);
    });
  });
}

}  // namespace

TEMPLATE_TEST_CASE("add-scaled has the scalar's bits on every target", "[kernels]", float, double) {
  CheckUpdate<TestType, 0>(
      true,
      [](const void* w, void* const*, void* g, size_t n) {
        AddScaled(DTypeOf<TestType>(), 0.3, w, g, n);
      },
      [](const void* w, void* const*, void* g, size_t n) {
        scalar::AddScaled<TestType>(TestType(0.3), w, g, n);
      });
}

TEMPLATE_TEST_CASE("sgd has the scalar's bits on every target", "[kernels]", float, double) {
  for (const SgdNumbers& numbers : Variants<SgdNumbers>()) {
    CAPTURE(numbers.wd, numbers.clip, numbers.mxnet1);
    const scalar::SgdConstants<TestType> constants(numbers);
    CheckUpdate<TestType, 0>(
        true,
        [&](const void* w, void* const*, void* g, size_t n) {
          Sgd(DTypeOf<TestType>(), numbers, w, g, n);
        },
        [&](const void* w, void* const*, void* g, size_t n) {
          scalar::Sgd<TestType>(constants, w, g, n);
        });
  }
}

TEMPLATE_TEST_CASE("sgd with momentum has the scalar's bits on every target", "[kernels]", float,
                   double) {
  for (SgdNumbers numbers : Variants<SgdNumbers>()) {
    numbers.momentum = 0.85;
    CAPTURE(numbers.wd, numbers.clip, numbers.mxnet1);
    const scalar::SgdConstants<TestType> constants(numbers);
    CheckUpdate<TestType, 1>(
        true,
        [&](const void* w, void* const* m, void* g, size_t n) {
          SgdMomentum(DTypeOf<TestType>(), numbers, w, m[0], g, n);
        },
        [&](const void* w, void* const* m, void* g, size_t n) {
          scalar::SgdMomentum<TestType>(constants, w, m[0], g, n);
        });
  }
}

TEMPLATE_TEST_CASE("adagrad has the scalar's bits on every target", "[kernels]", float, double) {
  for (const AdagradNumbers& numbers : Variants<AdagradNumbers>()) {
    CAPTURE(numbers.wd, numbers.clip, numbers.mxnet1);
    const scalar::AdagradConstants<TestType> constants(numbers);
    CheckUpdate<TestType, 1>(
        false,
        [&](const void* w, void* const* h, void* g, size_t n) {
          Adagrad(DTypeOf<TestType>(), numbers, w, h[0], g, n);
        },
        [&](const void* w, void* const* h, void* g, size_t n) {
          scalar::Adagrad<TestType>(constants, w, h[0], g, n);
        });
  }
}

TEMPLATE_TEST_CASE("adam has the scalar's bits on every target", "[kernels]", float, double) {
  for (const AdamNumbers& numbers : Variants<AdamNumbers>()) {
    CAPTURE(numbers.wd, numbers.clip, numbers.mxnet1);
    const scalar::AdamConstants<TestType> constants(numbers);
    CheckUpdate<TestType, 2>(
        false,
        [&](const void* w, void* const* s, void* g, size_t n) {
          Adam(DTypeOf<TestType>(), numbers, w, s[0], s[1], g, n);
        },
        [&](const void* w, void* const* s, void* g, size_t n) {
          scalar::Adam<TestType>(constants, w, s[0], s[1], g, n);
        });
  }
}

TEMPLATE_TEST_CASE("ftrl has the scalar's bits on every target", "[kernels]", float, double) {
  for (const FtrlNumbers& numbers : Variants<FtrlNumbers>()) {
    CAPTURE(numbers.wd, numbers.clip);
    const scalar::FtrlConstants<TestType> constants(numbers);
    CheckUpdate<TestType, 2>(
        false,
        [&](const void* w, void* const* s, void* g, size_t n) {
          Ftrl(DTypeOf<TestType>(), numbers, w, s[0], s[1], g, n);
        },
        [&](const void* w, void* const* s, void* g, size_t n) {
          scalar::Ftrl<TestType>(constants, w, s[0], s[1], g, n);
        });
  }
}

TEST_CASE("a clipped NaN stays a NaN on every target", "[kernels]") {
  SgdNumbers numbers;
  numbers.clip = true;
  numbers.clip_gradient = 1;
  ForEachTarget([&] {
    const std::vector<float> weight(19, 1.0f);
    std::vector<float> grad(19, std::numeric_limits<float>::quiet_NaN());
    Sgd(DType::kFloat32, numbers, weight.data(), grad.data(), grad.size());
    for (const float w : grad) REQUIRE(std::isnan(w));
  });
}

TEST_CASE("a NaN in ftrl's sum is not taken for a small one", "[kernels]") {
  ForEachTarget([] {
    const std::vector<float> weight(19, 1.0f);
    std::vector<float> z(19), n(19);
    std::vector<float> grad(19, std::numeric_limits<float>::quiet_NaN());
    Ftrl(DType::kFloat32, FtrlNumbers(), weight.data(), z.data(), n.data(), grad.data(), 19);
    for (const float w : grad) REQUIRE(std::isnan(w));
  });
}

TEST_CASE("how an array is cut does not change a bit", "[kernels]") {
  // Parts, frames and slices cut arrays anywhere; each element must come out the same in a vector
  // and in the remainder.
  CAPTURE(kSeed);
  std::mt19937_64 random(kSeed);
  constexpr size_t kElements = 1009;
  SgdNumbers numbers;
  numbers.learning_rate = 0.3;
  numbers.wd = 0.01;
  numbers.momentum = 0.85;
  const std::vector<float> weight = RandomNumbers<float>(random, kElements);
  const std::vector<float> mom = RandomNumbers<float>(random, kElements);
  const std::vector<float> grad = RandomNumbers<float>(random, kElements);
  std::vector<float> whole_mom = mom, whole = grad;
  SgdMomentum(DType::kFloat32, numbers, weight.data(), whole_mom.data(), whole.data(), kElements);
  for (int trial = 0; trial < 50; ++trial) {
    CAPTURE(trial);
    std::vector<float> cut_mom = mom, cut = grad;
    for (size_t at = 0; at < kElements;) {
      const size_t n = std::min<size_t>(1 + random() % 80, kElements - at);
      SgdMomentum(DType::kFloat32, numbers, weight.data() + at, cut_mom.data() + at,
                  cut.data() + at, n);
      at += n;
    }
    REQUIRE(FirstDifference(cut, whole) == -1);
    REQUIRE(FirstDifference(cut_mom, whole_mom) == -1);
  }
}

}  // namespace kvstore
