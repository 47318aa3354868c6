#!/usr/bin/env bash
# The Debian 12 packages that kvstore is built and tested with: the only list of them.
#
#   tools/install_packages.sh         what quickstart.sh and run_tests.sh need
#   tools/install_packages.sh --ci    clang, its tools and runtimes, gcovr and doxygen too: for .ci/run,
#                                     tools/coverage.sh and tools/api_reference.sh
#   tools/install_packages.sh --cuda  nothing of Debian's, but NVIDIA's compiler from PyPI (100 MB), into
#                                     build/cuda-toolkit, where CMake finds it; on a machine without an
#                                     nvcc. 3: it could not be fetched
#
# As root it installs what is missing, and only that. Otherwise it prints the one line to run and
# fails. With nothing missing it is silent.
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache patch pkg-config                 # build
  libgrpc++-dev protobuf-compiler-grpc                          # RPC
  libssl-dev                                                    # certificates
  libprotobuf-dev protobuf-compiler                             # messages
  libabsl-dev libspdlog-dev libcli11-dev                        # status, logs, flags
  libhwy-dev                                                    # SIMD
  nlohmann-json3-dev                                            # headers of safetensors files
  catch2                                                        # tests
  libboost-context-dev                                          # fibers of the tests' simulated GPU
  python3 python3-numpy python3-protobuf python3-grpcio         # oracles of the tests, repo checks
  iproute2                                                      # hosts of their own, for a test
  bible-kjv-text                                                # 2.6 MB of text, for word_vectors
)
ci_packages=(clang clang-format clang-tidy libclang-rt-dev gcovr doxygen)

# Not Debian's. Versions are fixed: what was tried together. nvcc has its back end (nvvm), its headers
# (crt) and those of the runtime (cccl) in packages of their own.
cuda_wheels=(nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88
             nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85)
fetch_cuda() {
  local folder
  folder="$(cd "$(dirname "$0")/.." && pwd)/build/cuda-toolkit"
  [[ ! -x "$folder/nvidia/cu13/bin/nvcc" ]] || return 0
  if ! python3 -m pip --version >/dev/null 2>&1; then
    if [[ $(id -u) -ne 0 ]] || ! { apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-pip >/dev/null; }; then
      echo "install_packages.sh: --cuda: pip expected (Debian's python3-pip), there is none" >&2
      return 3
    fi
  fi
  rm -rf "$folder.new"
  if ! python3 -m pip install --quiet --root-user-action=ignore --no-deps --no-compile --target "$folder.new" "${cuda_wheels[@]}"; then
    rm -rf "$folder.new"
    echo "install_packages.sh: --cuda: the packages from PyPI could not be fetched" >&2
    return 3
  fi
  rm -rf "$folder"
  mv "$folder.new" "$folder"  # whole, or not there
}

case "${1:-}" in
  "") ;;
  --cuda) fetch_cuda; exit ;;
  --ci) packages+=("${ci_packages[@]}") ;;
  *) echo "install_packages.sh: --ci, --cuda or nothing expected, got '$1'" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null || true)
  [[ "$state" == *installed* && "$state" != *not-installed* ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if [[ $(id -u) -ne 0 ]]; then
  echo "Some Debian packages are missing. Install them with this line, then run again:" >&2
  echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
echo "Installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
