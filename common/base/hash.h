// The two hashes that are part of the protocol: every client and server must compute the same.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvstore {

// A bijection of 64-bit numbers that spreads neighbours. Source: SplitMix64's finaliser
// (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
constexpr uint64_t Mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// FNV-1a over the bytes, then Mix64. Not for hostile input: a collision of two key names is
// detected at Init, never merged.
constexpr uint64_t HashBytes(std::string_view bytes) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return Mix64(h);
}

}  // namespace kvstore
