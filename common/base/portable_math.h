// Functions of f64 made of sums, products, quotients and comparisons alone, each rounded once, so
// that every machine and every C library gives the same bits. (libm's pow, cos and log differ from
// one version to the next in their last bits.)
#pragma once

#include <cstdint>

namespace kvstore {

// base^exponent, by squaring.
double Power(double base, uint64_t exponent);

// base^exponent for 0 <= base <= 1 and exponent > 0; the same as above for a whole exponent. Within
// 2^-45 of the result.
double Power(double base, double exponent);

// ln x of x > 0, normal. Within 2^-51 of the result or, near x = 1, of x - 1.
double Logarithm(double x);

// cos(pi x), 0 <= x <= 1. Within 2^-51.
double CosineOfPi(double x);

}  // namespace kvstore
