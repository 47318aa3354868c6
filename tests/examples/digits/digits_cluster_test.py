"""The whole system on real data: `kvctl run -- digits` on real daemons.

    digits_cluster_test.py KVCTL DIGITS CSV CUDA_PLUGIN

CUDA_PLUGIN is the one for simulated GPUs.

With KVS_TEST_FULL=1 the comparison of weights is repeated 20 times.
"""

import os
import re
import signal
import subprocess
import sys
import unittest

KVCTL, DIGITS, CSV, CUDA_PLUGIN = (sys.argv.pop(1) for _ in range(4))
REPEATS = 20 if os.environ.get("KVS_TEST_FULL") else 1
DEADLINE_S = 120
WORKERS = 3


def run(*command, **environment):
    """stdout; both outputs of a failing command are in the exception."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
                          env={**os.environ, **environment})
    if done.returncode != 0:
        raise AssertionError(f"{command} returned {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def hashes(output):
    return re.findall(r"weights sha256 ([0-9a-f]{64})", output)


class DigitsOnACluster(unittest.TestCase):
    def test_dist_sync_has_the_bits_of_local_for_any_number_of_servers_and_any_timing(self):
        # 6,000 hidden units: the largest value has two parts.
        program = [DIGITS, "--data", CSV, "--epochs", "1", "--batch", "48", "--hidden", "6000"]
        local = hashes(run(*program, "--store", "local", "--simulate-workers", str(WORKERS)))
        self.assertEqual(len(local), 1)
        for repeat in range(REPEATS):
            for servers in (1, 2, 3, 5):
                with self.subTest(servers=servers, repeat=repeat):
                    output = run(KVCTL, "run", "-n", str(WORKERS), "-s", str(servers), "--",
                                 *program, "--store", "dist_sync", "--delay-ms", "20")
                    self.assertEqual(hashes(output), local * WORKERS, output)

    def test_two_workers_and_two_servers_learn_the_digits(self):
        output = run(KVCTL, "run", "-n", "2", "-s", "2", "--", DIGITS, "--data", CSV,
                     "--store", "dist_sync", "--min-accuracy", "96")
        self.assertEqual(len(re.findall(
            r"\[worker 0\] epoch +\d+  loss [\d.]+  accuracy [\d.]+ %  \d+ rounds/s  [\d.]+ MB/s",
            output)), 20, output)
        self.assertRegex(output, r"\[worker 0\] test accuracy 9[6-9]\.\d %")
        self.assertEqual(len(set(hashes(output))), 1)

    def test_arrays_on_gpus_have_the_bits_of_arrays_in_host_memory(self):
        # 2 workers, each with two GPUs, which both have parts of the sum of the largest value.
        program = [DIGITS, "--data", CSV, "--epochs", "1", "--batch", "48", "--hidden", "6000",
                   "--devices", "2"]
        cluster = [KVCTL, "run", "-n", "2", "-s", "2", "--", *program]
        gpus = ["--context", "gpu"]
        plugin = {"KVSTORE_CUDA_PLUGIN": CUDA_PLUGIN}
        on_host = hashes(run(*cluster, "--store", "dist_sync"))
        self.assertEqual(len(on_host), 2)
        for store in ("dist_device_sync", "dist_sync"):
            with self.subTest(store=store):
                output = run(*cluster, "--store", store, *gpus, **plugin)
                self.assertEqual(hashes(output), on_host[:1] * 4, output)  # one line for each GPU
        with self.subTest(store="device"):
            local = hashes(run(*program, "--store", "local", "--simulate-workers", "2"))
            output = run(*program, "--store", "device", "--simulate-workers", "2", *gpus, **plugin)
            self.assertEqual(hashes(output), local * 2, output)

    def test_ctrl_c_ends_a_training_cluster(self):
        with subprocess.Popen(
                [KVCTL, "run", "-n", "2", "-s", "2", "--", DIGITS, "--data", CSV,
                 "--store", "dist_sync", "--epochs", "100000"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            lines = []
            while not any("epoch" in line for line in lines):
                lines.append(process.stdout.readline())
                self.assertTrue(lines[-1], f"ended early: {lines}")
            process.send_signal(signal.SIGINT)
            lines += process.stdout.readlines()
            self.assertEqual(process.wait(DEADLINE_S), 128 + signal.SIGINT)
            output = "".join(lines)
            self.assertIn("SIGINT: ending", output)
            self.assertNotIn("did not end on SIGTERM", output)


if __name__ == "__main__":
    unittest.main()
