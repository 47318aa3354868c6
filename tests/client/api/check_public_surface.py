"""What users can see: the public headers name none of our dependencies and include only each other
and the standard library; the shared library exports kvstore:: names and nothing else.

usage: check_public_surface.py INCLUDE_DIR LIBKVSTORE_SO
"""
import pathlib
import re
import subprocess
import sys

FORBIDDEN = re.compile(r"grpc|protobuf|absl|abseil|spdlog|\bfmt\b", re.IGNORECASE)
# Comments may speak of gRPC (its error codes); code may not.
COMMENT = re.compile(r"//.*")
# The standard library's headers in C, which updater_plugin.h is written in.
C_HEADERS = {"stddef.h", "stdint.h"}


def check_headers(include_dir: pathlib.Path) -> list[str]:
    faults = []
    headers = sorted((include_dir / "kvstore").glob("*.h"))
    if len(headers) < 4:
        faults.append(f"at least 4 headers expected in {include_dir}/kvstore, got {len(headers)}")
    for header in headers:
        for number, line in enumerate(header.read_text().splitlines(), 1):
            code = COMMENT.sub("", line)
            if FORBIDDEN.search(code):
                faults.append(f"{header.name}:{number}: names a dependency: {line.strip()}")
            included = re.match(r'\s*#\s*include\s*(["<])([^">]+)', code)
            if included is None:
                continue
            kind, path = included.groups()
            if kind == '"' and not path.startswith("kvstore/"):
                faults.append(f"{header.name}:{number}: only kvstore/ expected, got {path}")
            foreign = "/" in path or (path.endswith(".h") and path not in C_HEADERS)
            if kind == "<" and foreign:
                faults.append(f"{header.name}:{number}: only the standard library expected, got {path}")
    return faults


def check_exports(library: str) -> list[str]:
    lines = subprocess.run(["nm", "-DC", "--defined-only", library], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    faults = []
    allowed = re.compile(r"^(?:(?:typeinfo|typeinfo name|vtable) for )?kvstore::")
    names = [line.split(maxsplit=2)[2] for line in lines]
    for name in names:
        if not allowed.match(name):
            faults.append(f"only kvstore:: names expected to be exported, got {name}")
    for wanted in ("kvstore::KVStore::CreateUnique", "kvstore::NDArray::FromBlob",
                   "kvstore::Version()", "typeinfo for kvstore::Error"):
        if not any(name.startswith(wanted) for name in names):
            faults.append(f"{wanted} expected among the exported names")
    return faults


def main() -> int:
    include_dir, library = sys.argv[1:]
    faults = check_headers(pathlib.Path(include_dir)) + check_exports(library)
    for fault in faults:
        print(fault)
    print(f"public surface: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
