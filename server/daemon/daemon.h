// What both daemons do around their one object: logs, the announcement, the last line.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tls/tls_source.h"
#include "server/daemon/options.h"
#include "server/daemon/stop_signal.h"

namespace kvstore {

// Logs go to stderr: first what was set, and the warnings of `options`.
void SetUpLog(const std::string& name, const DaemonOptions& options);

// One line for each variable of this process that looks like ours and is not. Of the daemons only:
// in a program that serves KVStore::Create has said it.
void WarnOfUnknownVariables();

// `address` with `bound_port` where it has port 0.
std::string WithPort(const std::string& address, int bound_port);

// The files of --tls-dir, null without it; to be called before the process has threads. Errors:
// TlsSource::Open's, with where the folder was named.
absl::StatusOr<std::shared_ptr<TlsSource>> OpenTls(const DaemonOptions& options);

// Says where `name` listens: a line for programs on stdout, and for people in the log one, with a
// warning if the network can reach it without TLS.
void Announce(const std::string& name, const std::string& listen, const std::string& advertise,
              const TlsSource* tls);

// The exit code after a start that failed: kExitFailure for what Transport::Listen says of the
// address, kExitBadState for the rest, which is what the scheduler's state directory says.
int StartExitCode(const absl::Status& status);

// Logs why the process ends; returns its exit code. To be called after everything is shut down.
int SayWhy(const StopSignal::Reason& reason);

}  // namespace kvstore
