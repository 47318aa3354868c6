"""tools/check_trace.py takes traces that are in order, and refuses each way of breaking one.

    check_trace_test.py TOOLS
"""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(sys.argv.pop(1))
sys.path.insert(0, str(TOOLS))
import check_trace  # noqa: E402

ARGS = {"key": "w", "part": 0, "round": 1, "worker": 0, "bytes": 8}


def span(name, ts, dur, pid=8, tid=1, **more):
    return {"name": name, "cat": "server" if pid % 2 == 0 else "worker", "ph": "X", "ts": ts,
            "dur": dur, "pid": pid, "tid": tid, "args": dict(ARGS), **more}


def step(phase, ts, pid=8, tid=1, id_="0x1"):
    event = {"name": "contribution", "cat": "flow", "ph": phase, "ts": ts, "pid": pid, "tid": tid,
             "id": id_}
    return event if phase == "s" else {**event, "bp": "e"}


def wait(phase, ts, pid=8):
    event = {"name": "wait", "cat": "server", "ph": phase, "ts": ts, "pid": pid, "tid": 1,
             "id2": {"local": "0x7"}}
    return {**event, "args": dict(ARGS)} if phase == "b" else event


def names(pid, tid=1):
    return [{"name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": {"name": "x"}},
            {"name": "thread_name", "ph": "M", "pid": pid, "tid": tid, "args": {"name": "y"}}]


def whole():
    """A contribution from a worker's push through a server's fold and update to the pull."""
    return [*names(8), *names(9),
            span("push", 1, 2, pid=9), step("s", 1, pid=9),
            span("push", 10.5, 9.5), span("fold", 11, 3), step("t", 11),
            span("update", 14, 5.001), step("t", 14.0),
            wait("b", 10), wait("e", 19.5),
            span("pull", 30, 1, pid=9), step("f", 30.001, pid=9),
            span("pull", 40, 1, pid=9), step("f", 40, pid=9)]


def problems(events, all_nodes=True):
    return check_trace.check(json.dumps({"traceEvents": events}), all_nodes)


class CheckTrace(unittest.TestCase):
    def refused(self, events, words, all_nodes=True):
        found = problems(events, all_nodes)
        self.assertTrue(any(words in problem for problem in found), f"{words!r} not in {found}")

    def test_a_whole_trace_is_in_order_and_so_is_a_server_s_part(self):
        self.assertEqual(problems(whole()), [])
        server = [event for event in whole() if event["pid"] == 8]
        self.assertEqual(problems(server, all_nodes=False), [])
        self.refused(server, "its flow begins nowhere")

    def test_what_is_no_trace(self):
        for text, words in (("", "JSON expected"), ("[]", "traceEvents"), ("{}", "traceEvents"),
                            ('{"traceEvents":[{}', "JSON expected"),
                            ('{"traceEvents":[7]}', "an object expected"),
                            ('{"traceEvents":[{"ph":"Q"}]}', "a phase of")):
            with self.subTest(text):
                self.assertIn(words, check_trace.check(text)[0])

    def test_each_field_that_a_phase_needs(self):
        for index, event in enumerate(whole()):
            for field in event:
                with self.subTest(f"{event['ph']} without {field}"):
                    events = whole()
                    del events[index][field]
                    self.assertNotEqual(problems(events), [])

    def test_fields_of_another_type_and_fields_that_have_no_place(self):
        for change, words in (({"ts": "1"}, "ts: a number expected"),
                              ({"dur": None}, "dur: a number expected"),
                              ({"dur": -1}, "dur: at least 0"), ({"pid": "8"}, "pid: a whole"),
                              ({"args": []}, "args: an object"),
                              ({"args": {**ARGS, "round": "1"}}, "args.round: int expected"),
                              ({"args": {**ARGS, "key": 1}}, "args.key: str expected"),
                              ({"bp": "e"}, "'bp' has no place"),
                              ({"colour": "red"}, "'colour' has no place")):
            with self.subTest(words):
                self.refused([*names(8), {**span("fold", 1, 1), **change}], words)

    def test_names_and_categories_that_are_not_on_the_list(self):
        self.refused([*names(8), span("folding", 1, 1)], "a name of fold, pull, push, update, wait")
        self.refused([*names(8), {**span("fold", 1, 1), "cat": "client"}], "cat: one of")
        self.refused([*names(8), span("wait", 1, 1)], "does not come as phase X")
        self.refused([*names(8), {**wait("b", 1), "name": "fold"}, wait("e", 2)],
                     "does not come as phase b")
        self.refused([*names(8), span("fold", 1, 1), {**step("t", 1), "bp": "x"}], "bp: 'e'",
                     all_nodes=False)

    def test_slices_that_cross(self):
        self.refused([*names(8), span("push", 1, 5), span("fold", 3, 3.001)],
                     "ends 1 ns after event 2")
        self.assertEqual(problems([*names(8), *names(8, 2), span("push", 1, 5),
                                   span("push", 3, 5, tid=2)]), [])

    def test_waits_that_do_not_pair(self):
        self.refused([*names(8), wait("b", 1)], "its 'e' expected")
        self.refused([*names(8), wait("e", 1)], "a 'b' before it expected")
        self.refused([*names(8), wait("b", 2), wait("e", 1)], "a 'b' before it expected")
        self.refused([*names(8), *names(10), wait("b", 1), wait("e", 2, pid=10)], "its 'e' expected")

    def test_flows_that_are_not_in_order(self):
        def changed(phase, ts):
            events = copy.deepcopy(whole())
            event = next(event for event in events if event["ph"] == phase)
            event["ts"] = ts
            return events
        self.refused(changed("s", 12), "comes before its flow begins")
        self.refused(changed("f", 12), "goes on after its end")
        self.refused([*whole(), step("s", 1.5, pid=9)], "begins once, this one 2 times")

    def test_a_step_of_a_flow_outside_of_all_slices(self):
        self.refused([*whole(), step("t", 25)], "a slice around the step")
        self.refused([*names(8), step("t", 25)], "a slice around the step", all_nodes=False)

    def test_events_of_somebody_without_a_name(self):
        self.refused([span("fold", 1, 1)], "a name for process 8 expected")
        self.refused([*names(8), span("fold", 1, 1, tid=2)], "a name for thread (8, 2) expected")

    def test_the_exit_code_and_a_line_for_each_problem(self):
        with tempfile.TemporaryDirectory() as folder:
            good, bad = pathlib.Path(folder) / "good.json", pathlib.Path(folder) / "bad.json"
            good.write_text(json.dumps({"traceEvents": whole()}), encoding="utf-8")
            bad.write_text(json.dumps({"traceEvents": [span("x", 1, 1)] * 30}), encoding="utf-8")
            command = [sys.executable, "-B", str(TOOLS / "check_trace.py"), "--whole"]
            run = subprocess.run([*command, str(good)], stdout=subprocess.PIPE, text=True,
                                 check=False)
            self.assertEqual((run.returncode, run.stdout), (0, f"{good}: in order\n"))
            run = subprocess.run([*command, str(good), str(bad)], stdout=subprocess.PIPE, text=True,
                                 check=False)
            self.assertEqual(run.returncode, 1)
            self.assertIn("problems more", run.stdout)


if __name__ == "__main__":
    unittest.main()
