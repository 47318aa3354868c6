"""Checks files of the profiler: JSON of the Trace Event Format, as docs/profiling.md describes ours.

    check_trace.py [--whole] FILE...

Exit code 0 if all are in order; else 1, with a line for each problem (at most 20 of a file). What is
checked:
  * the file is a JSON object with "traceEvents"; every event has the fields that the format demands
    of its phase, of the right type, and nothing that is neither in the format nor ours
  * names and categories are on the list of docs/profiling.md
  * the slices ("X") of a thread lie in or beside one another, never across
  * each async slice ("b") is closed by an "e" of the same process, category and id, not before it
  * the steps of a flow are in order: one "s" before all others, nothing but more "f" after an "f" (a
    value may be pulled twice); each lies in a slice of its thread
  * with --whole, for files that have all nodes of a job: every flow has its "s". (The file of one
    server has the middle of flows that begin in a worker's.)
Source of the format: Google, "Trace Event Format", 2016.
"""

import argparse
import collections
import json
import pathlib
import sys

SPANS = {"push", "fold", "update", "pull", "wait"}
CATEGORIES = {"server", "worker", "reader"}
METADATA = {"process_name", "thread_name"}
FLOW, FLOW_CATEGORY = "contribution", "flow"
# Fields beside name, ph, pid and tid: those that a phase must have, and those that it may have.
FIELDS = {
    "X": ({"cat", "ts", "dur", "args"}, set()),
    "b": ({"cat", "ts", "id2", "args"}, set()),
    "e": ({"cat", "ts", "id2"}, set()),
    "s": ({"cat", "ts", "id"}, set()),
    "t": ({"cat", "ts", "id", "bp"}, set()),
    "f": ({"cat", "ts", "id", "bp"}, set()),
    "M": ({"args"}, set()),
}
ARGUMENTS = {"key": str, "part": int, "round": int, "bytes": int}
PROBLEMS_MAX = 20


class Problems(list):
    def add(self, where, text):
        self.append(f"{where}: {text}")


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_fields(where, event, problems):
    """Whether the event's fields are such that the other checks make sense."""
    if not isinstance(event, dict):
        problems.add(where, f"an object expected, got {event!r}")
        return False
    phase = event.get("ph")
    if phase not in FIELDS:
        problems.add(where, f"a phase of {', '.join(FIELDS)} expected, got {phase!r}")
        return False
    must, may = FIELDS[phase]
    must = must | {"name", "ph", "pid", "tid"}
    before = len(problems)
    for field in sorted(must - event.keys()):
        problems.add(where, f"field '{field}' expected in phase {phase}")
    for field in sorted(event.keys() - must - may):
        problems.add(where, f"field '{field}' has no place in phase {phase}")
    for field in ("pid", "tid"):
        if field in event and not isinstance(event[field], int):
            problems.add(where, f"{field}: a whole number expected, got {event[field]!r}")
    for field in ("ts", "dur"):
        if field in event and not number(event[field]):
            problems.add(where, f"{field}: a number expected, got {event[field]!r}")
    if number(event.get("dur")) and event["dur"] < 0:
        problems.add(where, f"dur: at least 0 expected, got {event['dur']}")
    return len(problems) == before


def check_names(where, event, problems):
    phase, name = event["ph"], event["name"]
    if phase == "M":
        known, category = METADATA, None
        if not isinstance(event["args"], dict) or not isinstance(event["args"].get("name"), str):
            problems.add(where, "args: a name expected")
    elif phase in "stf":
        known, category = {FLOW}, {FLOW_CATEGORY}
        if phase != "s" and event["bp"] != "e":
            problems.add(where, f"bp: 'e' expected, got {event['bp']!r}")
    else:
        known, category = SPANS, CATEGORIES
        if (name == "wait") != (phase in "be"):
            problems.add(where, f"a span '{name}' does not come as phase {phase}")
    if name not in known:
        problems.add(where, f"a name of {', '.join(sorted(known))} expected, got {name!r}")
    if category is not None and event["cat"] not in category:
        problems.add(where, f"cat: one of {', '.join(sorted(category))} expected, "
                            f"got {event['cat']!r}")
    if phase in "Xb":
        check_arguments(where, event["args"], problems)


def check_arguments(where, arguments, problems):
    if not isinstance(arguments, dict):
        problems.add(where, f"args: an object expected, got {arguments!r}")
        return
    for name, kind in ARGUMENTS.items():
        value = arguments.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            problems.add(where, f"args.{name}: {kind.__name__} expected, got {value!r}")


def nanoseconds(micros):
    """ts and dur have three digits behind the point; as floats they must not be compared."""
    return round(micros * 1000)


