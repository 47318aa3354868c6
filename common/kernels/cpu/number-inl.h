// What formulas are written in, compiled once per instruction set: a number (float, double) or a
// vector of them, with the same operations. Each is rounded once, correctly, so that a lane of a
// vector gets the bits of a number. There is no multiply-add, and there must be none.
//
// Included between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE of each instruction set, hence no
// #pragma once.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "common/kernels/cpu/scalar.h"
#include "common/kernels/cpu/simd-inl.h"

#if defined(KVS_NUMBER_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KVS_NUMBER_INL_H
#undef KVS_NUMBER_INL_H
#else
#define KVS_NUMBER_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace kvstore::HWY_NAMESPACE {
namespace {

// As many T as a vector of the instruction set has.
template <typename T>
struct Vector {
  using D = hn::ScalableTag<T>;

  HWY_INLINE explicit Vector(double number) : lanes(hn::Set(D(), static_cast<T>(number))) {}
  HWY_INLINE explicit Vector(hn::Vec<D> vector) : lanes(vector) {}

  hn::Vec<D> lanes;
};

// Where a comparison of vectors holds. A comparison with a NaN never does.
template <typename T>
struct Places {
  hn::Mask<hn::ScalableTag<T>> lanes;
};

template <typename T>
HWY_INLINE Vector<T> operator+(Vector<T> a, Vector<T> b) {
  return Vector<T>(hn::Add(a.lanes, b.lanes));
}
template <typename T>
HWY_INLINE Vector<T> operator-(Vector<T> a, Vector<T> b) {
  return Vector<T>(hn::Sub(a.lanes, b.lanes));
}
template <typename T>
HWY_INLINE Vector<T> operator*(Vector<T> a, Vector<T> b) {
  return Vector<T>(hn::Mul(a.lanes, b.lanes));
}
template <typename T>
HWY_INLINE Vector<T> operator/(Vector<T> a, Vector<T> b) {
  return Vector<T>(hn::Div(a.lanes, b.lanes));
}
template <typename T>
HWY_INLINE Vector<T> operator-(Vector<T> a) {
  return Vector<T>(hn::Neg(a.lanes));
}
template <typename T>
HWY_INLINE Places<T> operator>(Vector<T> a, Vector<T> b) {
  return {hn::Gt(a.lanes, b.lanes)};
}
template <typename T>
HWY_INLINE Places<T> operator<(Vector<T> a, Vector<T> b) {
  return {hn::Lt(a.lanes, b.lanes)};
}
template <typename T>
HWY_INLINE Places<T> operator<=(Vector<T> a, Vector<T> b) {
  return {hn::Le(a.lanes, b.lanes)};
}

// `a` where `where` holds, else `b`. Both are computed; min and max are written with it, because
// the instructions of those names differ in what they make of a NaN.
template <typename T>
HWY_INLINE Vector<T> Select(Places<T> where, Vector<T> a, Vector<T> b) {
  return Vector<T>(hn::IfThenElse(where.lanes, a.lanes, b.lanes));
}
template <typename T>
HWY_INLINE T Select(bool where, T a, T b) {
  return where ? a : b;
}

template <typename T>
HWY_INLINE Vector<T> Sqrt(Vector<T> a) {
  return Vector<T>(hn::Sqrt(a.lanes));
}
template <typename T>
HWY_INLINE T Sqrt(T a) {
  return std::sqrt(a);
}

template <typename T>
HWY_INLINE Vector<T> Abs(Vector<T> a) {
  return Vector<T>(hn::Abs(a.lanes));
}
template <typename T>
HWY_INLINE T Abs(T a) {
  return std::abs(a);
}

// `magnitude`, which is not negative, with the sign of `sign`, a zero's too.
template <typename T>
HWY_INLINE Vector<T> WithSignOf(Vector<T> sign, Vector<T> magnitude) {
  return Vector<T>(hn::CopySign(magnitude.lanes, sign.lanes));
}
template <typename T>
HWY_INLINE T WithSignOf(T sign, T magnitude) {
  return std::copysign(magnitude, sign);
}

// Real, from element `i` of an array on; the array may start at any byte.
template <typename Real>
struct Memory {
  using T = Real;
  static HWY_INLINE Real Load(const void* array, size_t i) { return scalar::Get<T>(array, i); }
  static HWY_INLINE void Store(Real number, void* array, size_t i) {
    scalar::Put<T>(array, i, number);
  }
  static HWY_INLINE size_t Lanes() { return 1; }
};
template <typename Lane>
struct Memory<Vector<Lane>> {
  using T = Lane;
  using D = hn::ScalableTag<T>;
  static HWY_INLINE Vector<T> Load(const void* array, size_t i) {
    return Vector<T>(Get(D(), static_cast<const uint8_t*>(array) + i * sizeof(T)));
  }
  static HWY_INLINE void Store(Vector<T> vector, void* array, size_t i) {
    Put(D(), vector.lanes, static_cast<uint8_t*>(array) + i * sizeof(T));
  }
  static HWY_INLINE size_t Lanes() { return hn::Lanes(D()); }
};

}  // namespace
}  // namespace kvstore::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggle
