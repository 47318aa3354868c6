"""Checks that what is written down once stays so: names that both ends must agree on, and choices
that are made in one file.

    one_place.py ROOT

ONE_PLACE below is the whole rule. Tests may write a name out: they are a second opinion.
"""

import pathlib
import re
import sys

# What is looked for in a line of code -> where alone it may stand, and what to use instead.
ONE_PLACE = [
    (re.compile(r'"/kvstore\.v1\.'), ("common/transport/methods.h",),
     "the RPCs' names are constants of common/transport/methods.h"),
    (re.compile(r"\bGrpcTransport\b"), ("common/transport/grpc/", "common/transport/factory/"),
     "MakeTransport (common/transport/factory) makes the transport"),
    # NO_COLOR is everybody's. kvctl and kvbench start processes, and set what they read.
    (re.compile(r"\bgetenv\b"), ("common/config/", "cli/printer.cc"),
     "Config (common/config) reads what can be set about a process"),
    (re.compile(r'"(KVSTORE|DMLC|PS|MXNET)_[A-Z0-9_]+"'), ("common/config/", "cli/", "bench/kvbench/"),
     "a setting is a row of common/config/setting_table.cc, with its variables"),
]

FOLDERS = ("common", "server", "client", "cli", "bench", "examples")


def code_of(line):
    """The line without its comment (a // inside of a string does not occur in front of a rule's)."""
    return re.sub(r"(^|\s)//.*", "", line)


def check(root):
    problems = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix not in (".h", ".cc") or name.split("/")[0] not in FOLDERS:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for pattern, places, instead in ONE_PLACE:
                if pattern.search(code_of(line)) and not name.startswith(places):
                    problems.append(f"{name}:{number}: {line.strip()}: {instead}")
    return problems


def main():
    problems = check(pathlib.Path(sys.argv[1]).resolve())
    for problem in problems:
        print(problem)
    print(f"one place: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
