// TlsFolders: an authority of the test's own, and folders with certificates that it signed.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/tls/certificate_maker.h"
#include "tests/support/folder.h"

namespace kvstore::testing {

inline int64_t UnixSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

inline CertificateRequest RequestFor(const std::string& name, std::vector<std::string> uris) {
  return {name, std::move(uris), UnixSeconds() - 3600, UnixSeconds() + 3600};
}

class TlsFolders {
 public:
  explicit TlsFolders(const std::string& authority = "test authority")
      : authority_(Made(MakeAuthority(RequestFor(authority, {})))) {}

  const CertificateAndKey& authority() const { return authority_; }
  CertificateAndKey Sign(const CertificateRequest& request) const {
    return Made(MakeCertificate(authority_, request));
  }
  std::string Path(const std::string& name) const { return folder_.File(name); }
  // Writes what a process needs into the folder `name`, in the place of what is there.
  std::string Write(const std::string& name, const CertificateRequest& request) const {
    const absl::Status status = WriteTlsFiles(Path(name), Sign(request), authority_.certificate);
    if (!status.ok()) throw std::runtime_error(std::string(status.message()));
    return Path(name);
  }
  // With roles as identity.h has them: "server", "worker/rank/3".
  std::string For(const std::string& name, const std::vector<std::string>& roles) const {
    std::vector<std::string> uris;
    for (const std::string& role : roles) uris.push_back("kvstore://" + role);
    return Write(name, RequestFor(name, uris));
  }

 private:
  static CertificateAndKey Made(const absl::StatusOr<CertificateAndKey>& made) {
    if (!made.ok()) throw std::runtime_error(std::string(made.status().message()));
    return *made;
  }
  const Folder folder_;
  const CertificateAndKey authority_;
};

}  // namespace kvstore::testing
