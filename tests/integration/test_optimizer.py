"""kvctl optimizer on real daemons, while workers train."""

import fcntl
import json
import os
import tempfile
import unittest

from cluster import Cluster


class Optimizer(unittest.TestCase):
    def kvctl(self, cluster, verb, *arguments, check=True):
        return cluster.kvctl("optimizer", verb, "--scheduler", cluster.address,
                             *(str(argument) for argument in arguments), check=check)

    def shown(self, cluster):
        return json.loads(self.kvctl(cluster, "show", "--output", "json").stdout)

    def test_numbers_change_exactly_at_the_step_while_workers_train(self):
        with Cluster(workers=2, servers=2, shards=2) as c, tempfile.TemporaryDirectory() as folder:
            go = os.path.join(folder, "go")
            held = open(go, "w", encoding="ascii")
            fcntl.flock(held, fcntl.LOCK_EX)
            # From step 6 on, which is round 7, each sum counts three times: the workers check it.
            workers = c.start_workers("--rounds", 20, "--keys", 9, "--elements", 600000,
                                      "--changed-from", 6, "--wait-for", go)
            for worker in workers:
                worker.expect(r"waits$")
            before = self.shown(c)
            self.assertEqual([(s["optimizer"], s["changes"], s["held"]) for s in before["servers"]],
                             [("test", [], None)] * 2)
            late = self.kvctl(c, "set", "rescale_grad=3", "--from-step", 1, check=False)
            self.assertEqual(late.returncode, 1)
            self.assertIn("nothing is changed: server 0: a step above 2 expected", late.stdout)
            for twice in range(2):
                self.kvctl(c, "set", "rescale_grad=3", "--from-step", 6)
            for server in self.shown(c)["servers"]:
                self.assertEqual(server["changes"], [{"from_step": 6, "numbers": {"rescale_grad": 3}}])
                self.assertIsNone(server["held"])
            self.assertRegex(self.kvctl(c, "show").stdout,
                             r"(?m)^1 +test +from step 6: rescale_grad=3$")
            held.close()
            for worker in workers:
                worker.expect(r"done 20$")
                self.assertEqual(worker.wait(), 0)

    def test_what_cannot_be_is_refused_and_changes_nothing(self):
        with Cluster(workers=1, servers=2) as c:
            nobody = self.kvctl(c, "set", "wd=1", "--from-step", 5, check=False)
            self.assertEqual(nobody.returncode, 1)
            self.assertIn("a job expected", nobody.stdout)
            worker, = c.start_workers("--rounds", 1000000, "--changed-from", 1000000)
            worker.expect(r"round 3$")
            for wrong, message in (("learning_rate=1", "rescale_grad"), ("rescale_grad=0", "rescale_grad")):
                refused = self.kvctl(c, "set", wrong, "--from-step", 900000, check=False)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("nothing is changed: server 0: ", refused.stdout)
                self.assertIn(message, refused.stdout)
            for wrong in ("rescale_grad", "rescale_grad=much", "=1"):
                refused = self.kvctl(c, "set", wrong, "--from-step", 900000, check=False)
                self.assertEqual(refused.returncode, 2)
                self.assertIn("NAME=VALUE with a number expected", refused.stdout)
            self.assertEqual(self.kvctl(c, "set", "wd=1", check=False).returncode, 2)
            self.kvctl(c, "drop")  # nothing is held
            self.assertEqual([(s["changes"], s["held"]) for s in self.shown(c)["servers"]],
                             [([], None)] * 2)
            worker.expect(r"round \d+$")


if __name__ == "__main__":
    unittest.main()
