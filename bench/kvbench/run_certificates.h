// RunCertificates: mutual TLS between the processes of one run, by an authority that lives as long.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace kvstore::bench {

class RunCertificates {
 public:
  // Makes a temporary folder and names it in KVSTORE_TLS_DIR, which the processes of the run take
  // over. To be called before this process has threads. Errors: what the system or OpenSSL says.
  static absl::StatusOr<std::unique_ptr<RunCertificates>> Make();
  ~RunCertificates();
  RunCertificates(const RunCertificates&) = delete;
  RunCertificates& operator=(const RunCertificates&) = delete;

 private:
  explicit RunCertificates(std::string folder) : folder_(std::move(folder)) {}
  const std::string folder_;
};

}  // namespace kvstore::bench
