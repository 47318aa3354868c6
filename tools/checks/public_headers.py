"""Checks the installed headers: each compiles alone as C++17, with warnings as errors, and includes
nothing but <kvstore/...> and the C++ standard library.

    public_headers.py INCLUDE_DIR COMPILER
"""

import pathlib
import re
import subprocess
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
STANDARD = re.compile(r"^[a-z_]+$")  # <vector>; every C++ header is a word without a suffix


def check(include_dir, compiler):
    problems = []
    headers = sorted(include_dir.rglob("*.h"))
    if not headers:
        problems.append(f"{include_dir}: no header found")
    for header in headers:
        name = header.relative_to(include_dir).as_posix()
        for number, line in enumerate(header.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            include = match.group(1)
            if not (include.startswith("kvstore/") or STANDARD.match(include)):
                problems.append(f"{name}:{number}: includes {include}; users have only the C++ "
                                "standard library and <kvstore/...>")
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "alone.cc"
            source.write_text(f"#include <{name}>\n#include <{name}>\nint main() {{}}\n")
            run = subprocess.run(
                [compiler, "-std=c++17", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                 f"-I{include_dir}", str(source)],
                capture_output=True, text=True, check=False)
        if run.returncode != 0:
            problems.append(f"{name}: does not compile alone:\n{run.stderr}")
    return problems


def main():
    problems = check(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2])
    for problem in problems:
        print(problem)
    print(f"public headers: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
