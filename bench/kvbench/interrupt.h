// Ctrl-C and SIGTERM: noticed, so that every child and temporary file is cleaned up on the way out.
#pragma once

namespace kvstore::bench {

// From now on SIGINT and SIGTERM set a flag and break off blocking system calls (EINTR). SIGPIPE
// is ignored: a write to a child that is gone is an error like another.
void CatchInterrupts();

bool Interrupted();

}  // namespace kvstore::bench
