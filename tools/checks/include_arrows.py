"""Checks that the includes of the tree point only along the arrows of docs/architecture.md, and
that docs/folders.md shows the arrows that there are.

    include_arrows.py ROOT [--draw]

ARROWS below is the whole rule: for every folder with code, the folders it may include from (itself
is always allowed). A folder that is not in the list is an error, so a new folder is a decision.
--draw writes docs/folders.md anew.
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
COMMON_VALUES = COMMON_WIRE | COMMON_MATH | {"common/codec", "common/initial", "common/updater",
                                             "common/rows"}
COMMON_TRANSPORT = COMMON_WIRE | {"common/tls", "common/transport"}
COMMON_CONFIG = COMMON_BASE | {"common/transport", "common/config"}
COMMON = COMMON_VALUES | COMMON_TRANSPORT | COMMON_CONFIG | {"common/membership",
                                                             "common/membership/core",
                                                             "common/trace"}
SERVER_SHELLS = {"server/core", "server/values", "server/service", "server/scheduler",
                 "server/scheduler/core"}
CLIENT_STORE = {"sdk", "client/base", "client/device", "client/order", "client/array",
                "client/store"}

ARROWS = {
    "proto": set(),
    "common/base": set(),
    "common/tensor": COMMON_BASE,
    "common/kernels": COMMON_TENSOR,
    "common/cluster": COMMON_BASE | {"proto"},
    "common/model": COMMON_TENSOR | {"common/cluster"},
    "common/updater": COMMON_MATH | {"common/model", "common/cluster"},
    "common/wire": COMMON_MODEL,
    "common/codec": COMMON_WIRE | COMMON_MATH,
    "common/initial": COMMON_MODEL | COMMON_MATH,
    "common/rows": COMMON_VALUES - {"common/codec", "proto"},
    "common/safetensors": COMMON_BASE | {"common/tensor", "common/wire"},
    "common/tls": COMMON_BASE,
    "common/transport": COMMON_WIRE | {"common/tls"},
    "common/config": COMMON_BASE | {"common/transport"},
    "common/trace": COMMON_BASE | {"common/cluster"},
    "common/membership/core": COMMON_MODEL,
    "common/membership": COMMON_TRANSPORT | {"common/membership/core"},
    "server/core": COMMON_WIRE,
    "server/values": COMMON_VALUES | {"server/core"},
    "server/service": COMMON | {"server/core"},
    "server/scheduler/core": COMMON_MODEL,
    "server/scheduler": COMMON | {"server/scheduler/core"},
    "server/node": COMMON | {"server/core", "server/values", "server/service"},
    # These two alone of the server know public headers: they run code of users.
    "server/plugin": COMMON_VALUES | {"server/core", "server/values", "sdk"},
    "server/daemon": COMMON | SERVER_SHELLS | {"server/node", "server/plugin"},
    "server/embedded": COMMON | SERVER_SHELLS | {"server/node", "server/daemon", "sdk"},
    "sdk": set(),
    "client/base": COMMON_TRANSPORT | COMMON_CONFIG | {"sdk"},
    "client/device": COMMON_TENSOR | {"sdk", "client/base"},
    # A shared object of its own: the plugin.
    "client/cuda": COMMON_MATH | {"client/device"},
    "client/order": COMMON_BASE | {"common/cluster", "sdk", "client/base"},
    "client/array": COMMON_VALUES | {"sdk", "client/base", "client/device", "client/order"},
    "client/store": COMMON_VALUES | CLIENT_STORE | {"common/safetensors"},
    "client/core": COMMON_WIRE,
    "client/reduce": COMMON_VALUES | CLIENT_STORE,
    "client/local": COMMON_VALUES | CLIENT_STORE | {"client/reduce"},
    "client/dist": COMMON | CLIENT_STORE | {"client/reduce", "client/core"},
    "client/api": COMMON | CLIENT_STORE | {"client/local", "client/dist"},
    "cli/process": COMMON_BASE,
    "cli": COMMON | {"sdk", "cli/process", "client/base", "client/device"},
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


def includes(root):
    """(file, line number, its folder, what it includes, the folder of that) of the whole tree, also
    of system headers (folder None); (file, 0, None, "", None) where a file's folder is none of
    ours."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix not in (".h", ".cc") or name.split("/")[0] not in (
                "common", "server", "client", "cli", "examples", "bench"):
            continue
        node = node_of(name)
        if node is None:
            yield name, 0, None, "", None
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                yield name, number, node, match.group(1), target_of(match.group(1))


