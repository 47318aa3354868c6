"""A broken variant of the protocol cores: a patch of this folder, applied to a copy of the sources.

    mutant.py copy NAME.patch ROOT FOLDER          FOLDER gets the patched files, and `state`
    mutant.py hunt NAME.patch FOLDER KVSIM SEEDS   the simulator must catch it among seeds 1..SEEDS

`copy` runs at every build in which the patch or one of its files changed. It never fails, so that a
patch that no longer applies fails its own test, by name, and nothing else: `state` says what is
wrong with it, and the copies are the sources as they are.
"""

import pathlib
import re
import subprocess
import sys

FILE = re.compile(r"^\+\+\+ b/(\S+)", re.MULTILINE)


def copy(patch, root, folder):
    names = FILE.findall(patch.read_text())
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((root / name).read_bytes())
    applied = subprocess.run(
        ["patch", "-p1", "--fuzz=0", "--no-backup-if-mismatch", "--reject-file=-", "-d", str(folder),
         "-i", str(patch)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    problem = ""
    if applied.returncode != 0:
        problem = f"the patch no longer applies:\n{applied.stdout}"
    elif all((folder / name).read_bytes() == (root / name).read_bytes() for name in names):
        problem = "the patch changes nothing"
    if problem:
        for name in names:
            (folder / name).write_bytes((root / name).read_bytes())
    (folder / "state").write_text(problem or "applied")


def hunt(patch, folder, kvsim, seeds):
    state = (folder / "state").read_text()
    if state != "applied":
        return f"{patch.name}: {state}"
    run = subprocess.run([kvsim, "--hunt", seeds], check=False)
    if run.returncode != 0:
        return f"{patch.name}: not caught by seeds 1..{seeds} (exit code {run.returncode})"
    return ""


def main():
    verb, patch, *rest = sys.argv[1:]
    patch = pathlib.Path(patch)
    if verb == "copy":
        copy(patch, *(pathlib.Path(path) for path in rest))
        return 0
    problem = hunt(patch, pathlib.Path(rest[0]), *rest[1:])
    if problem:
        print(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
