"""kvctl keys and kvctl delete on real daemons, while workers train."""

import json
import unittest

from cluster import Cluster

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

    def test_a_name_is_wanted(self):
        with Cluster(workers=1, servers=1) as c:
            refused = c.kvctl("delete", "--scheduler", c.address, check=False)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("key is required", refused.stdout)


if __name__ == "__main__":
    unittest.main()
