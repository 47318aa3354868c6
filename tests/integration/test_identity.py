"""One training program gives one sha256 of all weights: alone, and on clusters of 1, 2, 3 and 5
servers with 3 workers and random delays. `KVS_TEST_FULL=1` repeats it 20 times."""

import os
import subprocess
import unittest

import cluster

DIGITS = os.path.join(cluster.BIN, "digits")
WORKERS = 3
REPEATS = 20 if os.environ.get("KVS_TEST_FULL") else 1
DATA = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "digits", "data",
                    "digits.csv")
COMMON = ["--data", DATA, "--epochs", "2"]
SEED = ["--seed", "7"]


def sha_lines(text):
    return [line.split("weights sha256 ")[1].split()[0] for line in text.splitlines()
            if "weights sha256 " in line]


class Identity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        local = subprocess.run([DIGITS, "--store", "local", "--simulate-workers", str(WORKERS),
                                *COMMON, *SEED], text=True, stdout=subprocess.PIPE, check=True,
                               timeout=cluster.DEADLINE_S)
        (cls.expected,) = sha_lines(local.stdout)
        print(f"local with {WORKERS} contributions: {cls.expected}")

    def test_dist_sync_gives_the_bits_of_local(self):
        for repeat in range(REPEATS):
            for servers, shards in ((1, 1), (2, 2), (3, 1), (5, 3)):
                with self.subTest(servers=servers, shards=shards, repeat=repeat), \
                        cluster.Cluster(workers=WORKERS, servers=servers, shards=shards) as c:
                    workers = [c.start(f"worker {rank}",
                                       [DIGITS, "--store", "dist_sync", "--delay-ms", "2", *COMMON,
                                        *SEED],
                                       c.env(rank)) for rank in range(WORKERS)]
                    for worker in workers:
                        self.assertEqual(worker.wait(), 0, c.text())
                    shas = {sha for w in workers for sha in sha_lines(w.text())}
                    print(f"{servers} servers of {shards} shards: {' '.join(sorted(shas))}")
                    self.assertEqual(shas, {self.expected})

    def test_another_seed_gives_other_bits(self):
        other = subprocess.run([DIGITS, "--store", "local", "--simulate-workers", str(WORKERS),
                                *COMMON, "--seed", "8"], text=True, stdout=subprocess.PIPE,
                               check=True, timeout=cluster.DEADLINE_S)
        self.assertNotEqual(sha_lines(other.stdout), [self.expected])


if __name__ == "__main__":
    unittest.main()
