"""Servers that the system gives less memory than their budget promises: what cannot be had is
refused, and the server lives. Real daemons under `prlimit --as`; the worker's lines are explained
in memory_worker.cc."""

import os
import re
import unittest

import cluster

LIMIT_MIB = 1000  # of addresses; a server that has nothing takes about a half


class Memory(unittest.TestCase):
    def start(self, limit_mib=LIMIT_MIB):
        self.cluster = cluster.Cluster(workers=1, servers=1, own_servers=True,
                                       server_flags=["--value-mib", "65536"])
        self.addCleanup(self.cluster.__exit__)
        self.server = self.cluster.start_server(limit_mib=limit_mib)

    def work(self, *arguments):
        worker = self.cluster.start("worker", [os.path.join(cluster.TESTS, "memory_worker"),
                                               *arguments], self.cluster.env())
        self.assertEqual(worker.wait(), 0, self.cluster.text())
        print("\n  " + "\n  ".join(worker.lines))
        return worker.text()

    def assert_refused(self, said, key):
        self.assertTrue(self.server.running(), self.cluster.text())
        self.assertRegex(said, r"before: ok")
        refused = re.search(r"big: RESOURCE_EXHAUSTED, nothing was done: (.*)", said)
        self.assertIsNotNone(refused, said)
        self.assertRegex(refused.group(1), key + r" part \d+: memory for \d+ bytes expected")
        self.assertRegex(said, r"after: ok")

    def test_a_value_for_which_there_is_no_memory_is_refused(self):
        self.start()
        self.assert_refused(self.work("--mib", "1200"), "key 'big'")

    def test_rows_for_which_there_is_no_memory_are_refused(self):
        self.start()
        self.assert_refused(self.work("--mib", "1200", "--as", "rows"), "key 'big'")

    def test_an_optimizer_for_whose_state_there_is_no_memory_is_refused(self):
        self.start()
        said = self.work("--mib", "300", "--as", "state")
        self.assertTrue(self.server.running(), self.cluster.text())
        self.assertRegex(said, r"before: ok")
        self.assertRegex(said, r"big: RESOURCE_EXHAUSTED, nothing was done: .*optimizer 'adam': "
                               r"memory for \d+ bytes more expected, \d+ for each shard, the system "
                               r"has no more")
        self.assertRegex(said, r"after: ok")

    def test_a_push_of_rows_for_which_there_is_no_memory_waits_and_others_go_on(self):
        self.start()
        worker = self.cluster.start("worker", [os.path.join(cluster.TESTS, "memory_worker"),
                                               "--mib", "1200", "--as", "pushed"],
                                    {**self.cluster.env(),
                                     "KVSTORE_OP_TIMEOUT_MS": f"{cluster.DEADLINE_S * 250:.0f}"})
        self.server.expect(r"refused to worker 0: PUSH key 'big' part \d+: memory for ")
        worker.expect(r"^before: ok$")
        worker.expect(r"^big: accepted$")
        worker.expect(r"^after: ok$")
        worker.expect(r"^waited: DEADLINE_EXCEEDED: .*server 0 \(\S+\), which puts requests off: "
                      r"RESOURCE_EXHAUSTED")
        self.assertTrue(self.server.running(), self.cluster.text())

    def test_a_server_full_of_values_has_room_for_rounds(self):
        self.start()
        self.assert_refused(self.work("--mib", "1200", "--as", "parts"), r"key 'big\d+'")

    def test_a_server_full_of_small_values_has_room_for_rounds(self):
        self.start()
        self.assert_refused(self.work("--mib", "1200", "--as", "small"), r"key 'big\d+'")


if __name__ == "__main__":
    unittest.main()
