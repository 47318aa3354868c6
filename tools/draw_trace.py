"""Draws a piece of a merged trace (kvctl profile fetch) as an SVG: the timeline of a job.

    draw_trace.py TRACE.json OUT.svg [--rounds N] [--title TEXT]

One row for each thread that did something, with its slices; the waits of a worker below its row; and
an arrow for each step of a contribution from a worker's push by a server's fold and update to the
pull. What is drawn are the last N rounds (default 2) of the key that the trace has the most bytes of,
and all that happened meanwhile.
"""

import argparse
import collections
import json
import pathlib
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP = 1100, 150, 20, 64
ROW, GAP, WAIT = 26, 26, 5
COLOURS = {"push": "#4c78a8", "fold": "#f2a14b", "update": "#c44e52", "pull": "#59a16a",
           "wait": "#b8b8b8"}
MEANING = {"push": "push", "fold": "fold into the sum", "update": "update", "pull": "pull",
           "wait": "wait for the answer"}


def window_of(events, rounds):
    """Begin and end, in us, of the last rounds of the key with the most bytes."""
    pushes = [e for e in events if e["ph"] == "X" and e["name"] == "push" and e["cat"] == "worker"]
    heavy = collections.Counter()
    for event in pushes:
        heavy[event["args"]["key"]] += event["args"]["bytes"]
    key = heavy.most_common(1)[0][0]
    last = max(e["args"]["round"] for e in pushes if e["args"]["key"] == key)
    wanted = range(last - rounds + 1, last + 1)
    mine = [e for e in events if e["ph"] == "X" and e["args"]["key"] == key
            and e["args"]["round"] in wanted]
    begin = min(e["ts"] for e in mine)
    end = max(e["ts"] + e["dur"] for e in mine)
    margin = (end - begin) * 0.02
    return begin - margin, end + margin


def waits_of(events):
    """The waits of workers: (pid, begin, end)."""
    begun, waits = {}, []
    for event in sorted((e for e in events if e["ph"] in "be" and e["cat"] == "worker"),
                        key=lambda e: e["ts"]):
        name = (event["pid"], event["id2"]["local"])
        if event["ph"] == "b":
            begun[name] = event["ts"]
        elif name in begun:
            waits.append((event["pid"], begun.pop(name), event["ts"]))
    return waits


def draw(trace, rounds, title):
    events = trace["traceEvents"]
    begin, end = window_of(events, rounds)
    scale = (WIDTH - LEFT - RIGHT) / (end - begin)

    def x(us):
        return LEFT + (min(max(us, begin), end) - begin) * scale

    processes = {e["pid"]: e["args"]["name"] for e in events
                 if e["ph"] == "M" and e["name"] == "process_name"}
    threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events
               if e["ph"] == "M" and e["name"] == "thread_name"}
    slices = [e for e in events if e["ph"] == "X" and e["ts"] < end and e["ts"] + e["dur"] > begin]
    used = {(e["pid"], e["tid"]) for e in slices}
    # Workers above, servers below: the arrows go down and come back.
    rows = sorted(used, key=lambda row: (row[0] % 2 == 0, row))
    y = {row: TOP + i * (ROW + GAP) for i, row in enumerate(rows)}
    height = TOP + len(rows) * (ROW + GAP) + 36
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
           f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="10" y="20" font-size="14" font-weight="bold">{escape(title)}</text>']
    at = 10
    for name, colour in COLOURS.items():
        out.append(f'<rect x="{at}" y="32" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{at + 17}" y="43">{MEANING[name]}</text>')
        at += 40 + 7 * len(MEANING[name])
    out.append(f'<line x1="{at}" y1="38" x2="{at + 22}" y2="38" stroke="#333" '
               f'stroke-opacity="0.6"/><text x="{at + 28}" y="43">the way of a contribution</text>')
    for row in rows:
        name = f"{processes[row[0]]}, {threads[row]}"
        out.append(f'<text x="10" y="{y[row] + ROW - 9}">{escape(name)}</text>'
                   f'<line x1="{LEFT}" y1="{y[row] + ROW}" x2="{WIDTH - RIGHT}" y2="{y[row] + ROW}" '
                   'stroke="#ddd"/>')
    for pid, wait_begin, wait_end in waits_of(events):
        row = next((row for row in rows if row[0] == pid), None)
        if row is not None and wait_begin < end and wait_end > begin:
            out.append(f'<rect x="{x(wait_begin):.2f}" y="{y[row] + ROW + 2}" '
                       f'width="{max(x(wait_end) - x(wait_begin), 0.5):.2f}" height="{WAIT}" '
                       f'fill="{COLOURS["wait"]}" fill-opacity="0.6"/>')
    # The outer slices first: what they hold lies on them, lower.
    depth = {"push": 0, "pull": 0, "fold": 6, "update": 6}
    for event in sorted(slices, key=lambda e: -e["dur"]):
        row = (event["pid"], event["tid"])
        down = depth[event["name"]] if event["cat"] == "server" else 0
        left = x(event["ts"])
        args = event["args"]
        out.append(f'<rect x="{left:.2f}" y="{y[row] + down}" '
                   f'width="{max(x(event["ts"] + event["dur"]) - left, 0.8):.2f}" '
                   f'height="{ROW - down}" fill="{COLOURS[event["name"]]}"><title>'
                   f'{escape(event["name"])} {escape(args["key"])} part {args["part"]} round '
                   f'{args["round"]}: {event["dur"]:.1f} us</title></rect>')
    flows = collections.defaultdict(list)
    for event in events:
        if event["ph"] in "stf":
            flows[event["id"]].append((event["ts"], "stf".index(event["ph"]), event))
    for steps in flows.values():
        steps = [step[2] for step in sorted(steps, key=lambda step: step[:2])]
        for a, b in zip(steps, steps[1:]):
            rows_of = (a["pid"], a["tid"]), (b["pid"], b["tid"])
            if a["ts"] < begin or b["ts"] > end or rows_of[0] == rows_of[1] or b["ph"] == "s":
                continue
            down = y[rows_of[1]] > y[rows_of[0]]
            y1 = y[rows_of[0]] + (ROW if down else 0)
            y2 = y[rows_of[1]] + (0 if down else ROW)
            out.append(f'<line x1="{x(a["ts"]):.2f}" y1="{y1}" x2="{x(b["ts"]):.2f}" y2="{y2}" '
                       'stroke="#333" stroke-opacity="0.35" stroke-width="0.8"/>')
    # A scale of 1, 2 or 5 times a power of ten.
    step = 10.0 ** len(str(int((end - begin) / 10))) / 10
    step = next(step * factor for factor in (1, 2, 5, 10) if (end - begin) / (step * factor) <= 12)
    tick = 0.0
    while begin + tick <= end:
        at = x(begin + tick)
        out.append(f'<line x1="{at:.1f}" y1="{height - 34}" x2="{at:.1f}" y2="{height - 28}" '
                   f'stroke="#333"/><text x="{at:.1f}" y="{height - 14}" text-anchor="middle">'
                   f'{tick / 1000:g} ms</text>')
        tick += step
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Draws a piece of a merged trace as an SVG.")
    parser.add_argument("trace", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--title", default="The last rounds of a job")
    arguments = parser.parse_args()
    trace = json.loads(arguments.trace.read_text(encoding="utf-8"))
    arguments.out.write_text(draw(trace, arguments.rounds, arguments.title), encoding="utf-8")


if __name__ == "__main__":
    main()
