#include "bench/kvbench/run_certificates.h"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "bench/kvbench/local_cluster.h"
#include "common/base/status_macros.h"
#include "common/tls/certificate_maker.h"

namespace kvstore::bench {

absl::StatusOr<std::unique_ptr<RunCertificates>> RunCertificates::Make() {
  KVS_ASSIGN_OR_RETURN(const std::string folder, TemporaryFolder());
  std::unique_ptr<RunCertificates> made(new RunCertificates(folder));
  const int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  CertificateRequest request{"kvbench", {}, now - 3600, now + int64_t{7} * 24 * 3600};
  KVS_ASSIGN_OR_RETURN(const CertificateAndKey authority, MakeAuthority(request));
  request.uris = {"kvstore://worker", "kvstore://server", "kvstore://admin"};
  KVS_ASSIGN_OR_RETURN(const CertificateAndKey own, MakeCertificate(authority, request));
  KVS_RETURN_IF_ERROR(WriteTlsFiles(folder, own, authority.certificate));
  ::setenv("KVSTORE_TLS_DIR", folder.c_str(), /*overwrite=*/1);
  return made;
}

RunCertificates::~RunCertificates() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace kvstore::bench
