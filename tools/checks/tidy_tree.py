"""Checks every text file of the tree: none too long to have one idea, none long without saying why,
no path of one machine, no trailing blanks in code.

    tidy_tree.py ROOT
"""

import pathlib
import re
import sys

LINES_MAX = 600
# A longer file of the product says in a comment on its first lines: "Over 450 lines: ..."
LINES_WITHOUT_REASON_MAX = 450
PRODUCT = {"bench", "cli", "client", "common", "examples", "server"}
REASON = f"Over {LINES_WITHOUT_REASON_MAX} lines: "
CODE = {".h", ".cc", ".cu", ".cuh", ".c", ".py", ".sh", ".cmake", ".proto"}
TEXT = CODE | {".md", ".txt", ".json", ".in", ".yaml", ".yml", ".service"}
SKIPPED = {"build", ".git", ".cache", "__pycache__"}
# Home folders and work folders of whoever wrote the file. (Written so that it does not find itself.)
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:work|root|home)/[A-Za-z0-9_.]+")


def files(root):
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not SKIPPED.intersection(parts):
            if path.suffix in TEXT or parts[0] == ".ci":
                yield path


def check(root):
    problems = []
    for path in files(root):
        name = path.relative_to(root).as_posix()
        lines = path.read_text().splitlines()
        is_code = path.suffix in CODE or path.name == "CMakeLists.txt"
        if is_code and len(lines) > LINES_MAX:
            problems.append(f"{name}: {len(lines)} lines, at most {LINES_MAX}; which two things is it?")
        elif (is_code and name.split("/")[0] in PRODUCT and len(lines) > LINES_WITHOUT_REASON_MAX
              and not any(REASON in line for line in lines[:10])):
            problems.append(f"{name}: {len(lines)} lines; over {LINES_WITHOUT_REASON_MAX} its top "
                            f'says why ("{REASON}...")')
        for number, line in enumerate(lines, 1):
            match = MACHINE_PATH.search(line)
            if match:
                problems.append(f"{name}:{number}: path of one machine: {match.group(0)}")
            if is_code and line != line.rstrip():
                problems.append(f"{name}:{number}: blanks at the end of the line")
    return problems


def main():
    problems = check(pathlib.Path(sys.argv[1]).resolve())
    for problem in problems:
        print(problem)
    print(f"tidy tree: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