def reached_from(node, arrows):
    """The folders that a folder includes from, and those they include from, and so on."""
    reached, todo = set(), list(arrows.get(node, ()))
    while todo:
        other = todo.pop()
        if other not in reached:
            reached.add(other)
            todo += arrows.get(other, ())
    return reached


def check(root):
    problems = []
    others = {node: arrows - {node} for node, arrows in ARROWS.items()}
    for node, arrows in others.items():
        if node.endswith("/core") and not arrows <= PURE_FOLDERS:
            problems.append(f"{node} is a core and must not include {sorted(arrows - PURE_FOLDERS)}")
        if node in reached_from(node, others):
            problems.append(f"{node} must not include from folders that include from it")
    for name, number, node, include, target in includes(root):
        if node is None:
            problems.append(f"{name}: its folder is not in ARROWS of tools/checks/include_arrows.py")
        elif target is None or target == node:
            if node == "examples" and target is None and include.startswith("absl/"):
                problems.append(f"{name}:{number}: examples show users' code; no {include}")
        elif target not in ARROWS[node]:
            problems.append(f"{name}:{number}: {node} must not include {include} ({target})")
    return problems


def drawing(root):
    """docs/folders.md: the arrows that the tree has, without those that others imply."""
    arrows = {}
    for _, _, node, _, target in includes(root):
        if node is not None and target in ARROWS and target != node:
            arrows.setdefault(node, set()).add(target)
    total = sum(len(targets) for targets in arrows.values())
    nodes = [node for node in ARROWS if node in arrows or any(node in t for t in arrows.values())]
    lines = []
    for side in ("cli", "examples", "bench", "client", "server", "common", "proto"):
        title = "client, with the public headers (sdk)" if side == "client" else side
        inside = [n for n in nodes if n.split("/")[0] == side or (side == "client" and n == "sdk")]
        lines.append(f'  subgraph {side}_side["{title}"]')
        lines += [f'    {n.replace("/", "_")}["{n}"]' for n in inside]
        lines.append("  end")
    drawn = 0
    for node in nodes:
        direct = arrows.get(node, set())
        implied = set().union(*(reached_from(target, arrows) for target in direct))
        for target in sorted(direct - implied):
            lines.append(f'  {node.replace("/", "_")} --> {target.replace("/", "_")}')
            drawn += 1
    return f"""# The folders, and who includes whom

Drawn from the includes of the tree by `python3 tools/checks/include_arrows.py . --draw`; the test `include_arrows` fails when it is
not what the tree has. {len(nodes)} folders with code and {total} arrows, of which {drawn} are drawn: an arrow that others imply is left out
(`server/node` includes from `common/base`, too, and gets there by every way). There is no circle. What each folder is for:
[architecture](architecture.md).

```mermaid
flowchart TD
""" + "\n".join(lines) + "\n```\n"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    problems = check(root)
    picture = root / "docs" / "folders.md"
    if "--draw" in sys.argv[2:]:
        picture.write_text(drawing(root))
    elif not picture.exists() or picture.read_text() != drawing(root):
        problems.append("docs/folders.md is not what the tree has: "
                        "python3 tools/checks/include_arrows.py . --draw")
    for problem in problems:
        print(problem)
    print(f"include arrows: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
