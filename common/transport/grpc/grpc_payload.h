// Payload <-> grpc::ByteBuffer without copying the bytes.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include "common/wire/payload.h"

namespace kvstore {

// The payload's slices refer to gRPC's read buffers and keep them. Empties `bytes`.
Payload TakePayload(grpc::ByteBuffer* bytes);

// gRPC drops the slices' owners when it no longer needs the bytes, from any thread. Slices of at
// most 64 bytes (frame headers, padding) and those without an owner are copied.
grpc::ByteBuffer ToByteBuffer(const Payload& payload);

}  // namespace kvstore
