"""kvctl keys, get, reset and delete on real daemons, while workers train."""

import json
import os
import re
import tempfile
import unittest

from cluster import TESTS, Cluster

try:
    import numpy as np
except ImportError:  # then files are not looked into
    np = None

KEYS, ELEMENTS = 12, 600000  # three parts each


class Keys(unittest.TestCase):
    def kvctl(self, cluster, command, *arguments):
        return cluster.kvctl(command, "--scheduler", cluster.address, *arguments).stdout

    def json(self, cluster, command, *arguments):
        return json.loads(self.kvctl(cluster, command, "--output", "json", *arguments))

    def listed(self, cluster, *prefix):
        return [key["key"] for key in self.json(cluster, "keys", *prefix)["keys"]]

    def test_keys_are_listed_and_deleted_while_workers_use_them(self):
        with Cluster(workers=2, servers=2, shards=2) as c:
            self.assertEqual(self.kvctl(c, "keys"), "no such keys\n")
            workers = c.start_workers("--rounds", 1000000, "--keys", KEYS, "--elements", ELEMENTS)
            for worker in workers:
                worker.expect(r"round 2$")
            first = self.json(c, "keys")["keys"][0]
            self.assertEqual({name: first[name] for name in ("key", "dtype", "storage", "shape", "parts")},
                             {"key": "0", "dtype": "f32", "storage": "dense", "shape": [ELEMENTS],
                              "parts": 3})
            self.assertEqual(self.listed(c, "1"), ["1", "10", "11"])
            self.assertRegex(self.kvctl(c, "keys", "3"), r"(?m)^3 +f32 +\[600000\] +dense +3 +\d+$")

            asked = self.json(c, "delete", "1", "--prefix", "--dry-run")
            self.assertEqual(asked, {"deleted": [{"key": "1", "parts": 3}, {"key": "10", "parts": 3},
                                                 {"key": "11", "parts": 3}],
                                     "dry_run": True, "errors": []})
            self.assertEqual(len(self.listed(c)), KEYS)

            self.assertEqual(self.json(c, "delete", "1")["deleted"], [{"key": "1", "parts": 3}])
            told = [worker.expect(r"error (\w+) after [0-9.]+ s: \w+: (.*)$") for worker in workers]
            # The one that hears first ends the job for the other, which may hear of that first.
            self.assertIn(("NOT_FOUND", "key 1 was deleted"), [match.groups() for match in told],
                          c.text())
            self.assertNotIn("1", self.listed(c))
            self.assertEqual(self.kvctl(c, "delete", "1"), "no such keys\n")
            self.assertEqual(len(self.json(c, "delete", "1", "--prefix")["deleted"]), 2)
            self.assertEqual(len(self.listed(c)), KEYS - 3)

    def test_all_keys_are_listed_however_many_there_are(self):
        with Cluster(workers=1, servers=2, shards=2) as c:
            c.start_workers("--rounds", 1000000, "--keys", 2500, "--elements", 1)[0].expect(r"round 1$")
            for command in ("keys", "stats"):
                self.assertEqual([key["key"] for key in self.json(c, command)["keys"]],
                                 [str(key) for key in range(2500)])
            self.assertEqual(len(self.listed(c, "12")), 111)

    def test_a_value_is_read_whole_while_workers_push_it(self):
        with Cluster(workers=2, servers=2, shards=2) as c, tempfile.TemporaryDirectory() as folder:
            workers = c.start_workers("--rounds", 1000000, "--keys", 1, "--elements", ELEMENTS)
            for worker in workers:
                worker.expect(r"round 2$")
            path = os.path.join(folder, "0.npy")
            for _ in range(3):
                shown = self.kvctl(c, "get", "0", "--output", path)
                versions = [int(version) for version in re.findall(
                    r"\d+", re.search(r"versions? ([\d, and]+)", shown).group(1))]
                if np is None:
                    continue
                value = np.load(path)
                self.assertEqual((value.dtype, value.shape), (np.float32, (ELEMENTS,)))
                # Version n is n times 1 + 2; a part is of one version.
                parts = [np.unique(value[first:first + (1 << 18)]) for first in
                         range(0, ELEMENTS, 1 << 18)]
                self.assertTrue(all(len(part) == 1 for part in parts))
                self.assertEqual(sorted({int(part[0]) for part in parts}),
                                 [3 * version for version in versions])
            self.assertEqual(os.listdir(folder), ["0.npy"])

    def test_values_of_all_kinds_are_read_and_keys_are_reset(self):
        with Cluster(workers=2, servers=2, shards=2) as c, tempfile.TemporaryDirectory() as folder:
            workers = [c.start(f"worker {rank}", [os.path.join(TESTS, "keys_worker")], c.env(rank))
                       for rank in range(2)]
            for worker in workers:
                worker.expect("made$")
            self.check_shown(c)
            self.check_files(c, folder)
            self.check_refusals(c, folder)

            asked = self.json(c, "reset", "moving", "dense", "--dry-run")
            self.assertEqual(asked, {"reset": [{"key": "dense", "parts": 3}, {"key": "moving", "parts": 1}],
                                     "dry_run": True, "errors": []})
            self.assertIn("RESET PARTS", self.kvctl(c, "reset", "mov", "--prefix"))
            told = [worker.expect(r"went on (\S+) (\S+)$").groups() for worker in workers]
            self.assertEqual(told[0], told[1])
            # Momentum began anew: one step of rate 1 along the sum of two ones.
            self.assertEqual(float(told[0][0]) - float(told[0][1]), 2.0)
            self.assertEqual([worker.wait() for worker in workers], [0, 0])

    def check_shown(self, c):
        shown = self.kvctl(c, "get", "dense")
        self.assertEqual(shown.splitlines(), [
            "dense: f32 [600,1000], dense, 3 parts, version 0",
            "first values: 0 1 2 3 4 5",
            "last values: 599994 599995 599996 599997 599998 599999"])
        self.assertEqual(self.kvctl(c, "get", "ints", "--rows", "1:").splitlines(), [
            "ints: i64 [3,2], dense, 1 part, version 0", "values: -14 -21 -28 -35"])
        self.assertIn("values: 0 1\n", self.kvctl(c, "get", "flags"))
        self.assertIn("values: 0 1 2 3 4\n", self.kvctl(c, "get", "half"))
        rows = self.kvctl(c, "get", "rows").splitlines()
        self.assertEqual(rows[0], "rows: f32 [100000,8], row_sparse, 61 parts, version 0")
        self.assertEqual(rows[1:], ["row 0: zero", "row 1: zero", "row 2: zero", "row 99997: zero",
                                    "row 99998: zero", "row 99999: 24 25 26 27 28 29 ..."])

    def check_files(self, c, folder):
        if np is None:
            return

        def saved(*arguments):
            path = os.path.join(folder, "w.npy")
            shown = self.kvctl(c, "get", *arguments, "--output", path)
            self.assertIn(path, shown)
            return np.load(path), shown

        dense = np.arange(600000, dtype=np.float32).reshape(600, 1000)
        np.testing.assert_array_equal(saved("dense")[0], dense)
        np.testing.assert_array_equal(saved("dense", "--rows", "250:301")[0], dense[250:301])
        self.assertEqual(saved("dense", "--rows", "7:7")[0].shape, (0, 1000))
        ints, _ = saved("ints")
        self.assertEqual((ints.dtype, ints.tolist()), (np.int64, [[0, -7], [-14, -21], [-28, -35]]))
        flags, _ = saved("flags")
        self.assertEqual((flags.dtype, flags.tolist()), (np.bool_, [False, True]))
        half, shown = saved("half")
        self.assertEqual((half.dtype, half.tolist()), (np.float32, [0, 1, 2, 3, 4]))
        self.assertIn("bf16 as f32", shown)
        for selected, expected in (((), [3, 50000, 50001, 99999]),
                                   (("--rows", "4:50001"), [50000])):
            rows, shown = saved("rows", *selected)
            ids = np.load(os.path.join(folder, "w.ids.npy"))
            self.assertIn("w.ids.npy", shown)
            self.assertEqual((ids.dtype, ids.tolist()), (np.int64, expected))
            every = {3: 0, 50000: 8, 50001: 16, 99999: 24}
            np.testing.assert_array_equal(
                rows, np.array([np.arange(8) + every[row] for row in expected], np.float32))

    def check_refusals(self, c, folder):
        def refused(code, *arguments):
            result = c.kvctl("get", "--scheduler", c.address, *arguments, check=False)
            self.assertEqual(result.returncode, code, result.stdout)
            return result.stdout

        self.assertIn("key dens: there is none; the nearest: dense", refused(1, "dens"))
        self.assertIn("key zzzzzzz: there is none (of 6 keys)", refused(1, "zzzzzzz"))
        self.assertIn("A:B with 0 <= A <= B <= 600 expected, got '2:601'",
                      refused(2, "dense", "--rows", "2:601"))
        self.assertIn("got '3'", refused(2, "dense", "--rows", "3"))
        nowhere = os.path.join(folder, "none", "w.npy")
        self.assertIn(f"{nowhere}: cannot be written: No such file or directory",
                      refused(1, "dense", "--output", nowhere))
        self.assertIn("cannot be written", refused(1, "rows", "--output", nowhere))

    def test_a_name_is_wanted(self):
        with Cluster(workers=1, servers=1) as c:
            refused = c.kvctl("delete", "--scheduler", c.address, check=False)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("key is required", refused.stdout)


if __name__ == "__main__":
    unittest.main()
