"""Runs clang-tidy on what changed, as far as the time allows, and fails if it finds something there.

    clang_tidy.py ROOT --build build/clang [--base REV | --full] [--minutes 5] [--jobs N]

Looked at are the C++ files that differ from REV: by default from where the branch left main, on
main itself from 20 commits ago; a header is looked at through a .cc file. What is found on lines
that did not change is counted, and fails nothing; without a history no line is known to have
changed, and all files are looked at. The files changed last come first. When the time is over, what
is left is named, not failed: --full --minutes 1000 looks at everything, and fails for everything.
`--build` is a configured build with compile_commands.json, whose generated headers were built.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import source_files

FINDING = re.compile(r"^(\S+?):(\d+):\d+: (?:warning|error): .*")


def choose(root, base, full):
    """The .cc files to look at, words for which these are, and the lines that changed (None: all)."""
    sources = {name: (root / name).read_text() for name in source_files.all_files(root)
               if name.endswith(".cc")}
    why = "all files"
    changed = list(source_files.all_files(root))
    lines = None
    if not full:
        if base is None:
            base, why = source_files.base_of(root)
        else:
            why = f"since {base}"
        if base is None:
            why = f"all files: {why}"
            lines = {}
        else:
            changed = source_files.changed_files(root, base)
            diff = source_files.git(root, "diff", "-U0", base, "--", "*.h", "*.cc")
            lines = source_files.changed_lines(diff)
    return source_files.units_of(changed, sources), why, lines


def look_at(root, build, name, deadline):
    """Findings in one file; None if the time was over before it ended."""
    left = deadline - time.monotonic()
    if left <= 0:
        return None
    command = ["clang-tidy", "-p", str(build), "--quiet", "--warnings-as-errors=*",
               str(root / name)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=left)
    except subprocess.TimeoutExpired:
        return None
    lines = [line for line in run.stdout.splitlines() if FINDING.match(line)]
    if run.returncode != 0 and not lines:
        lines = [f"{name}: clang-tidy failed: {run.stderr.strip()[-500:]}"]
    return [line.replace(f"{root}/", "") for line in lines]


def main():
    parser = argparse.ArgumentParser(description="clang-tidy on what changed")
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--base")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    root = options.root.resolve()
    chosen, why, changed_lines = choose(root, options.base, options.full)
    compiled = {os.path.relpath(os.path.join(entry["directory"], entry["file"]), root)
                for entry in json.loads((options.build / "compile_commands.json").read_text())}
    units = [name for name in chosen if name in compiled]
    deadline = time.monotonic() + 60 * options.minutes
    findings = {}
    elsewhere = set()
    left = [f"{name} (not compiled in {options.build})" for name in chosen if name not in compiled]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda name: look_at(root, options.build, name, deadline), units)
        for name, lines in zip(units, results):
            if lines is None:
                left.append(name)
                continue
            for line in lines:
                place = FINDING.match(line)
                if place and changed_lines is not None and int(
                        place.group(2)) not in changed_lines.get(place.group(1), ()):
                    elsewhere.add(line)
                elif line not in findings:  # a header is seen by many files
                    findings[line] = name
                    print(line, flush=True)
    for name in left:
        print(f"left out: {name}")
    print(f"clang-tidy: {len(chosen)} files ({why}), {len(left)} left out, "
          f"{len(findings)} findings, {len(elsewhere)} on lines that did not change")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
