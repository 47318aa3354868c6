"""--help of every program is written for people: no type names, brackets or equal signs of CLI11.

    help_test.py PROGRAM...
"""

import re
import subprocess
import sys

# "UINT", "TEXT:{a,b}", "FLOAT in [1 - 2]", "=5", "(Env:NAME)", "REQUIRED", "{false}".
RIDDLES = re.compile(r"\b(U?INT|FLOAT|TEXT|POSITIVE|NONNEGATIVE|REQUIRED)\b|:\{|\bin \[|\(Env:|\{false\}")
COLUMNS = 100


def main():
    problems = []
    commands = []
    for program in filter(None, sys.argv[1:]):
        commands.append([program])
        if program.endswith("/kvctl"):
            commands += [[program, command] for command in ("run", "stats", "status", "keys", "get", "reset", "delete",
                                                            "profile", "doctor",
                                                            "nodes", "rounds", "barrier", "explain",
                                                            "command", "tls", "version")]
            commands += [[program, "tls", command] for command in ("init", "issue", "show")]
            commands += [[program, "profile", command]
                         for command in ("set-config", "start", "stop", "pause", "resume", "dump",
                                         "fetch")]
    for command in commands:
        name = " ".join([command[0].split("/")[-1], *command[1:]])
        result = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60,
                                check=False)
        if result.returncode != 0 or "--help" not in result.stdout:
            problems.append(f"{name}: --help returned {result.returncode}: {result.stderr}")
        for line in result.stdout.splitlines():
            if RIDDLES.search(line) or len(line) > COLUMNS:
                problems.append(f"{name}: {line}")
    print("\n".join(problems))
    print(f"{len(commands)} helps, {len(problems)} lines that are not for people")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
