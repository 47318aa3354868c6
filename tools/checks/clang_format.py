"""Checks that every C++ file of the tree is formatted as .clang-format says.

    clang_format.py ROOT          names the files that are not, and fails
    clang_format.py ROOT --fix    formats them
"""

import pathlib
import subprocess
import sys

import source_files


def unformatted(root, names):
    """Those of `names` that clang-format would change."""
    found = []
    for name in names:
        text = (root / name).read_bytes()
        run = subprocess.run(["clang-format", "--style=file", f"--assume-filename={root / name}"],
                             input=text, capture_output=True, check=True)
        if run.stdout != text:
            found.append(name)
    return found


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    names = source_files.all_files(root)
    found = unformatted(root, names)
    if "--fix" in sys.argv[2:]:
        for name in found:
            subprocess.run(["clang-format", "-i", "--style=file", root / name], check=True)
    for name in found:
        print(f"{name}: not as clang-format writes it")
    print(f"clang-format: {len(names)} files, {len(found)} differ")
    return 1 if found and "--fix" not in sys.argv[2:] else 0


if __name__ == "__main__":
    sys.exit(main())
