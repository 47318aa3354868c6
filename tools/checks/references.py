"""Checks that what docs and comments refer to is there: the stops of docs/life_of_a_push.md, links,
and the names of files and folders.

    references.py ROOT

A stop is `file:Function`: the file is there and defines a function of that name. A link of a .md
file leads to a file or folder, and to a heading if it has a #. A name of a file ("part_table.h",
"server/core/rounds.cc", `client/dist/cut.{h,cc}`), or a path that begins with a folder of the root
("tests/simulation", "docs/decisions/0007"), is one of this tree. Of a `Class::Member` whose class
occurs in the code, the member does, too. CHANGELOG.md may name what is gone. A "text in quotes" in
the tables of docs/semantics.md is the name of a TEST_CASE.
"""

import pathlib
import re
import subprocess
import sys

STOPS = "docs/life_of_a_push.md"
PROMISES = "docs/semantics.md"
TEST_CASE = re.compile(r'TEST_CASE(?:_METHOD)?\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)')
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
SKIPPED = {"build", ".git", ".cache", "__pycache__"}
# Files of others that comments cite: MXNet's, Highway's, what protoc makes.
FOREIGN = {"gradient_compression-inl.h", "optimizer.py", "optimizer_op-inl.h",
           "include/mxnet/kvstore.h", "highway.h"}
FOREIGN_FOLDERS = ("python/mxnet/",)
FOREIGN_SUFFIXES = (".pb.h", ".pb.cc")
EXTENSIONS = "h|cc|md|py|sh|proto|patch|cmake|yml|cfg"
# A dot, slash, star or bracket before it or after it: part of something longer.
FILE_NAME = re.compile(r"(?<![\w/.<>*$@~-])((?:[\w.-]+/)*[\w-]+(?:\.[\w-]+)*\.(?:\{[a-z_,.]+\}|(?:%s)))"
                       r"(?![\w/<>*]|\.\w)" % EXTENSIONS)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
STOP = re.compile(r"`([\w/.]+\.(?:h|cc)):([\w:~]+)`")
MEMBER = re.compile(r"(?<![\w:])([A-Z]\w*)::(\w+)")
WORD = re.compile(r"\w+")
COMMENT_MARKS = {".h": "//", ".cc": "//", ".proto": "//", ".py": "#", ".sh": "#", ".cmake": "#",
                 ".txt": "#", ".yml": "#", ".md": ""}


def tree(root):
    """All files: those that git tracks or would track; without git, those that lie there."""
    try:
        run = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others",
                              "--exclude-standard"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        run = None
    if run is not None and run.returncode == 0:
        names = [name for name in run.stdout.split("\0") if name and (root / name).is_file()]
    else:
        names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return sorted(name for name in names if not SKIPPED & set(pathlib.PurePath(name).parts))


