// Headroom: addresses that a server leaves free for what cannot be refused, such as gRPC's own
// memory, whose want ends the process. A request whose size its sender chose is refused before it
// takes them.
//
// It is the system that must have the room (`ulimit -v`, strict overcommit): a container's limit
// ends a process when it writes, not when it asks, and is what the budget of values is for.
#pragma once

#include <cstddef>

namespace kvstore {

inline constexpr size_t kHeadroomBytes = size_t{128} << 20;

// From now on there is a headroom in this process: for one with a server in it.
void KeepHeadroom();

// To be called before `bytes` are taken that may add up to much: rows, sums of rows, small values,
// of the C library's allocator; the states of an optimizer, wherever they will lie. Throws
// std::bad_alloc when the headroom would not be left. Nearly free: the system is asked once per
// megabyte and thread. A single block of PagePool needs no such question: the pool keeps the
// headroom itself.
// Thread-safe.
void LeaveHeadroom(size_t bytes);

}  // namespace kvstore
