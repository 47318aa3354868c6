#include "common/transport/grpc/grpc_credentials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/status_macros.h"
#include "common/base/whole_file.h"

namespace kvstore {
namespace {

namespace tls = grpc::experimental;

constexpr unsigned kLookSeconds = 1;  // gRPC's least

std::string TextOf(const grpc::string_ref& text) { return {text.data(), text.size()}; }

// Looks at the role of a daemon's certificate, where others look at the host's name.
class DaemonVerifier final : public tls::ExternalCertificateVerifier {
 public:
  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* status) override {
    std::vector<std::string> uris;
    for (const grpc::string_ref& uri : request->uri_names()) uris.push_back(TextOf(uri));
    const auto daemon = IdentityOf(TextOf(request->common_name()), uris);
    if (!daemon.ok()) {
      *status = {grpc::StatusCode::UNAUTHENTICATED, std::string(daemon.status().message())};
    } else if ((daemon->roles & kServerPeer) == 0) {
      *status = {grpc::StatusCode::UNAUTHENTICATED,
                 fmt::format("the certificate of a server expected, that of '{}' is of: {}",
                             daemon->name, RoleNames(daemon->roles))};
    }
    return true;  // at once
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}
};

}  // namespace

std::shared_ptr<grpc::ChannelCredentials> ClientCredentials(const TlsSource* source) {
  if (source == nullptr) return grpc::InsecureChannelCredentials();
  const std::shared_ptr<const TlsFiles> files = source->Current();
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<tls::StaticDataCertificateProvider>(
      files->authority, std::vector<tls::IdentityKeyCertPair>{{files->key, files->certificate}}));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_verify_server_certs(true);
  options.set_check_call_host(false);
  options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<DaemonVerifier>());
  return tls::TlsCredentials(options);
}

// A file without a name, whose bytes are replaced as a whole: whoever opens path() reads what was
// there before or what is there now.
class ServerCredentials::MemoryFile {
 public:
  static absl::StatusOr<std::unique_ptr<MemoryFile>> Make(std::string_view bytes) {
    KVS_ASSIGN_OR_RETURN(const int fd, Filled(bytes));
    return std::unique_ptr<MemoryFile>(new MemoryFile(fd));
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return fmt::format("/proc/self/fd/{}", fd_); }
  absl::Status Replace(std::string_view bytes) {
    KVS_ASSIGN_OR_RETURN(const int fd, Filled(bytes));
    const Descriptor closed(fd);
    if (::dup3(fd, fd_, O_CLOEXEC) < 0) return SystemError("cannot replace", path(), errno);
    return absl::OkStatus();
  }

 private:
  explicit MemoryFile(int fd) : fd_(fd) {}
  static absl::StatusOr<int> Filled(std::string_view bytes) {
    const int fd = ::memfd_create("kvstore-tls", MFD_CLOEXEC);
    if (fd < 0) return SystemError("cannot make", "a file in memory", errno);
    if (absl::Status status = WriteAll(fd, bytes, "a file in memory"); !status.ok()) {
      ::close(fd);
      return status;
    }
    return fd;
  }

  const int fd_;
};

absl::StatusOr<std::unique_ptr<ServerCredentials>> ServerCredentials::Make(
    std::shared_ptr<TlsSource> source) {
  const std::shared_ptr<const TlsFiles> files = source->Current();
  KVS_ASSIGN_OR_RETURN(auto own, MemoryFile::Make(files->key + files->certificate));
  KVS_ASSIGN_OR_RETURN(auto authority, MemoryFile::Make(files->authority));
  return std::unique_ptr<ServerCredentials>(
      new ServerCredentials(std::move(source), std::move(own), std::move(authority)));
}

ServerCredentials::ServerCredentials(std::shared_ptr<TlsSource> source,
                                     std::unique_ptr<MemoryFile> own,
                                     std::unique_ptr<MemoryFile> authority)
    : source_(std::move(source)), own_(std::move(own)), authority_(std::move(authority)) {
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      own_->path(), own_->path(), authority_->path(), kLookSeconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  options.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
  credentials_ = tls::TlsServerCredentials(options);
  source_->SetListener([this](const TlsFiles& files) {
    absl::Status status = authority_->Replace(files.authority);
    if (status.ok()) status = own_->Replace(files.key + files.certificate);
    if (!status.ok()) spdlog::warn("new TLS files: {}", std::string(status.message()));
  });
}

ServerCredentials::~ServerCredentials() {
  source_->SetListener(nullptr);
  credentials_.reset();  // gRPC stops to read
}

absl::StatusOr<Identity> CallerOf(const grpc::AuthContext& context, const std::string& method) {
  if (context.FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME).empty()) {
    return absl::UnauthenticatedError(fmt::format(
        "{}: a certificate of the cluster's authority expected, the caller has none: --tls-dir or "
        "KVSTORE_TLS_DIR of the caller names the folder with it",
        method));
  }
  std::string name;
  std::vector<std::string> uris;
  for (const grpc::string_ref& value : context.FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME)) {
    name = TextOf(value);
  }
  for (const grpc::string_ref& value : context.FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME)) {
    uris.push_back(TextOf(value));
  }
  return IdentityOf(name, uris);
}

void AllowOnlyTls13() {
  // Of TLS 1.2, and of use only to those who share a secret beforehand: nobody.
  ::setenv("GRPC_SSL_CIPHER_SUITES", "PSK-AES256-GCM-SHA384", /*overwrite=*/1);
}

}  // namespace kvstore
