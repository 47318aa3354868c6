#!/usr/bin/env python3
"""Reads a header and prints it with its comments as Doxygen wants them, so that the headers keep the
style of all our code:

- `//` lines become `///`, and a comment behind a declaration `///<` (`/*`: `/**` and `/**<`);
- a comment above several declarations without a blank line between them, such as two overloads, is
  about all of them that have none of their own: they become a group (DISTRIBUTE_GROUP_DOC);
- the first comment of a file is about the file.

  header_filter.py HEADER
"""
import re
import sys

COMMENT = re.compile(r"^(\s*)//(?!/)(.*)$")
BEHIND = re.compile(r"^(\s*[^\s/].*?[;,{}(]|\s*k\w+)(\s+)//(?!/)\s*(.*)$")


def with_comments(line):
    if found := COMMENT.match(line):
        return f"{found[1]}///{found[2]}"
    if found := BEHIND.match(line):
        return f"{found[1]}{found[2]}///< {found[3]}"
    line = re.sub(r"^(\s*)/\*(?!\*)", r"\1/**", line)
    return re.sub(r"(\S\s+)/\*(?!\*)", r"\1/**<", line)


def is_group(lines):
    """Whether a paragraph begins with a comment, goes on with declarations and closes what it opens."""
    code = [line for line in lines if not re.match(r"^\s*(//|/\*|\*)", line)]
    depth = sum(line.count("{") - line.count("}") for line in code)
    begins = re.match(r"^\s*(//|/\*)", lines[0]) is not None
    scope = any(re.match(r"^\s*(class|struct|enum|namespace|public:|private:|protected:|#)", line)
                for line in code)
    return begins and code and depth == 0 and not scope


def filtered(text):
    out = []
    for number, paragraph in enumerate(re.split(r"\n\n", text)):
        lines = paragraph.splitlines()
        group = lines and is_group(lines)
        made = [with_comments(line) for line in lines]
        if number == 0 and made and made[0].startswith("///"):
            made.insert(0, "/// @file")
        elif number == 0 and made and made[0].startswith("/**"):
            made[0] = "/** @file\n" + made[0][3:]
        out.append("\n".join((["///@{"] if group else []) + made + (["///@}"] if group else [])))
    return "\n\n".join(out) + "\n"


if __name__ == "__main__":
    sys.stdout.write(filtered(open(sys.argv[1], encoding="utf-8").read()))
