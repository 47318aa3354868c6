"""Deaths, stops and restarts of real processes: who is told what, and how soon."""

import fcntl
import json
import re
import signal
import tempfile
import time
import unittest

import cluster

# Seconds from a death to its verdict: the session must be away for 5 s; the rest is slack for a
# crowded machine.
VERDICT_S = 5.0
SLACK_S = 10.0


class Faults(unittest.TestCase):
    def assert_error(self, worker, code, pattern):
        match = worker.expect(r"error (\w+) after ([0-9.]+) s: (.*)$")
        self.assertEqual(match.group(1), code, worker.text())
        self.assertRegex(match.group(3), pattern)
        self.assertLess(float(match.group(2)), VERDICT_S + SLACK_S)
        self.assertEqual(worker.wait(), 3)
        print(f"  {worker.name}: {match.group(0)}")

    def test_a_killed_worker_is_named_to_the_others_within_the_deadline(self):
        with cluster.Cluster(workers=3, servers=2) as c:
            workers = c.start_workers("--rounds", 1000000)
            workers[1].expect(r"round 20$")
            workers[1].kill()
            for rank in (0, 2):
                workers[rank].expect(r"dead: 1 workers, 0 servers, server 1 0, worker 1 1$")
                self.assert_error(workers[rank], "FAILED_PRECONDITION", r"worker 1 \(\S+:\d+\)")

    def test_a_killed_server_ends_the_job_with_data_loss_that_names_it_and_its_slots(self):
        with cluster.Cluster(workers=2, servers=2) as c:
            workers = c.start_workers("--rounds", 1000000)
            workers[0].expect(r"round 20$")
            c.server[1].kill()
            for worker in workers:
                worker.expect(r"dead: 0 workers, 1 servers, server 1 [01], worker 1 0$")
                self.assert_error(worker, "DATA_LOSS",
                                  rf"server \d \({re.escape(c.server[1].address)}\).*512.*slots")

    def test_a_restarted_server_never_serves_empty(self):
        with cluster.Cluster(workers=2, servers=2) as c:
            workers = c.start_workers("--rounds", 1000000)
            workers[0].expect(r"round 20$")
            c.server[0].kill()
            c.server[0].wait()
            c.start_server(listen=c.server[0].address)
            for worker in workers:
                self.assert_error(worker, "DATA_LOSS", r"server \d .*slots")

    def test_a_killed_scheduler_comes_back_and_no_push_fails(self):
        with cluster.Cluster(workers=2, servers=2) as c:
            workers = c.start_workers("--rounds", 300, "--delay-ms", 10, "--barriers")
            for round_ in (20, 60, 100):
                workers[0].expect(rf"round {round_}$")
                c.scheduler.kill()
                c.scheduler.wait()
                c.restart_scheduler()
            for worker in workers:
                worker.expect(r"done 300$")
                self.assertEqual(worker.wait(), 0)

    def test_without_a_scheduler_rounds_go_on(self):
        with cluster.Cluster(workers=2, servers=2) as c:
            workers = c.start_workers("--rounds", 200, "--delay-ms", 10)
            workers[0].expect(r"round 1$")
            c.scheduler.kill()
            c.scheduler.wait()
            for worker in workers:
                self.assertNotRegex(worker.text(), "(?m)round 200$")  # there is something left to do
            for worker in workers:
                worker.expect(r"round 200$")
            c.restart_scheduler()
            for worker in workers:
                worker.expect(r"done 200$")
                self.assertEqual(worker.wait(), 0)

    def test_a_stopped_worker_is_shown_as_suspect_and_waited_for_by_name(self):
        with cluster.Cluster(workers=2, servers=2, time_scale=0.5) as c:
            workers = c.start_workers("--rounds", 2000, "--delay-ms", 2)
            workers[1].expect(r"round 20$")
            workers[1].signal(signal.SIGSTOP)
            end = time.monotonic() + cluster.DEADLINE_S
            while True:
                status = json.loads(
                    c.kvctl("status", "--scheduler", c.address, "--output", "json").stdout)
                suspects = [n["node"] for n in status["nodes"] if n["health"] == "suspect"]
                waited = [r for r in status["open_rounds"] if r["missing"] == ["worker 1"]]
                if suspects and waited:
                    break
                self.assertLess(time.monotonic(), end, json.dumps(status, indent=1))
            self.assertEqual(suspects, ["worker 1"])
            self.assertRegex(c.status(), r"worker 1 +\S+ +suspect(.|\n)*worker 1 \(suspect\)")
            print(c.status())
            self.ask_why(c, waited[0]["key"])
            workers[1].signal(signal.SIGCONT)
            for worker in workers:
                worker.expect(r"done 2000$")
                self.assertEqual(worker.wait(), 0)

    def ask_why(self, c, key):
        """What an operator asks when a job stands still: worker 1 of it is stopped."""
        def ask(*arguments):
            said = c.kvctl(*arguments, "--scheduler", c.address).stdout
            print("kvctl", *arguments, "\n" + said)
            return said
        self.assertRegex(ask("rounds"), rf"(?m)^{key} +\d+ .*worker 1 \(suspect\)$")
        self.assertEqual(ask("barrier"), "no open barriers\n")
        self.assertRegex(ask("nodes"), r"worker 1 +\S+ +suspect")
        of_key = ask("explain", key)
        self.assertRegex(of_key, rf"round \d+ of key {key} at server \d, open for [0-9.]+ s: waits "
                                 r"for worker 1 \(suspect\)")
        self.assertRegex(of_key, r"worker 1 \(\S+\): suspect, last heard [0-9.]+ s ago")
        self.assertRegex(ask("explain", "--worker", "1"), rf"of key {key} at .*: waits for it")
        self.assertRegex(ask("explain", "--worker", "0"), r"wait for worker 1 \(suspect\)")
        why = json.loads(c.kvctl("explain", "--worker", "1", "--scheduler", c.address, "--output",
                                 "json").stdout)
        self.assertTrue(why["waits"])
        for arguments, code, words in (
                (("explain",), 2, "either KEY or --worker R expected"),
                (("explain", key, "--worker", "1"), 2, "either KEY or --worker R expected"),
                (("explain", "nothing"), 1, "nothing"),
                (("explain", "--worker", "5"), 1, "there is no worker 5 (2 of 2 workers are there)"),
                (("command", "14", "x"), 1, "UNIMPLEMENTED: command 14: a controller expected")):
            result = c.kvctl(*arguments, "--scheduler", c.address, check=False)
            self.assertEqual(result.returncode, code, result.stdout)
            self.assertIn(words, result.stdout)

    def test_workers_at_a_barrier_and_the_one_they_wait_for_are_named(self):
        with tempfile.NamedTemporaryFile() as lock, cluster.Cluster(workers=2, servers=1) as c:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # On an asynchronous store only the barrier at the end waits for others.
            arguments = ("--store", "dist_async", "--rounds", 5)
            workers = [c.start_worker(0, *arguments),
                       c.start_worker(1, *arguments, "--wait-for", lock.name)]
            workers[1].expect("waits$")
            workers[0].expect("round 5$")
            end = time.monotonic() + cluster.DEADLINE_S
            said = ""
            while not re.search(r"(?m)^\d+ .* worker 0 +worker 1$", said):
                self.assertLess(time.monotonic(), end, said)
                said = c.kvctl("barrier", "--scheduler", c.address).stdout
            print(said)
            why = c.kvctl("explain", "--worker", "1", "--scheduler", c.address).stdout
            self.assertRegex(why, r"barrier \d+, open for .*: waits for it")
            why = c.kvctl("explain", "--worker", "0", "--scheduler", c.address).stdout
            self.assertRegex(why, r"barrier \d+, open for .*: it is there, and waits for worker 1")
            fcntl.flock(lock, fcntl.LOCK_UN)
            for worker in workers:
                worker.expect("done 5$")
                self.assertEqual(worker.wait(), 0)

    def test_an_operation_past_its_deadline_names_the_stopped_worker_and_goes_on(self):
        with cluster.Cluster(workers=2, servers=1) as c:
            workers = [c.start_worker(rank, "--rounds", 1000000,
                                      env={"KVSTORE_OP_TIMEOUT_MS": "1500"}) for rank in (0, 1)]
            workers[0].expect(r"round 20$")
            workers[1].signal(signal.SIGSTOP)
            match = workers[0].expect(r"error (\w+) after ([0-9.]+) s: (.*)$")
            self.assertEqual(match.group(1), "DEADLINE_EXCEEDED")
            self.assertIn("worker 1", match.group(3))
            print(f"  {match.group(0)}")

    def test_a_worker_that_throws_tells_the_others_at_once(self):
        with cluster.Cluster(workers=2, servers=1) as c:
            workers = [c.start_worker(0, "--rounds", 1000000),
                       c.start_worker(1, "--rounds", 1000000, "--abandon-after", 20)]
            workers[1].expect(r"wrong: abandoned on purpose")
            match = workers[0].expect(r"error (\w+) after ([0-9.]+) s: (.*)$")
            self.assertEqual(match.group(1), "FAILED_PRECONDITION")
            self.assertIn("worker 1", match.group(3))
            self.assertLess(float(match.group(2)), VERDICT_S)

    def test_a_worker_that_leaves_is_not_waited_for(self):
        with cluster.Cluster(workers=3, servers=2) as c:
            workers = c.start_workers("--rounds", 100, "--leaver", 2, "--leave-after", 30)
            workers[2].expect(r"left 30$")
            self.assertEqual(workers[2].wait(), 0)
            for rank in (0, 1):
                workers[rank].expect(r"done 100$")
                self.assertEqual(workers[rank].wait(), 0)

    def test_asynchronous_pushes_count_once_while_the_scheduler_dies(self):
        with cluster.Cluster(workers=3, servers=2) as c:
            workers = c.start_workers("--store", "dist_async", "--rounds", 300, "--delay-ms", 5)
            for round_ in (20, 100):
                workers[0].expect(rf"round {round_}$")
                c.scheduler.kill()
                c.scheduler.wait()
                c.restart_scheduler()
            for worker in workers:
                worker.expect(r"done 300$")
                self.assertEqual(worker.wait(), 0)

    def test_doubles_have_the_closed_formula_too(self):
        with cluster.Cluster(workers=3, servers=2) as c:
            # Two parts and a bit: 2^17 doubles are a part.
            workers = c.start_workers("--rounds", 10, "--dtype", "f64", "--elements", 300001)
            for worker in workers:
                worker.expect(r"done 10$")
                self.assertEqual(worker.wait(), 0)

    def test_a_second_job_runs_on_the_same_cluster(self):
        with cluster.Cluster(workers=2, servers=2) as c:
            for _ in range(3):
                workers = c.start_workers("--rounds", 20)
                for worker in workers:
                    worker.expect(r"done 20$")
                    self.assertEqual(worker.wait(), 0)

    def test_after_a_failed_job_a_new_one_starts_clean(self):
        with cluster.Cluster(workers=2, servers=2) as c:
            workers = c.start_workers("--rounds", 1000000)
            workers[1].expect(r"round 20$")
            workers[1].kill()
            self.assert_error(workers[0], "FAILED_PRECONDITION", r"worker 1")
            workers = c.start_workers("--rounds", 20)
            for worker in workers:
                worker.expect(r"done 20$")
                self.assertEqual(worker.wait(), 0)


if __name__ == "__main__":
    unittest.main()