def check_nesting(slices, problems):
    """`slices`: of one thread, (begin, end, where)."""
    open_ends = []
    for begin, end, where in sorted(slices, key=lambda each: (each[0], -each[1])):
        while open_ends and open_ends[-1][0] <= begin:
            open_ends.pop()
        if open_ends and end > open_ends[-1][0]:
            problems.add(where, f"ends {end - open_ends[-1][0]} ns after {open_ends[-1][1]}, in "
                                "which it begins")
        open_ends.append((end, where))


def check_waits(begins, ends, problems):
    """Both by process, category and id: lists of (ns, where)."""
    for key in begins.keys() | ends.keys():
        opened, closed = sorted(begins.get(key, [])), sorted(ends.get(key, []))
        for (begin, _), (end, where) in zip(opened, closed):
            if end < begin:
                problems.add(where, "a 'b' before it expected, there is none")
        for _, where in opened[len(closed):]:
            problems.add(where, "its 'e' expected, there is none")
        for _, where in closed[len(opened):]:
            problems.add(where, "a 'b' before it expected, there is none")


def check_flow(steps, whole, problems):
    """`steps`: of one flow, (ns, phase, where)."""
    order = {"s": 0, "t": 1, "f": 2}
    steps = sorted(steps, key=lambda step: (step[0], order[step[1]]))
    phases = [phase for _, phase, _ in steps]
    starts = phases.count("s")
    if starts > 1:
        problems.add(steps[0][2], f"a flow begins once, this one {starts} times")
    elif starts == 1 and phases[0] != "s":
        problems.add(steps[0][2], "comes before its flow begins")
    elif starts == 0 and whole:
        problems.add(steps[0][2], "its flow begins nowhere")
    if "f" in phases and phases.index("f") < len(phases) - phases.count("f"):
        problems.add(steps[phases.index("f")][2], "the flow goes on after its end")


def check_steps_lie_in_slices(steps, slices, problems):
    """Both of one thread: (ns, where) and (begin, end, where)."""
    slices = sorted(slices)
    reach, index = None, 0
    for at, where in sorted(steps):
        while index < len(slices) and slices[index][0] <= at:
            reach = max(reach if reach is not None else slices[index][1], slices[index][1])
            index += 1
        if reach is None or reach < at:
            problems.add(where, "a slice around the step of a flow expected, there is none")


def check(text, whole=False):
    """The problems of a file's text."""
    problems = Problems()
    try:
        trace = json.loads(text)
    except ValueError as error:
        return [f"JSON expected: {error}"]
    if not isinstance(trace, dict) or not isinstance(trace.get("traceEvents"), list):
        return ["an object with a list 'traceEvents' expected"]
    slices, steps = collections.defaultdict(list), collections.defaultdict(list)
    begins, ends = collections.defaultdict(list), collections.defaultdict(list)
    flows, named = collections.defaultdict(list), set()
    for index, event in enumerate(trace["traceEvents"]):
        where = f"event {index}"
        if not check_fields(where, event, problems):
            continue
        where += f" ({event['ph']} {event['name']})"
        check_names(where, event, problems)
        thread = (event["pid"], event["tid"])
        if event["ph"] == "M":
            named.add(thread if event["name"] == "thread_name" else event["pid"])
            continue
        at = nanoseconds(event["ts"])
        for each in (thread, event["pid"]):
            if each not in named:
                problems.add(where, f"a name for {'thread' if each == thread else 'process'} {each} "
                                    "expected before its events")
                named.add(each)
        if event["ph"] == "X":
            slices[thread].append((at, at + nanoseconds(event["dur"]), where))
        elif event["ph"] in "be":
            side = begins if event["ph"] == "b" else ends
            side[(event["pid"], event["cat"], json.dumps(event["id2"]))].append((at, where))
        else:
            flows[event["id"]].append((at, event["ph"], where))
            steps[thread].append((at, where))
    for each in slices.values():
        check_nesting(each, problems)
    check_waits(begins, ends, problems)
    for each in flows.values():
        check_flow(each, whole, problems)
    for thread, each in steps.items():
        check_steps_lie_in_slices(each, slices[thread], problems)
    return problems


def main():
    parser = argparse.ArgumentParser(description="Checks files of the profiler.")
    parser.add_argument("--whole", action="store_true",
                        help="the file has all nodes of a job: every flow begins in it")
    parser.add_argument("files", nargs="+", metavar="FILE")
    arguments = parser.parse_args()
    failed = False
    for name in arguments.files:
        problems = check(pathlib.Path(name).read_text(encoding="utf-8"), arguments.whole)
        failed |= bool(problems)
        for problem in problems[:PROBLEMS_MAX]:
            print(f"{name}: {problem}")
        if len(problems) > PROBLEMS_MAX:
            print(f"{name}: and {len(problems) - PROBLEMS_MAX} problems more")
        if not problems:
            print(f"{name}: in order")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
