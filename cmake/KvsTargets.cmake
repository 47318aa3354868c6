# Three functions make every target of the tree.
#
#   kvs_library(wire SRCS frame.cc payload.cc DEPS kvstore_base)  -> static library kvstore_wire
#   kvs_executable(kvstored SRCS kvstored_main.cc DEPS kvstore_daemon)
#   kvs_test(wire_test SRCS frame_test.cc DEPS kvstore_wire [LABELS core])
#
# A kvs_test links the Catch2 main of tests/support and is registered with ctest as one test per
# executable. The label `core` marks the tests that run under ThreadSanitizer too: those in which
# no gRPC takes part.

function(kvs_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  if(ARG_SRCS)
    add_library(kvstore_${name} STATIC ${ARG_SRCS})
    target_link_libraries(kvstore_${name} PUBLIC kvs_flags ${ARG_DEPS})
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
endfunction()

function(kvs_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SRCS;DEPS;LABELS;ARGS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE kvs_flags kvstore_catch_main ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# While the tree grows: a folder joins the build when it has a CMakeLists.txt.
macro(kvs_subdirectory folder)
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt")
    add_subdirectory(${folder})
  endif()
endmacro()
