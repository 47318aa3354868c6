"""Shared memory between real processes: who uses it, that the values are the same without it, and
that a killed or stopped process does no harm to the others. train_worker checks every value."""

import fcntl
import json
import os
import signal
import subprocess
import tempfile
import unittest

import cluster

WORKERS, SERVERS, SHARDS = 2, 2, 2
STREAMS = WORKERS * SHARDS  # of a server
MODEL = ("--keys", 3, "--elements", 3000000)  # 12 MB each, 12 parts


class SharedMemory(unittest.TestCase):
    def start(self, *server_flags):
        c = cluster.Cluster(workers=WORKERS, servers=SERVERS, shards=SHARDS,
                            server_flags=server_flags)
        self.addCleanup(c.__exit__)
        return c

    def streams(self, c):
        """(open, in memory) of each server."""
        said = json.loads(c.kvctl("status", "--scheduler", c.address, "--output", "json").stdout)
        return [(node["streams"], node["streams_in_memory"]) for node in said["nodes"]
                if node["role"] == "server"]

    def train(self, c, environments):
        """Runs a job of a few rounds; what its streams were while all workers waited."""
        with tempfile.NamedTemporaryFile() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            workers = [c.start_worker(rank, "--rounds", 6, *MODEL, "--wait-for", lock.name, env=env)
                       for rank, env in enumerate(environments)]
            for worker in workers:
                worker.expect("waits$")
            streams = self.streams(c)
            fcntl.flock(lock, fcntl.LOCK_UN)
            for worker in workers:
                self.assertEqual(worker.wait(), 0, worker.text())
        return streams

    def test_all_streams_of_one_host_and_user_go_through_memory(self):
        self.assertEqual(self.train(self.start(), [{}, {}]), [(STREAMS, STREAMS)] * SERVERS)

    def test_off_at_either_end_means_over_the_network(self):
        off = {"KVSTORE_SHARED_MEMORY": "off"}
        self.assertEqual(self.train(self.start(), [off, {}]), [(STREAMS, SHARDS)] * SERVERS)
        self.assertEqual(self.train(self.start("--shared-memory", "off"), [{}, {}]),
                         [(STREAMS, 0)] * SERVERS)

    def test_a_worker_of_another_user_goes_over_the_network(self):
        if os.geteuid() != 0:
            self.skipTest("only root can start a process of another user")
        as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        program = os.path.join(cluster.TESTS, "train_worker")
        if subprocess.run([*as_nobody, "test", "-x", program], check=False).returncode != 0:
            self.skipTest("another user cannot reach the test's programs here")
        c = self.start()
        with tempfile.NamedTemporaryFile() as lock:
            os.chmod(lock.name, 0o644)
            fcntl.flock(lock, fcntl.LOCK_EX)
            mine = c.start_worker(0, "--rounds", 6, *MODEL, "--wait-for", lock.name)
            other = c.start_worker(1, "--rounds", 6, *MODEL, "--wait-for", lock.name,
                                   prefix=as_nobody)
            for worker in (mine, other):
                worker.expect("waits$")
            self.assertEqual(self.streams(c), [(STREAMS, SHARDS)] * SERVERS)
            fcntl.flock(lock, fcntl.LOCK_UN)
            for worker in (mine, other):
                self.assertEqual(worker.wait(), 0, worker.text())

    def test_a_server_that_is_stopped_in_the_middle_goes_on(self):
        c = self.start()
        workers = [c.start_worker(rank, "--rounds", 30, *MODEL) for rank in range(WORKERS)]
        for round_ in (5, 10):
            workers[0].expect(rf"round {round_}$")
            c.server[1].signal(signal.SIGSTOP)
            # Until the worker has filled all that the server does not take: it says no more.
            with self.assertRaises(AssertionError):
                workers[0].expect("round 30$", seconds=1.5)
            c.server[1].signal(signal.SIGCONT)
        for worker in workers:
            self.assertEqual(worker.wait(), 0, worker.text())

    def test_nothing_is_left_of_a_worker_that_was_killed(self):
        c = self.start()
        workers = [c.start_worker(rank, "--rounds", 100000, *MODEL) for rank in range(WORKERS)]
        workers[0].expect("round 5$")
        workers[1].kill()
        workers[0].expect("error ")
        workers[0].wait()
        # The servers have let go of the lanes, and take the next job.
        self.assertEqual(self.train(c, [{}, {}]), [(STREAMS, STREAMS)] * SERVERS)
        for server in c.server:
            with open(f"/proc/{server.popen.pid}/maps", encoding="utf-8") as maps:
                lanes = sum("kvstore-lanes" in line for line in maps)
            self.assertLessEqual(lanes, STREAMS)


if __name__ == "__main__":
    unittest.main()
