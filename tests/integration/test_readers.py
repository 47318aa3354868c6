"""Readers beside real jobs: they see what the workers train, and are in nobody's way."""

import json
import os
import unittest

from cluster import TESTS, Cluster

ELEMENTS = 600000  # three parts


class Readers(unittest.TestCase):
    def start_reader(self, cluster, *arguments, env=None):
        return cluster.start("reader", [
            os.path.join(TESTS, "reader_worker"), "--workers", str(cluster.workers), *map(str, arguments)],
            {**cluster.env(), "KVSTORE_ROLE": "reader", **(env or {})})

    def test_a_reader_that_comes_first_reads_until_the_job_is_over(self):
        with Cluster(workers=2, servers=2, shards=2) as c:
            reader = self.start_reader(c, "--keys", 2, "--elements", ELEMENTS)
            by_option = self.start_reader(c, "--keys", 1, "--elements", ELEMENTS, "--by-option",
                                          env={"KVSTORE_ROLE": "worker"})
            workers = c.start_workers("--rounds", 60, "--keys", 2, "--elements", ELEMENTS,
                                      "--delay-ms", 10)
            for each in (reader, by_option):
                each.expect(r"^reader joined$")
                each.expect(r"^reader pulled 3 at \d+$")
            status = c.status()
            self.assertRegex(status, r"2 of 2 workers and 2 of 2 servers alive, 2 readers\n")
            self.assertRegex(status, r"(?m)^reader +\S+:\d+ +alive ")
            shown = json.loads(c.kvctl("status", "--scheduler", c.address, "--output", "json").stdout)
            self.assertEqual([node["node"] for node in shown["nodes"]],
                             ["server 0", "server 1", "worker 0", "worker 1", "reader", "reader"])
            for worker in workers:
                worker.expect(r"done 60$")
                self.assertEqual(worker.wait(), 0)
            for each in (reader, by_option):
                each.expect(r"^reader error FAILED_PRECONDITION: .*the job is over: every worker left")
                self.assertEqual(each.wait(), 3)

    def test_readers_are_killed_and_come_again_while_the_job_trains(self):
        with Cluster(workers=2, servers=2) as c:
            workers = c.start_workers("--rounds", 120, "--keys", 2, "--elements", ELEMENTS,
                                      "--delay-ms", 10, "--barriers")
            for _ in range(4):
                readers = [self.start_reader(c, "--keys", 2, "--elements", ELEMENTS) for _ in range(2)]
                for reader in readers:
                    reader.expect(r"^reader pulled 2 at \d+$")
                    reader.kill()
                    reader.wait()
            leaver = self.start_reader(c, "--keys", 2, "--elements", ELEMENTS, "--pulls", 2)
            self.assertEqual(leaver.wait(), 0)
            # The workers check every element of every round themselves.
            for worker in workers:
                worker.expect(r"done 120$")
                self.assertEqual(worker.wait(), 0)
            self.assertNotIn("dead", "\n".join(c.scheduler.lines))

    def test_consistent_pulls_are_of_one_round_while_the_job_trains(self):
        with Cluster(workers=2, servers=2, shards=2) as c:
            c.start_workers("--rounds", 1000000, "--keys", 2, "--elements", ELEMENTS)
            reader = self.start_reader(c, "--keys", 2, "--elements", ELEMENTS, "--consistent",
                                       "--pulls", 20)
            reader.expect(r"^reader pulled 20 at \d+$")
            self.assertEqual(reader.wait(), 0)

    def test_consistent_pulls_of_rows_are_of_one_round_while_the_job_trains(self):
        with Cluster(workers=2, servers=2, shards=2) as c:
            table = ["--keys", 2, "--elements", ELEMENTS, "--row-width", 8]
            c.start_workers("--rounds", 1000000, *table)
            reader = self.start_reader(c, *table, "--pulls", 20)
            reader.expect(r"^reader pulled 20 at \d+$")
            self.assertEqual(reader.wait(), 0)

    def test_a_reader_reads_on_while_the_scheduler_is_started_again(self):
        with Cluster(workers=1, servers=1) as c:
            workers = c.start_workers("--rounds", 100, "--delay-ms", 20)
            reader = self.start_reader(c)
            reader.expect(r"^reader pulled 2 at \d+$")
            c.scheduler.kill()
            c.scheduler.wait()
            pulled = int(reader.expect(r"^reader pulled (\d+) at").group(1))
            reader.expect(rf"^reader pulled {pulled + 5} at")
            c.restart_scheduler()
            c.scheduler.expect(r"registered reader ")
            workers[0].expect(r"done 100$")
            reader.expect(r"^reader error FAILED_PRECONDITION: .*the job is over")

    def test_a_reader_hears_of_a_server_that_died_as_the_workers_do(self):
        with Cluster(workers=1, servers=2, time_scale=0.3) as c:
            c.start_workers("--rounds", 1000000)
            reader = self.start_reader(c)
            reader.expect(r"^reader pulled 2 at \d+$")
            c.server[1].kill()
            reader.expect(r"^reader error DATA_LOSS: .*server \d \(.*slots")

    def test_a_reader_without_a_job_says_for_what_it_waited(self):
        with Cluster(workers=2, servers=1) as c:
            reader = self.start_reader(c, env={"KVSTORE_CONNECT_TIMEOUT_MS": "500"})
            reader.expect(r"^reader error DEADLINE_EXCEEDED: no job for this reader has begun at scheduler "
                          r"\S+ after 500 ms: 0 of 2 workers and 1 of 1 servers are there")
            self.assertEqual(reader.wait(), 3)
            local = self.start_reader(c, "--store", "local", "--by-option")
            local.expect(r"^reader error INVALID_ARGUMENT: StoreOptions::reader: a dist store expected, got "
                         r"type 'local'")


if __name__ == "__main__":
    unittest.main()
