// Makes an authority, and certificates that it signs: for people who have none of their own
// (kvctl tls), and for tests. Keys are of the curve P-256.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kvstore {

struct CertificateAndKey {
  std::string certificate;  // in PEM
  std::string key;          // in PEM, without a passphrase
};

struct CertificateRequest {
  std::string name;               // the common name
  std::vector<std::string> uris;  // identity.h
  int64_t not_before_s = 0;       // since 1970
  int64_t not_after_s = 0;
  // Names and IP addresses of the host, for clients other than ours, which look at them.
  std::vector<std::string> hosts = {};
};

// An authority that signs itself; its `uris` and `hosts` are not looked at. Errors: INTERNAL, what
// OpenSSL says.
absl::StatusOr<CertificateAndKey> MakeAuthority(const CertificateRequest& request);
// Errors: INVALID_ARGUMENT: the authority's certificate or key cannot be read; INTERNAL.
absl::StatusOr<CertificateAndKey> MakeCertificate(const CertificateAndKey& authority,
                                                  const CertificateRequest& request);

// Writes cert.pem, key.pem and ca.pem into `folder`, which is made where it is not there. A new
// key has the mode 0600, one that takes another's place that one's. Errors: SystemError
// (common/base/whole_file.h).
absl::Status WriteTlsFiles(const std::string& folder, const CertificateAndKey& own,
                           const std::string& authority);
// The mode of a new file with a key.
inline constexpr unsigned kKeyMode = 0600;

}  // namespace kvstore
