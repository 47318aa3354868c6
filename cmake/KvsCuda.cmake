# The plugin for NVIDIA's GPUs is built where there is an nvcc: the one that KVS_NVCC or CUDACXX names,
# that tools/install_packages.sh --cuda has fetched into build/cuda-toolkit, of PATH, or of
# /usr/local/cuda. One line says what was found, or what is left out.
#
# nvcc compiles single files to objects here and nothing else; the host's compiler links them. So no
# other target knows of CUDA, and the layout of NVIDIA's packages on PyPI, which has no lib64, is no
# matter.
#
#   kvs_cuda_objects(objects SRCS cuda_plugin.cc)  -> the paths of what nvcc makes of them
#
# KVS_CUDA_FOUND says whether there is one; KVS_CUDART is its runtime, a static archive.

set(KVS_CUDA "AUTO" CACHE STRING "the plugin for GPUs: AUTO builds it where there is an nvcc, ON insists, OFF does not")
# What runs on every GPU since 2018, by the driver's own compiler where it is not the one named. A
# release: 75-real;80-real;86-real;89-real;90-real;100-real;120.
set(KVS_CUDA_ARCHITECTURES "75-virtual;90-real" CACHE STRING
  "GPUs that the plugin is compiled for: numbers, with -real the code alone, with -virtual what drivers compile")
set(KVS_CUDA_TOOLKIT "${PROJECT_SOURCE_DIR}/build/cuda-toolkit/nvidia/cu13")

function(kvs_find_cuda)
  set(KVS_CUDA_FOUND FALSE PARENT_SCOPE)
  set(why "")
  if(KVS_CUDA STREQUAL "OFF")
    set(why "KVS_CUDA is OFF")
  elseif(KVS_SANITIZE OR KVS_COVERAGE OR KVS_BUILD_FUZZERS)
    set(why "this build is for the host's sanitizers, coverage or fuzzers")
  else()
    if(KVS_NVCC AND NOT EXISTS "${KVS_NVCC}")  # that of an earlier run is gone
      unset(KVS_NVCC CACHE)
    endif()
    find_program(KVS_NVCC nvcc
      HINTS ENV CUDACXX "${KVS_CUDA_TOOLKIT}/bin" PATHS /usr/local/cuda/bin
      DOC "NVIDIA's compiler")
    if(NOT KVS_NVCC)
      set(why "no nvcc; tools/install_packages.sh --cuda fetches one")
    else()
      file(REAL_PATH "${KVS_NVCC}" nvcc)
      cmake_path(GET nvcc PARENT_PATH bin)
      cmake_path(GET bin PARENT_PATH root)
      unset(KVS_CUDART CACHE)  # it goes with its nvcc
      find_library(KVS_CUDART NAMES libcudart_static.a
        PATHS "${root}/lib64" "${root}/lib" "${root}/targets/x86_64-linux/lib" NO_DEFAULT_PATH
        DOC "its runtime, a static archive")
      kvs_try_nvcc(why)
    endif()
  endif()
  if(why STREQUAL "")
    message(STATUS "CUDA: libkvstore_cuda.so for ${KVS_CUDA_ARCHITECTURES}, with ${KVS_NVCC}")
    set(KVS_CUDA_FOUND TRUE PARENT_SCOPE)
  elseif(KVS_CUDA STREQUAL "ON")
    message(FATAL_ERROR "CUDA: an nvcc 12 or later that compiles and its static runtime expected: ${why}")
  else()
    message(STATUS "CUDA: skipped: the plugin for GPUs and its tests (${why})")
  endif()
endfunction()

# Whether that nvcc compiles with this host's compiler, which it may be too old for. `why`: what is wrong.
function(kvs_try_nvcc why)
  if(NOT KVS_CUDART)
    set(${why} "no libcudart_static.a beside ${KVS_NVCC}" PARENT_SCOPE)
    return()
  endif()
  if(NOT KVS_NVCC_WORKS STREQUAL KVS_NVCC)
    set(folder "${PROJECT_BINARY_DIR}/CMakeFiles/kvs_try_nvcc")
    file(WRITE "${folder}/try.cu"
      "#include <cuda_runtime.h>\n#include <algorithm>\n#if CUDART_VERSION < 12000\n#error \"CUDA 12 or later expected\"\n#endif\n"
      "__global__ void Set(const __grid_constant__ int x, int* y) { *y = std::max(x, 1); }\n")
    execute_process(
      COMMAND "${KVS_NVCC}" -ccbin "${CMAKE_CXX_COMPILER}" -std=c++17 --expt-relaxed-constexpr
              -gencode "arch=compute_90,code=sm_90" -c try.cu -o try.o
      WORKING_DIRECTORY "${folder}" RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(NOT result EQUAL 0)
      file(WRITE "${folder}/try.log" "${said}")
      set(${why} "${KVS_NVCC} does not compile: ${folder}/try.log" PARENT_SCOPE)
      return()
    endif()
    set(KVS_NVCC_WORKS "${KVS_NVCC}" CACHE INTERNAL "the nvcc that was tried")
  endif()
endfunction()

kvs_find_cuda()
if(NOT KVS_CUDA_FOUND)
  return()
endif()

# -fmad=false is the host's -ffp-contract=off: the same bits (docs/consistency.md).
set(KVS_NVCC_FLAGS -x cu -std=c++17 -O3 -fmad=false -ccbin "${CMAKE_CXX_COMPILER}"
  "-I${PROJECT_SOURCE_DIR}" "-I${PROJECT_SOURCE_DIR}/client/include"
  -Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra,-Wshadow,-Wconversion,-Wno-sign-conversion)
if(KVS_WERROR)
  list(APPEND KVS_NVCC_FLAGS -Werror all-warnings -Xcompiler=-Werror)
endif()
foreach(architecture IN LISTS KVS_CUDA_ARCHITECTURES)
  string(REGEX MATCH "^[0-9]+" number "${architecture}")
  set(code "[compute_${number},sm_${number}]")
  if(architecture MATCHES "-real$")
    set(code "sm_${number}")
  elseif(architecture MATCHES "-virtual$")
    set(code "compute_${number}")
  endif()
  list(APPEND KVS_NVCC_FLAGS -gencode "arch=compute_${number},code=${code}")
endforeach()

function(kvs_cuda_objects objects)
  cmake_parse_arguments(ARG "" "" "SRCS" ${ARGN})
  set(made)
  foreach(source IN LISTS ARG_SRCS)
    cmake_path(GET source FILENAME name)
    set(object "${CMAKE_CURRENT_BINARY_DIR}/${name}.cuda.o")
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
    add_custom_command(
      OUTPUT "${object}"
      COMMAND ${KVS_CCACHE} "${KVS_NVCC}" ${KVS_NVCC_FLAGS} -MD -MF "${object}.d" -c "${source}" -o "${object}"
      DEPENDS "${source}" DEPFILE "${object}.d"
      COMMENT "Compiling ${name} for GPUs" VERBATIM)
    set_source_files_properties("${object}" PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
    list(APPEND made "${object}")
  endforeach()
  set(${objects} ${made} PARENT_SCOPE)
endfunction()
