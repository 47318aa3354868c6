"""Checks that the includes of the tree point only along the arrows of docs/architecture.md.

    include_arrows.py ROOT

ARROWS below is the whole rule: for every folder with code, the folders it may include from (itself
is always allowed). A folder that is not in the list is an error, so a new folder is a decision.
"""

import pathlib
import re
import sys

# Folders, most specific first; the public headers are a node of their own: "sdk".
COMMON_BASE = {"common/base"}
COMMON_TENSOR = COMMON_BASE | {"common/tensor"}
COMMON_MATH = COMMON_TENSOR | {"common/kernels"}
COMMON_WIRE = COMMON_TENSOR | {"common/wire", "common/cluster", "proto"}
COMMON_TRANSPORT = COMMON_WIRE | {"common/transport"}
COMMON = COMMON_TRANSPORT | COMMON_MATH | {"common/membership", "common/updater", "common/rows"}

ARROWS = {
    "proto": set(),
    "common/base": set(),
    "common/tensor": COMMON_BASE,
    "common/kernels": COMMON_TENSOR,
    "common/updater": COMMON_MATH | {"common/cluster"},
    "common/rows": COMMON_MATH | {"common/cluster", "common/wire", "common/updater"},
    "common/cluster": COMMON_BASE | {"proto"},
    "common/wire": COMMON_TENSOR | {"common/cluster", "proto"},
    "common/transport": COMMON_WIRE,
    "common/membership": COMMON_TRANSPORT,
    "server/core": COMMON - {"common/transport", "common/membership"},
    "server/engine": COMMON | {"server/core"},
    "server/scheduler": COMMON,
    "server/service": COMMON | {"server/core", "server/engine", "server/scheduler"},
    "server/daemon": COMMON
    | {"server/core", "server/engine", "server/scheduler", "server/service"},
    # The one server folder that knows the public headers: it runs a user's updater and controller.
    "server/embedded": COMMON
    | {"server/core", "server/engine", "server/scheduler", "server/service", "server/daemon", "sdk"},
    "sdk": set(),
    "client/src": COMMON | {"sdk"},
    "cli": COMMON | {"sdk"},
    "examples": {"sdk"},
    "bench": COMMON | {"sdk"}
    | {"server/core", "server/engine", "server/scheduler", "server/service", "client/src"},
}
# The cores are pure: the shells around them have sockets and threads, they have not.
PURE = {"server/core": ["common/transport"], "client/src/core": ["common/transport"]}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def node_of(path):
    """The node of ARROWS that a path from the root belongs to; None if it is none of ours."""
    if path.startswith("client/include/"):
        return "sdk"
    best = None
    for node in ARROWS:
        if path.startswith(node + "/") and (best is None or len(node) > len(best)):
            best = node
    return best


def target_of(include):
    """The node that an include names; None for system and third-party headers."""
    if include.startswith("kvstore/v1/"):
        return "proto"
    if include.startswith("kvstore/"):
        return "sdk"
    top = include.split("/")[0]
    if top in ("proto", "common", "server", "client", "cli", "examples", "bench"):
        return node_of(include) or "unknown folder"
    return None


def check(root):
    problems = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        top = name.split("/")[0]
        if path.suffix not in (".h", ".cc") or top not in (
                "common", "server", "client", "cli", "examples", "bench"):
            continue
        node = node_of(name)
        if node is None:
            problems.append(f"{name}: its folder is not in ARROWS of tools/checks/include_arrows.py")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            include = match.group(1)
            target = target_of(include)
            if target is None or target == node:
                if node == "examples" and target is None and include.startswith("absl/"):
                    problems.append(f"{name}:{number}: examples show users' code; no {include}")
                continue
            forbidden = any(name.startswith(core + "/") and include.startswith(tuple(bans))
                            for core, bans in PURE.items())
            if target not in ARROWS[node] or forbidden:
                problems.append(f"{name}:{number}: {node} must not include {include} ({target})")
    return problems


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    problems = check(root)
    for problem in problems:
        print(problem)
    print(f"include arrows: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
