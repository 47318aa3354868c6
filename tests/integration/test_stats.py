"""kvctl stats on real daemons: what it says of keys whose values are known."""

import json
import math
import unittest

from cluster import Cluster

ROUNDS, WORKERS, KEYS, ELEMENTS = 10, 2, 3, 600000  # three parts each


class Stats(unittest.TestCase):
    def trained(self, *server_flags):
        cluster = Cluster(workers=WORKERS, servers=2, shards=2, server_flags=server_flags)
        self.addCleanup(cluster.__exit__)
        for worker in cluster.start_workers("--rounds", ROUNDS, "--keys", KEYS, "--elements",
                                            ELEMENTS):
            self.assertEqual(worker.wait(), 0, worker.text())
        return cluster

    def stats(self, cluster, *flags):
        said = cluster.kvctl("stats", "--scheduler", cluster.address, "--output", "json", *flags)
        return json.loads(said.stdout)

    def test_norms_pushes_and_failures_of_every_key(self):
        cluster = self.trained("--key-stats")
        told = self.stats(cluster)
        self.assertEqual(told["errors"], [])
        self.assertEqual([key["key"] for key in told["keys"]], ["0", "1", "2"])
        for number, key in enumerate(told["keys"]):
            # train_worker: worker r pushes (r + 1) (k + 1), and the servers add it up.
            sum_of_round = 3.0 * (number + 1)
            value = ROUNDS * sum_of_round
            self.assertEqual((key["parts"], key["version"], key["pushes"], key["failures"]),
                             (3, ROUNDS, ROUNDS * WORKERS, 0), key)
            self.assertEqual((key["elements"], key["not_finite"]), (ELEMENTS, 0), key)
            self.assertEqual((key["absmax"], key["sum_absmax"]), (value, sum_of_round), key)
            # JSON has six digits.
            self.assertAlmostEqual(key["norm"] / (value * math.sqrt(ELEMENTS)), 1, places=5)
            self.assertAlmostEqual(key["sum_norm"] / (sum_of_round * math.sqrt(ELEMENTS)), 1,
                                   places=5)
        table = cluster.kvctl("stats", "--scheduler", cluster.address, "--key", "1").stdout
        self.assertIn("1    3      10       20      0         4.648e+04  60      4648        6",
                      table)
        self.assertEqual(len(table.splitlines()), 2, table)

    def test_sums_are_not_measured_unless_asked_for(self):
        cluster = self.trained()
        key = self.stats(cluster, "--key", "2")["keys"][0]
        self.assertEqual((key["key"], key["absmax"]), ("2", 90.0 * ROUNDS / 10))
        self.assertNotIn("sum_norm", key)
        self.assertEqual(cluster.kvctl("stats", "--scheduler", cluster.address, "--key", "x").stdout,
                         "no such keys\n")


if __name__ == "__main__":
    unittest.main()
