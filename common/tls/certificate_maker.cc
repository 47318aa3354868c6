#include "common/tls/certificate_maker.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "common/base/status_macros.h"
#include "common/base/whole_file.h"
#include "common/tls/openssl.h"
#include "common/tls/tls_files.h"

namespace kvstore {
namespace {

using openssl::Bio;
using openssl::Certificate;
using openssl::Key;

absl::Status Failed(const char* what) {
  return absl::InternalError(fmt::format("{}: {}", what, openssl::TakeError()));
}

std::string TextOf(const Bio& bio) {
  char* bytes = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &bytes);
  return {bytes, static_cast<size_t>(size)};
}

absl::StatusOr<CertificateAndKey> AsPem(const X509* certificate, const Key& key) {
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  const Bio key_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_text.get(), certificate) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return Failed("writing a certificate");
  }
  return CertificateAndKey{TextOf(certificate_text), TextOf(key_text)};
}

absl::Status Extend(X509* certificate, const X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, const_cast<X509*>(issuer), certificate, nullptr, nullptr, 0);
  const openssl::Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return Failed("extending a certificate");
  }
  return absl::OkStatus();
}

bool IsAddress(const std::string& host) {
  unsigned char bytes[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

// What an authority and its certificates have in common. Not signed yet; a null `issuer` is the
// certificate itself.
absl::StatusOr<Certificate> MakeUnsigned(const CertificateRequest& request, const Key& key,
                                         const X509* issuer) {
  Certificate certificate(X509_new());
  X509* const x509 = certificate.get();
  X509_NAME* const name = X509_get_subject_name(x509);
  // 63 random bits: the number of a certificate is one of its authority's, and positive.
  uint64_t serial = 0;
  bool ok = X509_set_version(x509, X509_VERSION_3) == 1 &&
            RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1 &&
            ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1) == 1;
  ok = ok && ASN1_TIME_set(X509_getm_notBefore(x509), request.not_before_s) != nullptr &&
       ASN1_TIME_set(X509_getm_notAfter(x509), request.not_after_s) != nullptr;
  ok = ok && X509_set_pubkey(x509, key.get()) == 1 &&
       X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                  reinterpret_cast<const unsigned char*>(request.name.data()),
                                  static_cast<int>(request.name.size()), -1, 0) == 1;
  if (issuer == nullptr) issuer = x509;
  ok = ok && X509_set_issuer_name(x509, X509_get_subject_name(issuer)) == 1;
  if (!ok) return Failed("making a certificate");
  KVS_RETURN_IF_ERROR(Extend(x509, issuer, NID_subject_key_identifier, "hash"));
  return certificate;
}

Key MakeKey() { return Key(EVP_EC_gen("P-256")); }

absl::StatusOr<CertificateAndKey> Sign(const Certificate& certificate, const Key& own,
                                       const Key& signing) {
  if (X509_sign(certificate.get(), signing.get(), EVP_sha256()) == 0) {
    return Failed("signing a certificate");
  }
  return AsPem(certificate.get(), own);
}

}  // namespace

absl::StatusOr<CertificateAndKey> MakeAuthority(const CertificateRequest& request) {
  const Key key = MakeKey();
  if (key == nullptr) return Failed("making a key");
  KVS_ASSIGN_OR_RETURN(const Certificate certificate, MakeUnsigned(request, key, nullptr));
  X509* const x509 = certificate.get();
  KVS_RETURN_IF_ERROR(Extend(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  KVS_RETURN_IF_ERROR(Extend(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign"));
  return Sign(certificate, key, key);
}

absl::StatusOr<CertificateAndKey> MakeCertificate(const CertificateAndKey& authority,
                                                  const CertificateRequest& request) {
  const auto issuers = openssl::CertificatesOf(authority.certificate);
  const Key signing = openssl::KeyOf(authority.key);
  if (issuers.empty() || signing == nullptr ||
      X509_check_private_key(issuers[0].get(), signing.get()) != 1) {
    openssl::TakeError();
    return absl::InvalidArgumentError(
        "an authority's certificate and its key in PEM expected, they cannot be read or are not of "
        "each other");
  }
  const Key key = MakeKey();
  if (key == nullptr) return Failed("making a key");
  const X509* const issuer = issuers[0].get();
  KVS_ASSIGN_OR_RETURN(const Certificate certificate, MakeUnsigned(request, key, issuer));
  X509* const x509 = certificate.get();
  KVS_RETURN_IF_ERROR(Extend(x509, issuer, NID_authority_key_identifier, "keyid"));
  KVS_RETURN_IF_ERROR(Extend(x509, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  KVS_RETURN_IF_ERROR(Extend(x509, issuer, NID_key_usage, "critical,digitalSignature"));
  KVS_RETURN_IF_ERROR(Extend(x509, issuer, NID_ext_key_usage, "serverAuth,clientAuth"));
  std::vector<std::string> names;
  for (const std::string& uri : request.uris) names.push_back("URI:" + uri);
  for (const std::string& host : request.hosts) {
    names.push_back((IsAddress(host) ? "IP:" : "DNS:") + host);
  }
  if (!names.empty()) {
    KVS_RETURN_IF_ERROR(
        Extend(x509, issuer, NID_subject_alt_name, fmt::format("{}", fmt::join(names, ","))));
  }
  return Sign(certificate, key, signing);
}

absl::Status WriteTlsFiles(const std::string& folder, const CertificateAndKey& own,
                           const std::string& authority) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return SystemError("cannot make", folder, error.value());
  // The certificate last: a process that looks meanwhile sees files that do not belong together,
  // keeps those it has, and looks again.
  KVS_RETURN_IF_ERROR(WriteWholeFile(folder + "/" + kAuthorityFile, {authority}, 0644));
  KVS_RETURN_IF_ERROR(WriteWholeFile(folder + "/" + kKeyFile, {own.key}, kKeyMode));
  return WriteWholeFile(folder + "/" + kCertificateFile, {own.certificate}, 0644);
}

}  // namespace kvstore
