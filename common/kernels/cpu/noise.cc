#include "common/kernels/noise.h"

#include <cmath>

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/portable_math.h"
#include "common/kernels/cpu/scalar.h"
#include "common/kernels/updates.h"

namespace kvstore {
namespace {

// The quotient of two polynomials, coefficients of the constant terms first.
double Rational(const double (&up)[8], const double (&down)[8], double x) {
  double above = up[7], below = down[7];
  for (int i = 6; i >= 0; --i) {
    above = above * x + up[i];
    below = below * x + down[i];
  }
  return above / below;
}

// The number that a normal one is below with probability u, 0 < u < 1.
double NormalQuantile(double u) {
  // Near the middle.
  constexpr double kA[] = {3.3871328727963666080e0, 1.3314166789178437745e2,
                           1.9715909503065514427e3, 1.3731693765509461125e4,
                           4.5921953931549871457e4, 6.7265770927008700853e4,
                           3.3430575583588128105e4, 2.5090809287301226727e3};
  constexpr double kB[] = {1,
                           4.2313330701600911252e1,
                           6.8718700749205790830e2,
                           5.3941960214247511077e3,
                           2.1213794301586595867e4,
                           3.9307895800092710610e4,
                           2.8729085735721942674e4,
                           5.2264952788528545610e3};
  // Further out, and far out.
  constexpr double kC[] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                           5.76949722146069140550e0,  3.64784832476320460504e0,
                           1.27045825245236838258e0,  2.41780725177450611770e-1,
                           2.27238449892691845833e-2, 7.74545014278341407640e-4};
  constexpr double kD[] = {1,
                           2.05319162663775882187e0,
                           1.67638483018380384940e0,
                           6.89767334985100004550e-1,
                           1.48103976427480074590e-1,
                           1.51986665636164571966e-2,
                           5.47593808499534494600e-4,
                           1.05075007164441684324e-9};
  constexpr double kE[] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                           1.78482653991729133580e0,  2.96560571828504891230e-1,
                           2.65321895265761230930e-2, 1.24266094738807843860e-3,
                           2.71155556874348757815e-5, 2.01033439929228813265e-7};
  constexpr double kF[] = {1,
                           5.99832206555887937690e-1,
                           1.36929880922735805310e-1,
                           1.48753612908506148525e-2,
                           7.86869131145613259100e-4,
                           1.84631831751005468180e-5,
                           1.42151175831644588870e-7,
                           2.04426310338993978564e-15};
  const double q = u - 0.5;
  if (std::abs(q) <= 0.425) return q * Rational(kA, kB, 0.180625 - q * q);
  const double r = std::sqrt(-Logarithm(q < 0 ? u : 1 - u));
  const double z = r <= 5 ? Rational(kC, kD, r - 1.6) : Rational(kE, kF, r - 5);
  return q < 0 ? -z : z;
}

uint64_t HashOf(const NoiseStream& stream) {
  return Mix64(Mix64(Mix64(stream.seed) ^ stream.key) ^ stream.update);
}

// The number u of an index, 0 < u < 1.
double Fraction(uint64_t stream_hash, uint64_t index) {
  return (static_cast<double>(Mix64(stream_hash ^ index) >> 12) + 0.5) * 0x1p-52;
}

template <typename T>
void NormalNoiseOf(const NoiseStream& stream, uint64_t first, double sigma, void* out,
                   size_t elements) {
  const uint64_t hash = HashOf(stream);
  for (size_t i = 0; i < elements; ++i) {
    scalar::Put<T>(out, i, static_cast<T>(sigma * NormalQuantile(Fraction(hash, first + i))));
  }
}

}  // namespace

void NormalNoise(DType dtype, const NoiseStream& stream, uint64_t first, double sigma, void* out,
                 size_t elements) {
  KVS_CHECK(UpdatesCompute(dtype));
  dtype == DType::kFloat32 ? NormalNoiseOf<float>(stream, first, sigma, out, elements)
                           : NormalNoiseOf<double>(stream, first, sigma, out, elements);
}

void UniformNoise(const NoiseStream& stream, uint64_t first, double low, double high, double* out,
                  size_t elements) {
  const uint64_t hash = HashOf(stream);
  for (size_t i = 0; i < elements; ++i) out[i] = low + Fraction(hash, first + i) * (high - low);
}

}  // namespace kvstore
