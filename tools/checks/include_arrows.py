"""Checks that the includes of the tree point only along the arrows of docs/architecture.md.

    include_arrows.py ROOT

ARROWS below is the whole rule: for every folder with code, the folders it may include from (itself
is always allowed). A folder that is not in the list is an error, so a new folder is a decision.
"""

import pathlib
import re
import sys

# The public headers are a node of their own: "sdk".
COMMON_BASE = {"common/base"}
COMMON_TENSOR = COMMON_BASE | {"common/tensor"}
COMMON_MODEL = COMMON_TENSOR | {"common/model", "common/cluster", "proto"}
COMMON_MATH = COMMON_TENSOR | {"common/kernels"}
COMMON_WIRE = COMMON_MODEL | {"common/wire"}
COMMON_VALUES = COMMON_WIRE | COMMON_MATH | {"common/updater", "common/rows"}
COMMON_TRANSPORT = COMMON_WIRE | {"common/transport"}
COMMON_CONFIG = COMMON_BASE | {"common/transport", "common/config"}
COMMON = COMMON_VALUES | COMMON_TRANSPORT | COMMON_CONFIG | {"common/membership",
                                                             "common/membership/core"}
SERVER_SHELLS = {"server/core", "server/values", "server/service", "server/scheduler",
                 "server/scheduler/core"}
CLIENT_STORE = {"sdk", "client/base", "client/order", "client/array", "client/store"}

ARROWS = {
    "proto": set(),
    "common/base": set(),
    "common/tensor": COMMON_BASE,
    "common/kernels": COMMON_TENSOR,
    "common/cluster": COMMON_BASE | {"proto"},
    "common/model": COMMON_TENSOR | {"common/cluster"},
    "common/updater": COMMON_MATH | {"common/model", "common/cluster"},
    "common/wire": COMMON_MODEL,
    "common/rows": COMMON_VALUES - {"proto"},
    "common/transport": COMMON_WIRE,
    "common/config": COMMON_BASE | {"common/transport"},
    "common/membership/core": COMMON_MODEL,
    "common/membership": COMMON_TRANSPORT | {"common/membership/core"},
    "server/core": COMMON_WIRE,
    "server/values": COMMON_VALUES | {"server/core"},
    "server/service": COMMON | {"server/core"},
    "server/scheduler/core": COMMON_MODEL,
    "server/scheduler": COMMON | {"server/scheduler/core"},
    "server/node": COMMON | {"server/core", "server/values", "server/service"},
    "server/daemon": COMMON | SERVER_SHELLS | {"server/node"},
    # The one server folder that knows the public headers: it runs a user's updater and controller.
    "server/embedded": COMMON | SERVER_SHELLS | {"server/node", "server/daemon", "sdk"},
    "sdk": set(),
    "client/base": COMMON_TRANSPORT | COMMON_CONFIG | {"sdk"},
    "client/order": COMMON_BASE | {"common/cluster", "sdk", "client/base"},
    "client/array": COMMON_VALUES | {"sdk", "client/base", "client/order"},
    "client/store": COMMON_VALUES | CLIENT_STORE,
    "client/core": COMMON_WIRE,
    "client/local": COMMON_VALUES | CLIENT_STORE,
    "client/dist": COMMON | CLIENT_STORE | {"client/core"},
    "client/api": COMMON | CLIENT_STORE | {"client/local", "client/dist"},
    "cli/process": COMMON_BASE,
    "cli": COMMON | {"sdk", "cli/process"},
    "examples": {"sdk"},
    "bench": COMMON | SERVER_SHELLS | CLIENT_STORE | {"cli/process"},
}
# The cores are pure, found by the name of their folder: nothing of a transport, file or process can
# be reached from one, because its own folders reach nothing of the kind.
PURE_FOLDERS = {"common/base", "common/tensor", "common/cluster", "common/model", "common/wire",
                "proto"}

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
    for node, arrows in ARROWS.items():
        if node.endswith("/core") and not arrows <= PURE_FOLDERS:
            problems.append(f"{node} is a core and must not include {sorted(arrows - PURE_FOLDERS)}")
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
            if target not in ARROWS[node]:
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
