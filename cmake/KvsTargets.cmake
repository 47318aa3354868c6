# Five functions make every target of the tree.
#
#   kvs_library(wire SRCS payload.cc utf8.cc DEPS kvstore_base)  -> static library kvstore_wire
#   kvs_executable(kvstored SRCS kvstored_main.cc DEPS kvstore_daemon)
#   kvs_test(wire_test SRCS frame_test.cc DEPS kvstore_wire [LABELS core] [ARGS ...] [TIMEOUT s])
#   kvs_fuzzer(fuzz_frame_decoder SRCS fuzz_frame_decoder.cc DEPS kvstore_wire CORPUS <folder>
#              [RUNS n])
#   kvs_script_test(include_arrows COMMAND ${KVS_PYTHON} ... [LABELS repo] [TIMEOUT s])
#
# A kvs_test links the Catch2 main of tests/support and is registered with ctest as one test per
# executable. The label `core` marks the tests that run under the sanitizers too: those in which no
# gRPC takes part; `not_tsan` those of them of which ThreadSanitizer would learn nothing, because they
# have one thread, or the threads of other tests that run under it. The target `core_tests` builds
# what is `core` and nothing else, `tsan_tests` those of it that are not `not_tsan`; `fuzzers` builds
# the fuzzers; `product` builds everything but the tests; `cuda` the plugin for GPUs and the tests
# labelled `cuda`, which need nothing else of the tree's clients and servers.

add_custom_target(product)
add_custom_target(core_tests)
add_custom_target(tsan_tests)
add_custom_target(fuzzers)
add_custom_target(cuda)

# The system's Python first: it has the packages that tools/install_packages.sh installs, another
# one earlier in PATH may not.
find_program(KVS_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(KVS_PYTHON python3)

function(kvs_add_to_product target)
  file(RELATIVE_PATH folder "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  if(NOT folder MATCHES "^tests/")
    add_dependencies(product ${target})
  endif()
endfunction()

function(kvs_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  if(ARG_SRCS)
    add_library(kvstore_${name} STATIC ${ARG_SRCS})
    target_link_libraries(kvstore_${name} PUBLIC kvs_flags ${ARG_DEPS})
    kvs_add_to_product(kvstore_${name})
  else()
    add_library(kvstore_${name} INTERFACE)
    target_link_libraries(kvstore_${name} INTERFACE kvs_flags ${ARG_DEPS})
  endif()
endfunction()

function(kvs_executable name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE kvs_flags ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  kvs_add_to_product(${name})
endfunction()

function(kvs_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SRCS;DEPS;LABELS;ARGS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 900)  # under TSan, on a busy machine
  endif()
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE kvs_flags kvstore_catch_main ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  if("core" IN_LIST ARG_LABELS)
    add_dependencies(core_tests ${name})
    if(NOT "not_tsan" IN_LIST ARG_LABELS)
      add_dependencies(tsan_tests ${name})
    endif()
  endif()
  if("cuda" IN_LIST ARG_LABELS)
    add_dependencies(cuda ${name})
  endif()
endfunction()

# Built only with KVS_BUILD_FUZZERS. The test is a bounded run over the corpus (label `fuzz`), which
# never writes into the source tree; a longer search is run by hand with the same executable.
function(kvs_fuzzer name)
  if(NOT KVS_BUILD_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "CORPUS;RUNS" "SRCS;DEPS" ${ARGN})
  if(NOT ARG_RUNS)
    set(ARG_RUNS 200000)
  endif()
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE kvs_flags ${ARG_DEPS} -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
  set(found "${PROJECT_BINARY_DIR}/fuzz/${name}_found")  # what a run adds to the corpus
  file(MAKE_DIRECTORY "${found}")
  add_test(NAME ${name} COMMAND ${name} -seed=1 -runs=${ARG_RUNS} -max_total_time=120
           -artifact_prefix=${PROJECT_BINARY_DIR}/fuzz/ "${found}" "${ARG_CORPUS}")
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS fuzz)
  add_dependencies(fuzzers ${name})
endfunction()

function(kvs_script_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${ARG_COMMAND})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
