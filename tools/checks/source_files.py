"""Which C++ files the tree has, and which of them changed: for clang_format.py and clang_tidy.py."""

import re
import subprocess

SUFFIXES = (".h", ".cc")
SKIPPED = {"build", ".git", ".cache"}
# On the trunk itself there is no branch to compare: so many of its last commits are looked at.
TRUNK_COMMITS = 20


def git(root, *arguments):
    """The output of a git command in `root`; None if it fails, or there is no git or repository."""
    try:
        run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True,
                             check=False)
    except FileNotFoundError:
        return None
    return run.stdout if run.returncode == 0 else None


def all_files(root):
    """All C++ files: those that git tracks; without git, those that lie there."""
    tracked = git(root, "ls-files", "-z", "--", "*.h", "*.cc")
    if tracked is not None:
        return sorted(name for name in tracked.split("\0") if name and (root / name).exists())
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*")
                  if path.suffix in SUFFIXES and not SKIPPED & set(path.relative_to(root).parts))


def base_of(root):
    """The commit that HEAD is compared with, and why it is that one. None: there is no history.

    On a branch: where it left the trunk. On the trunk: its last commits, as many as the clone has.
    """
    head = git(root, "rev-parse", "HEAD")
    if head is None:
        return None, "no history"
    for trunk in ("origin/main", "main"):
        base = git(root, "merge-base", trunk, "HEAD")
        if base is not None and base != head:
            return base.strip(), f"since the branch left {trunk}"
    commits = git(root, "rev-list", "--first-parent", f"--max-count={TRUNK_COMMITS + 1}", "HEAD")
    commits = commits.split()
    if len(commits) == 1:
        return None, "one commit is all history"
    return commits[-1], f"of the last {len(commits) - 1} commits"


def changed_files(root, base):
    """C++ files that differ from `base`, in the working tree too; the latest commit's first."""
    order = {}
    working = git(root, "diff", "--name-only", "HEAD") or ""
    log = git(root, "log", "--format=", "--name-only", f"{base}..HEAD") or ""
    for name in working.splitlines() + log.splitlines():
        if name.endswith(SUFFIXES) and (root / name).exists():
            order.setdefault(name)
    return list(order)


HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")


def changed_lines(diff):
    """Of a diff without context (git diff -U0): file -> the numbers of the lines that are new."""
    lines = {}
    name = None
    for line in diff.splitlines():
        if line.startswith("+++ "):
            name = line[4:].removeprefix("b/")
        elif hunk := HUNK.match(line):
            first, count = int(hunk.group(1)), int(hunk.group(2) or 1)
            lines.setdefault(name, set()).update(range(first, first + count))
    return lines


INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def units_of(changed, sources):
    """The .cc files by which changed files are looked at, in the order of `changed`.

    `sources`: path -> text of all .cc files. A header goes with the .cc of its name; without one,
    with the first file that includes it; without that it is left out.
    """
    units = {}
    for name in changed:
        if name.endswith(".cc"):
            units.setdefault(name)
            continue
        own = name[:-2] + ".cc"
        if own in sources:
            units.setdefault(own)
            continue
        included_as = {name, name.removeprefix("client/include/")}
        for path in sorted(sources):
            if included_as & set(INCLUDE.findall(sources[path])):
                units.setdefault(path)
                break
    return list(units)