def code_only(text):
    """C++ without comments and the contents of strings, so that braces and brackets pair up."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'',
                         re.DOTALL)
    return pattern.sub(lambda match: '""' if match.group(0)[0] in "\"R'" else " ", text)


def defines(code, function):
    """Whether there is a body behind NAME(...): `code` is without comments and strings."""
    for match in re.finditer(r"(?<![\w.>:~])(?:[\w<>]+::)*%s\s*(?:<[\w:, ]*>)?\(" % re.escape(function), code):
        depth, at = 1, match.end()
        while depth and at < len(code):
            depth += {"(": 1, ")": -1}.get(code[at], 0)
            at += 1
        behind = r"\s*(?:(?:const|noexcept|override|final|KVS_\w+(?:\([^()]*\))?|->\s*[\w:<>&* ]+)\s*)*\{"
        if re.match(behind, code[at:]):
            return True
    return False


def expand(name):
    """"a.{h,cc}" -> "a.h", "a.cc"."""
    braces = re.search(r"\{([^}]*)\}", name)
    if not braces:
        return [name]
    return [name[:braces.start()] + each + name[braces.end():] for each in braces.group(1).split(",")]


def anchors(text):
    """The anchors of a .md file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*?)\s*$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class References:
    def __init__(self, root):
        self.root = root
        self.files = tree(root)
        self.known = set(self.files)
        self.ends = set()      # every end of a path: "rounds.cc", "core/rounds.cc", …
        self.starts = set()    # every folder
        for name in self.files:
            parts = name.split("/")
            self.ends.update("/".join(parts[i:]) for i in range(len(parts)))
            self.starts.update("/".join(parts[:i]) for i in range(1, len(parts)))
        self.words = set()     # of the code, without comments
        for name in self.files:
            if name.endswith((".h", ".cc", ".proto")):
                self.words.update(WORD.findall(code_only((root / name).read_text())))
        tops = sorted(name for name in self.starts if "/" not in name and not name.startswith("."))
        tops.append("design")  # pages that were never part of the tree
        self.path = re.compile(r"(?<![\w/.<>*$@{}~-])((?:%s)/[\w./-]*\w)(?![\w<>*{$])"
                               % "|".join(map(re.escape, tops)))

    def is_there(self, name, folder):
        name = name.removeprefix("./")
        if name in self.ends or name in self.starts or (self.root / folder / name).exists():
            return True
        # "docs/decisions/0007", "bench/micro/rows_bench": as good as the whole name.
        return any(each.startswith((name + "-", name + ".")) for each in self.files)

    def check_line(self, where, folder, text):
        problems = []
        if "://" in text:
            text = re.sub(r"\w+://\S+", "", text)
        names = [each for found in FILE_NAME.findall(text) for each in expand(found)]
        names += [found.rstrip("./-") for found in self.path.findall(text)]
        for name in dict.fromkeys(names):
            foreign = (name in FOREIGN or name.split("/")[-1] in FOREIGN or
                       name.startswith(FOREIGN_FOLDERS))
            if foreign or name.endswith(FOREIGN_SUFFIXES) or self.is_there(name, folder):
                continue
            problems.append(f"{where}: {name} is not there")
        for owner, member in MEMBER.findall(text):
            if owner in self.words and member not in self.words:
                problems.append(f"{where}: {owner} has no {member}")
        return problems

    def check_link(self, where, folder, target):
        if "://" in target or target.startswith("mailto:"):
            return []
        path, _, anchor = target.partition("#")
        file = self.root / where.split(":")[0] if not path else self.root / folder / path
        if not file.exists():
            return [f"{where}: the link {target} leads nowhere"]
        if anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
            return [f"{where}: {target}: there is no such heading"]
        return []

    def check_stop(self, where, name, function):
        if name not in self.known:
            return [f"{where}: {name} is not there"]
        if not defines(code_only((self.root / name).read_text()), function):
            return [f"{where}: {name} does not define {function}"]
        return []

    def test_cases(self):
        """The names of all tests of C++."""
        names = set()
        for name in self.files:
            if name.endswith("_test.cc"):
                for literals in TEST_CASE.findall((self.root / name).read_text()):
                    names.add("".join(QUOTED.findall(literals)))
        return names

    def check_promises(self):
        cases = self.test_cases()
        problems = []
        for number, line in enumerate((self.root / PROMISES).read_text().splitlines(), 1):
            cells = line.split("|")
            if len(cells) < 4:
                continue
            for name in QUOTED.findall(cells[2]):
                if name not in cases:
                    problems.append(f"{PROMISES}:{number}: there is no test \"{name}\"")
        return problems

    def check(self):
        problems = self.check_promises() if PROMISES in self.known else []
        for name in self.files:
            path = self.root / name
            mark = COMMENT_MARKS.get(path.suffix)
            # The check and its test name files that are not there on purpose.
            if mark is None or name == "CHANGELOG.md" or name.startswith("tools/checks/"):
                continue
            folder = pathlib.PurePath(name).parent.as_posix()
            for number, line in enumerate(path.read_text().splitlines(), 1):
                where = f"{name}:{number}"
                if path.suffix == ".md":
                    for target in LINK.findall(line):
                        problems += self.check_link(where, folder, target)
                    if name == STOPS:
                        for file, function in STOP.findall(line):
                            problems += self.check_stop(where, file, function)
                        line = STOP.sub("", line)
                    text = line
                else:
                    comment = re.search(r"(?:^|\s)%s(.*)" % mark, line)
                    if not comment:
                        continue
                    text = comment.group(1)
                problems += self.check_line(where, folder, text)
        if STOPS in self.known and not STOP.search((self.root / STOPS).read_text()):
            problems.append(f"{STOPS}: no `file:Function` in it")
        return problems


def check(root):
    return References(root).check()


def main():
    problems = check(pathlib.Path(sys.argv[1]).resolve())
    for problem in problems:
        print(problem)
    print(f"references: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
