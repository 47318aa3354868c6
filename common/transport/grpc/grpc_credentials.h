// gRPC's credentials: none, or mutual TLS from the files of a TlsSource.
#pragma once

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/tls/identity.h"
#include "common/tls/tls_source.h"

namespace kvstore {

// For one connection to a daemon, with the files that are in force now (a null `source`: without
// encryption). The daemon's certificate must be a server's, of the authority.
std::shared_ptr<grpc::ChannelCredentials> ClientCredentials(const TlsSource* source);

// What a listener asks of those who connect. Those without a certificate get as far as their first
// call, so that they are told what is missing; those with one that the authority did not sign, or
// that is not valid now, fail to connect. New files are in force for connections that come two
// seconds after the source has them, and later.
class ServerCredentials {
 public:
  // Errors: SystemError: no file in memory can be made.
  static absl::StatusOr<std::unique_ptr<ServerCredentials>> Make(std::shared_ptr<TlsSource> source);
  ~ServerCredentials();
  ServerCredentials(const ServerCredentials&) = delete;
  ServerCredentials& operator=(const ServerCredentials&) = delete;

  const std::shared_ptr<grpc::ServerCredentials>& get() const { return credentials_; }

 private:
  class MemoryFile;
  ServerCredentials(std::shared_ptr<TlsSource> source, std::unique_ptr<MemoryFile> own,
                    std::unique_ptr<MemoryFile> authority);

  const std::shared_ptr<TlsSource> source_;
  // What gRPC reads again and again: certificate and key in one, so that they are of each other.
  const std::unique_ptr<MemoryFile> own_;
  const std::unique_ptr<MemoryFile> authority_;
  std::shared_ptr<grpc::ServerCredentials> credentials_;
};

// Who calls `method`, over TLS. Errors: UNAUTHENTICATED: without a certificate, or IdentityOf's.
absl::StatusOr<Identity> CallerOf(const grpc::AuthContext& context, const std::string& method);

// gRPC takes TLS 1.2, too, and has no switch for it. This leaves it none of that version's ciphers.
// To be called before the process has threads that look at the environment, and before anything of
// gRPC is used; for processes that listen.
void AllowOnlyTls13();

}  // namespace kvstore
