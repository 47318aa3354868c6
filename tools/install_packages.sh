#!/usr/bin/env bash
# The Debian 12 packages that kvstore is built and tested with: the only list of them.
#
#   tools/install_packages.sh         what quickstart.sh and run_tests.sh need
#   tools/install_packages.sh --ci    clang, its tools and runtimes, gcovr and doxygen too: for .ci/run,
#                                     tools/coverage.sh and tools/api_reference.sh
#
# As root it installs what is missing, and only that. Otherwise it prints the one line to run and
# fails. With nothing missing it is silent.
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache patch pkg-config                 # build
  libgrpc++-dev protobuf-compiler-grpc                          # RPC
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

case "${1:-}" in
  "") ;;
  --ci) packages+=("${ci_packages[@]}") ;;
  *) echo "install_packages.sh: --ci or nothing expected, got '$1'" >&2; exit 2 ;;
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
