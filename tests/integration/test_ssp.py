"""dist_ssp:<s> with real processes: who is far ahead waits for who is stopped, at the bound and not
before it, and by name. Every pull is checked by train_worker against what it must have at least."""

import json
import re
import signal
import time
import unittest

import cluster

ROUNDS = 2000


class Bounded(unittest.TestCase):
    def start(self, bound, *arguments, workers=2, env=None):
        c = cluster.Cluster(workers=workers, servers=2)
        self.addCleanup(c.__exit__)
        return c, [c.start_worker(rank, "--store", f"dist_ssp:{bound}", *arguments, env=env)
                   for rank in range(workers)]

    def finish(self, workers, rounds):
        for worker in workers:
            worker.expect(rf"done {rounds}$")
            self.assertEqual(worker.wait(), 0, worker.text())

    def stop_after(self, worker, round_):
        worker.expect(rf"round {round_}$")
        worker.signal(signal.SIGSTOP)
        return worker

    @staticmethod
    def last_round(worker):
        return max(int(n) for n in re.findall(r"round (\d+)$", worker.text(), re.MULTILINE))

    def open_pulls(self, c):
        """What kvctl status shows of pulls that wait, once there is something."""
        end = time.monotonic() + cluster.DEADLINE_S
        while time.monotonic() < end:
            said = c.kvctl("status", "--scheduler", c.address, "--output", "json").stdout
            rows = json.loads(said)["open_rounds"]
            if rows:
                return rows
        self.fail("no pull waits:\n" + c.text())

    def test_a_worker_waits_exactly_at_the_bound_is_shown_and_goes_on(self):
        for bound in (0, 5):
            with self.subTest(bound=bound):
                c, workers = self.start(bound, "--rounds", ROUNDS)
                self.stop_after(workers[1], 20)
                rows = self.open_pulls(c)
                self.assertEqual({name for row in rows for name in row["missing"]}, {"worker 1"})
                self.assertRegex(c.status(), r"(?m)^\d .*worker 1")
                # The stopped worker has made the pushes of the rounds that it has told of, and
                # perhaps those of the next one.
                told, ahead = self.last_round(workers[1]), self.last_round(workers[0])
                self.assertIn(ahead, (told + bound, told + bound + 1), c.text())
                self.assertIn(min(row["round"] for row in rows), (told + 1, told + 2))
                stats = json.loads(c.kvctl("stats", "--scheduler", c.address, "--output",
                                           "json").stdout)
                self.assertEqual(max(key["staleness_max"] for key in stats["keys"]), bound)
                workers[1].signal(signal.SIGCONT)
                self.finish(workers, ROUNDS)
                waited = json.loads(c.kvctl("status", "--scheduler", c.address, "--output",
                                            "json").stdout)
                self.assertEqual(waited["open_rounds"], [])

    def test_past_its_deadline_a_pull_names_the_worker_that_is_behind(self):
        _, workers = self.start(3, "--rounds", 1000000, env={"KVSTORE_OP_TIMEOUT_MS": "1500"})
        self.stop_after(workers[1], 20)
        match = workers[0].expect(r"error (\w+) after ([0-9.]+) s: (.*)$")
        self.assertEqual(match.group(1), "DEADLINE_EXCEEDED")
        self.assertRegex(match.group(3), r"Pull of key \d.*waits for worker 1")
        print(f"  {match.group(0)}")

    def test_with_a_large_bound_nobody_waits(self):
        c, workers = self.start(1000000000, "--rounds", ROUNDS)
        self.stop_after(workers[1], 20)
        workers[0].expect(rf"round {ROUNDS}$")
        stats = json.loads(c.kvctl("stats", "--scheduler", c.address, "--output", "json").stdout)
        self.assertGreater(max(key["staleness_max"] for key in stats["keys"]), ROUNDS // 2)
        workers[1].signal(signal.SIGCONT)
        self.finish(workers, ROUNDS)

    def test_with_equal_pushes_a_bound_of_0_lets_all_finish(self):
        _, workers = self.start(0, "--rounds", 200, "--delay-ms", 3, workers=3)
        self.finish(workers, 200)

    def test_a_worker_that_leaves_is_not_waited_for(self):
        _, workers = self.start(1, "--rounds", 100, "--leaver", 2, "--leave-after", 30, workers=3)
        workers[2].expect(r"left 30$")
        self.finish(workers[:2], 100)

    def test_a_worker_that_dies_is_named_to_those_who_wait(self):
        _, workers = self.start(2, "--rounds", 1000000)
        workers[1].expect(r"round 20$")
        workers[1].kill()
        match = workers[0].expect(r"error (\w+) after ([0-9.]+) s: (.*)$")
        self.assertEqual(match.group(1), "FAILED_PRECONDITION")
        self.assertIn("worker 1", match.group(3))

    def test_workers_with_different_bounds_are_refused_by_name(self):
        c = cluster.Cluster(workers=2, servers=2)
        self.addCleanup(c.__exit__)
        first = c.start_worker(0, "--store", "dist_ssp:2")
        end = time.monotonic() + cluster.DEADLINE_S
        while "worker 0" not in c.status():
            self.assertLess(time.monotonic(), end, c.text())
        second = c.start_worker(1, "--store", "dist_ssp:3")
        match = second.expect(r"error FAILED_PRECONDITION.*$")
        self.assertIn("'dist_ssp:3'", match.group(0))
        self.assertIn("'dist_ssp:2'", match.group(0))
        first.kill()


if __name__ == "__main__":
    unittest.main()
