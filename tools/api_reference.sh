#!/usr/bin/env bash
# Makes the API reference out of the public headers, with Doxygen (Debian's package doxygen): HTML in
# build/api/html. What a header does not document is an error.
#
#   tools/api_reference.sh [FOLDER]     FOLDER in the place of build/api
set -euo pipefail
folder=$(realpath -m -- "${1:-$(dirname "$0")/../build/api}")
cd "$(dirname "$0")/.."
command -v doxygen >/dev/null || {
  echo "api_reference.sh: doxygen expected, none is here; run 'apt-get install -y doxygen' first" >&2
  exit 77
}
mkdir -p "$folder"
{ cat docs/api/Doxyfile; echo "OUTPUT_DIRECTORY = \"$folder\""; } | doxygen -
echo "api reference: $folder/html/index.html"
