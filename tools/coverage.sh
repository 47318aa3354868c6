#!/usr/bin/env bash
# How much of the product the tests run: builds the preset `coverage`, runs its tests (all but the
# long simulations, the checks of the repository, and integration_formula, which takes too long
# unoptimised), and prints one line:
#
#   coverage: lines N % (covered of all): common N %, server N %, client N %
#
#   tools/coverage.sh [CTEST OPTIONS...]      e.g. -L core: the tests of the sanitizers only
#
# A process that is killed leaves no counts: what only dying daemons do is not seen.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install_packages.sh --ci
cmake --preset coverage >/dev/null
cmake --build --preset coverage
find build/coverage -name '*.gcda' -delete
failed=no
# Nothing is optimised here: what takes seconds elsewhere takes a minute.
KVS_TEST_DEADLINE_S=${KVS_TEST_DEADLINE_S:-300} ctest --preset coverage --parallel "$(nproc)" \
  --exclude-regex '^integration_formula$' "$@" || failed=yes

gcovr --root . --object-directory build/coverage --filter 'common/' --filter 'server/' \
  --filter 'client/' --exclude-unreachable-branches --gcov-ignore-parse-errors \
  --json-summary build/coverage/summary.json --html build/coverage/coverage.html
python3 - build/coverage/summary.json <<'PYTHON'
import json
import sys

counts = {}
with open(sys.argv[1], encoding="utf-8") as file:
    for each in json.load(file)["files"]:
        for name in ("all", each["filename"].split("/")[0]):
            covered, total = counts.get(name, (0, 0))
            counts[name] = (covered + each["line_covered"], total + each["line_total"])


def percent(name):
    covered, total = counts.get(name, (0, 0))
    return f"{100 * covered / max(total, 1):.1f} %"


covered, total = counts["all"]
print(f"coverage: lines {percent('all')} ({covered} of {total}): " +
      ", ".join(f"{name} {percent(name)}" for name in ("common", "server", "client")))
PYTHON
echo "file by file: build/coverage/coverage.html"
[[ $failed == no ]] || { echo "coverage.sh: tests failed" >&2; exit 1; }
