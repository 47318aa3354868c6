# Options of the build and the flags that every target shares.

option(KVS_BUILD_TESTS "build the tests" ON)
option(KVS_BUILD_MUTANTS "build the simulator's broken variants, which the tests hunt" ON)
option(KVS_BUILD_BENCH "build bench/kvbench" ON)
option(KVS_BUILD_FUZZERS "build the libFuzzer targets (clang only; the preset fuzz)" OFF)
# Every preset turns it on. Off for who builds without one: another compiler has other warnings.
option(KVS_WERROR "treat warnings as errors" OFF)
option(KVS_THREAD_SAFETY "clang's thread-safety analysis, as errors" OFF)
option(KVS_COVERAGE "count which lines run (gcc; the preset coverage)" OFF)
set(KVS_SANITIZE "" CACHE STRING "sanitizers: empty, address;undefined, or thread")

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "build type" FORCE)
endif()

find_program(KVS_CCACHE ccache)
if(KVS_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${KVS_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${KVS_CCACHE}")
endif()

add_library(kvs_flags INTERFACE)
target_include_directories(kvs_flags INTERFACE
  "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}" "${PROJECT_SOURCE_DIR}/client/include")
# No fused multiply-add: results must not depend on the CPU (docs/consistency.md).
target_compile_options(kvs_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -ffp-contract=off -fvisibility=hidden
  $<$<BOOL:${KVS_WERROR}>:-Werror>
  $<$<BOOL:${KVS_THREAD_SAFETY}>:-Wthread-safety>)
if(KVS_SANITIZE)
  # KVS_DCHECK stays on (no NDEBUG); lines are enough to read a report.
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")
  string(REPLACE ";" "," _kvs_sanitize "${KVS_SANITIZE}")
  # With the sanitizer's checks in between GCC 12 takes the storage of an empty absl::InlinedVector for
  # one that is read before it is written.
  target_compile_options(kvs_flags INTERFACE
    -fsanitize=${_kvs_sanitize} -fno-omit-frame-pointer -fno-sanitize-recover=all
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(kvs_flags INTERFACE -fsanitize=${_kvs_sanitize})
  if(KVS_SANITIZE MATCHES "thread")
    target_compile_definitions(kvs_flags INTERFACE KVS_TSAN=1)
  endif()
endif()
if(KVS_COVERAGE)
  # Shards count at the same time: the counters are atomic. Inlining would hide lines.
  target_compile_options(kvs_flags INTERFACE --coverage -fprofile-update=atomic -O1 -fno-inline)
  target_link_options(kvs_flags INTERFACE --coverage)
endif()
if(KVS_BUILD_FUZZERS)
  # Coverage for the fuzzers' search; the targets themselves add -fsanitize=fuzzer.
  target_compile_options(kvs_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(kvs_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
