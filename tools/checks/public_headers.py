"""Checks the installed headers: each compiles alone as C++17, with warnings as errors, and includes
nothing but <kvstore/...> and the C++ standard library. Those that are for C compile as C99, too, and
include nothing but its standard library.

    public_headers.py INCLUDE_DIR COMPILER
"""

import pathlib
import re
import subprocess
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
STANDARD = re.compile(r"^[a-z_]+$")  # <vector>; every C++ header is a word without a suffix
C_STANDARD = re.compile(r"^std(def|int)\.h$")
C_HEADERS = {"kvstore/updater_plugin.h"}


def compile_alone(name, include_dir, command):
    """What the compiler says about a source with nothing but the header, twice; "" if it is fine."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "alone.cc"
        source.write_text(f"#include <{name}>\n#include <{name}>\nint main(void) {{ return 0; }}\n")
        run = subprocess.run(
            [*command, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
             f"-I{include_dir}", str(source)], capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else run.stderr


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
            standard = C_STANDARD if name in C_HEADERS else STANDARD
            if not (standard.match(include) or
                    (include.startswith("kvstore/") and name not in C_HEADERS)):
                language = "C" if name in C_HEADERS else "C++"
                problems.append(f"{name}:{number}: includes {include}; users have only the {language} "
                                "standard library and <kvstore/...>")
        commands = [[compiler, "-std=c++17"]]
        if name in C_HEADERS:
            commands.append([compiler, "-x", "c", "-std=c99"])
        for command in commands:
            if (said := compile_alone(name, include_dir, command)):
                problems.append(f"{name}: does not compile alone ({command[-1]}):\n{said}")
    return problems


def main():
    problems = check(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2])
    for problem in problems:
        print(problem)
    print(f"public headers: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
