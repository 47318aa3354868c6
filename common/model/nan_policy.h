// NanPolicy: what becomes of a push that brings numbers which are not finite. A job has one policy:
// the SDK's stores take it from their setting nan-policy, servers from theirs, and an Init says it,
// so that a server refuses the keys of a worker whose policy is another.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvstore {

// Numbers as in types.proto; one that is not in this list is refused as any other policy that is
// not the server's.
enum class NanPolicy : uint32_t {
  kAllow = 0,   // nothing is looked at
  kWarn = 1,    // it is counted and logged
  kReject = 2,  // the push is refused, INVALID_ARGUMENT
  kZero = 3,    // each such number counts as 0
};

constexpr std::string_view NanPolicyName(NanPolicy policy) {
  switch (policy) {
    case NanPolicy::kAllow:
      return "allow";
    case NanPolicy::kWarn:
      return "warn";
    case NanPolicy::kReject:
      return "reject";
    case NanPolicy::kZero:
      return "zero";
  }
  return "policy?";
}

// Nothing for a word that is none.
constexpr std::optional<NanPolicy> NanPolicyOf(std::string_view name) {
  for (const NanPolicy policy :
       {NanPolicy::kAllow, NanPolicy::kWarn, NanPolicy::kReject, NanPolicy::kZero}) {
    if (NanPolicyName(policy) == name) return policy;
  }
  return std::nullopt;
}

}  // namespace kvstore
