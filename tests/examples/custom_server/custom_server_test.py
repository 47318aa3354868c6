"""A server program with its own updater, in real processes: `kvctl run --server-program`.

    custom_server_test.py KVCTL SERVER WORKER
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

KVCTL, SERVER, WORKER = (sys.argv.pop(1) for _ in range(3))
DEADLINE_S = 120
ELEMENTS = 600000


class CustomServer(unittest.TestCase):
    def test_votes_are_counted_by_the_servers_own_updater_and_a_command_changes_the_step(self):
        for servers, shards in ((1, 1), (2, 2), (3, 1)):
            with self.subTest(servers=servers, shards=shards):
                run = subprocess.run(
                    [KVCTL, "run", "-n", "3", "-s", str(servers), "--shards", str(shards),
                     "--server-program", SERVER, "--", WORKER],
                    capture_output=True, text=True, timeout=DEADLINE_S, check=False)
                output = run.stdout + run.stderr
                self.assertEqual(run.returncode, 0, output)
                # Two rounds of a quarter and two of 2, against the majority of three bits: of each
                # eight elements four have it.
                for worker in range(3):
                    for value in ("-4.5", "4.5"):
                        self.assertIn(f"[worker {worker}] {ELEMENTS // 2} elements are {value}\n",
                                      run.stdout, output)
                # Once on every server.
                self.assertEqual(sorted(re.findall(r"\[(server \d)\] step 2\n", run.stdout)),
                                 [f"server {n}" for n in range(servers)], output)
                refused = re.findall(r"\[worker 0\] refused: (.*)", run.stdout)
                self.assertEqual(len(refused), 1, output)
                self.assertTrue(refused[0].startswith("UNKNOWN: server 0 (127.0.0.1:"), refused)
                for server in range(servers):
                    self.assertRegex(refused[0], rf"server {server} \(\S+\): command 6: the "
                                     "controller threw a step above 0 expected, got -1")

    def test_a_server_may_end_before_the_workers_once_the_job_is_over(self):
        with tempfile.TemporaryDirectory() as folder:
            # The server has it open as long as it lives; worker 0 reads until then.
            fifo = os.path.join(folder, "alive")
            os.mkfifo(fifo)
            server = os.path.join(folder, "server")
            with open(server, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\nexec 9>'{fifo}' '{SERVER}'\n")
            os.chmod(server, 0o755)
            worker = f"[ $KVSTORE_RANK = 0 ] || exec '{WORKER}'; exec 9<'{fifo}'; '{WORKER}' && cat <&9"
            run = subprocess.run(
                [KVCTL, "run", "-n", "3", "--server-program", server, "--", "sh", "-c", worker],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S,
                check=False)
            self.assertEqual(run.returncode, 0, run.stdout)


if __name__ == "__main__":
    unittest.main()
