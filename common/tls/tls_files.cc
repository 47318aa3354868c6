#include "common/tls/tls_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <ctime>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/status_macros.h"
#include "common/base/whole_file.h"
#include "common/tls/openssl.h"

namespace kvstore {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;

std::string PathOf(const std::string& folder, const char* file) { return folder + "/" + file; }

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  struct stat file = {};
  if (::stat(path.c_str(), &file) != 0) return SystemError("cannot read", path, errno);
  if (file.st_size > static_cast<off_t>(kFileBytesMax)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: at most {} bytes expected, it has {}", path, kFileBytesMax, file.st_size));
  }
  std::string text;
  KVS_RETURN_IF_ERROR(ReadWholeFile(path, [&text](size_t bytes) {
    text.resize(bytes);
    return reinterpret_cast<uint8_t*>(text.data());
  }));
  return text;
}

absl::Status CheckKeyIsPrivate(const std::string& path) {
  struct stat file = {};
  if (::stat(path.c_str(), &file) != 0) return SystemError("cannot read", path, errno);
  if ((file.st_mode & (S_IRWXO | S_IWGRP)) == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(
      fmt::format("{}: mode 0600 or 0640 expected, so that others cannot read the key, got {:#o}",
                  path, file.st_mode & 0777));
}

absl::StatusOr<std::vector<openssl::Certificate>> Certificates(const std::string& path,
                                                               const std::string& text) {
  std::vector<openssl::Certificate> certificates = openssl::CertificatesOf(text);
  if (certificates.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a certificate in PEM expected, there is none that can be read", path));
  }
  return certificates;
}

int64_t Seconds(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return timegm(&parts);
}

}  // namespace

std::string UtcTime(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts = {};
  if (gmtime_r(&time, &parts) == nullptr) return std::to_string(seconds);
  char text[40];
  const size_t size = std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return {text, size};
}

absl::StatusOr<TlsFiles> ReadTlsFiles(const std::string& folder) {
  const std::string certificate_path = PathOf(folder, kCertificateFile);
  const std::string key_path = PathOf(folder, kKeyFile);
  const std::string authority_path = PathOf(folder, kAuthorityFile);
  TlsFiles files;
  KVS_ASSIGN_OR_RETURN(files.certificate, ReadFile(certificate_path));
  KVS_ASSIGN_OR_RETURN(files.key, ReadFile(key_path));
  KVS_ASSIGN_OR_RETURN(files.authority, ReadFile(authority_path));
  KVS_RETURN_IF_ERROR(CheckKeyIsPrivate(key_path));

  KVS_ASSIGN_OR_RETURN(const auto certificates, Certificates(certificate_path, files.certificate));
  KVS_RETURN_IF_ERROR(Certificates(authority_path, files.authority).status());
  const X509* const own = certificates[0].get();
  const openssl::Key key = openssl::KeyOf(files.key);
  if (key == nullptr) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: a key in PEM without a passphrase expected, there is none that can be read",
        key_path));
  }
  if (X509_check_private_key(own, key.get()) != 1) {
    const std::string why = openssl::TakeError();
    return absl::InvalidArgumentError(fmt::format(
        "{}: the key of {} expected, it is another one ({})", key_path, certificate_path, why));
  }
  KVS_ASSIGN_OR_RETURN(files.identity, IdentityOf(openssl::CommonName(own), openssl::UrisOf(own)));
  files.issuer = openssl::IssuerName(own);
  files.not_before_s = Seconds(X509_get0_notBefore(own));
  files.not_after_s = Seconds(X509_get0_notAfter(own));
  return files;
}

absl::Status CheckTlsFiles(const std::string& folder, const TlsFiles& files) {
  const auto own = openssl::CertificatesOf(files.certificate);
  const auto trusted = openssl::CertificatesOf(files.authority);
  const openssl::Store store(X509_STORE_new());
  const openssl::StoreContext context(X509_STORE_CTX_new());
  STACK_OF(X509)* const between = sk_X509_new_null();
  for (const openssl::Certificate& one : trusted) X509_STORE_add_cert(store.get(), one.get());
  for (size_t i = 1; i < own.size(); ++i) sk_X509_push(between, own[i].get());
  absl::Status status;
  if (own.empty() || X509_STORE_CTX_init(context.get(), store.get(), own[0].get(), between) != 1) {
    status = absl::InternalError(fmt::format("{}: {}", folder, openssl::TakeError()));
  } else if (X509_verify_cert(context.get()) != 1) {
    const int error = X509_STORE_CTX_get_error(context.get());
    const X509* const at = X509_STORE_CTX_get_current_cert(context.get());
    status = absl::FailedPreconditionError(fmt::format(
        "{}: the certificate of '{}', valid from {} to {}, is not one that {} vouches for now: {}",
        PathOf(folder, kCertificateFile), files.identity.name, UtcTime(files.not_before_s),
        UtcTime(files.not_after_s), kAuthorityFile, X509_verify_cert_error_string(error)));
    if (at != nullptr && at != own[0].get()) {
      status = absl::FailedPreconditionError(fmt::format("{} (of the certificate of '{}')",
                                                         std::string(status.message()),
                                                         openssl::CommonName(at)));
    }
  }
  sk_X509_free(between);
  return status;
}

}  // namespace kvstore
