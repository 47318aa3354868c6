// TlsFiles: what one process needs for mutual TLS, read from a folder and found to be right.
//
//   cert.pem   its certificate, and those between it and the authority, if there are any
//   key.pem    the certificate's key; nobody but the owner and the group may read it
//   ca.pem     the authority: whose signature the certificates of all others must have
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/tls/identity.h"

namespace kvstore {

inline constexpr char kCertificateFile[] = "cert.pem";
inline constexpr char kKeyFile[] = "key.pem";
inline constexpr char kAuthorityFile[] = "ca.pem";

struct TlsFiles {
  // As text, in PEM.
  std::string certificate;
  std::string key;
  std::string authority;
  Identity identity;
  std::string issuer;        // who signed the certificate
  int64_t not_before_s = 0;  // since 1970
  int64_t not_after_s = 0;
};

// Reads without judging whether the certificate is valid now. Errors name the file, what was
// expected, and what came: NOT_FOUND, PERMISSION_DENIED (others may read the key, too),
// INVALID_ARGUMENT (no PEM of that kind; a key of another certificate),
// UNAUTHENTICATED (IdentityOf).
absl::StatusOr<TlsFiles> ReadTlsFiles(const std::string& folder);

// Whether the authority vouches for the certificate now. Errors: FAILED_PRECONDITION says why not:
// expired, not yet valid, signed by somebody else.
absl::Status CheckTlsFiles(const std::string& folder, const TlsFiles& files);

// "2026-11-30 12:00:00 UTC".
std::string UtcTime(int64_t seconds);

}  // namespace kvstore
