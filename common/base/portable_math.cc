#include "common/base/portable_math.h"

#include <cmath>

namespace kvstore {
namespace {

constexpr double kLn2 = 0.69314718055994531;

// e^y of y <= 0: with y = z 2^n and z above -1/2, the series of e^z, squared n times. Each squaring
// doubles the relative error: 11 of them, for the least y that is not 0 below, make 2^-52 to 2^-41;
// a base^exponent that is above 2^-64 needs at most 7.
double Exponential(double y) {
  if (y < -745.2) return 0;  // below half of the smallest number
  int squarings = 0;
  while (y < -0.5) {
    y /= 2;
    ++squarings;
  }
  double sum = 1;
  for (int n = 18; n >= 1; --n) sum = 1 + sum * y / n;
  for (; squarings > 0; --squarings) sum *= sum;
  return sum;
}

}  // namespace

double Power(double base, uint64_t exponent) {
  double power = 1;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) power *= base;
    base *= base;
  }
  return power;
}

double Power(double base, double exponent) {
  constexpr double kWholeMax = 0x1p53;
  const double whole = exponent < kWholeMax ? std::floor(exponent) : kWholeMax;
  const double power = Power(base, static_cast<uint64_t>(whole));
  const double rest = exponent < kWholeMax ? exponent - whole : 0;
  // A power of 0 stays 0, and its logarithm is none.
  if (rest == 0 || base == 0) return base == 0 ? 0 : power;
  return power * Exponential(rest * Logarithm(base));
}

// With x = 2^e m and m from sqrt(1/2) to sqrt(2): e ln 2 + 2 artanh((m - 1) / (m + 1)), whose
// series ends below 2^-56 of it.
double Logarithm(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752) {
    m = 2 * m;
    exponent -= 1;
  }
  const double s = (m - 1) / (m + 1);
  const double square = s * s;
  double sum = 0;
  for (int n = 23; n >= 1; n -= 2) sum = sum * square + 1.0 / n;
  return exponent * kLn2 + 2 * (s * sum);
}

// The series of the cosine up to x = 1/2, where its terms fall below 2^-60 within 12; from there on
// cos(pi x) = -cos(pi (1 - x)).
double CosineOfPi(double x) {
  constexpr double kPi = 3.14159265358979323846;
  const bool mirrored = x > 0.5;
  const double angle = kPi * (mirrored ? 1 - x : x);
  const double square = angle * angle;
  double sum = 1;
  for (int n = 24; n >= 2; n -= 2) sum = 1 - sum * square / (n * (n - 1));
  return mirrored ? -sum : sum;
}

}  // namespace kvstore
