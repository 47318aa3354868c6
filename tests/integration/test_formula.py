"""Many processes, every float dtype, dense and row-sparse: each value against its closed formula."""

import os
import re
import subprocess
import unittest

BIN = os.environ["KVS_TEST_BIN"]
TESTS = os.environ["KVS_TEST_PROGRAMS"]


class Formula(unittest.TestCase):
    def run_job(self, workers, servers, *arguments):
        result = subprocess.run(
            [f"{BIN}/kvctl", "run", "-n", str(workers), "-s", str(servers), "--",
             f"{TESTS}/formula_worker", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=280, check=False)
        self.assertEqual(result.returncode, 0, result.stdout)
        lines = re.findall(r"rank (\d+): (\d+) keys, (\d+) rounds, (\d+) elements as the formula says",
                           result.stdout)
        self.assertEqual(sorted(int(line[0]) for line in lines), list(range(workers)), result.stdout)
        # 4 dtypes, dense and row-sparse, 3 shapes.
        self.assertEqual({line[1:3] for line in lines}, {("24", "5")})
        print(f"  {workers} workers, {servers} servers {arguments}: {lines[0][3]} elements each")

    def test_seven_workers_and_seven_servers_with_int_keys(self):
        self.run_job(7, 7, "--keys", "int")

    def test_seven_workers_and_seven_servers_with_string_keys(self):
        self.run_job(7, 7, "--keys", "string")

    def test_a_local_store_has_the_same_formula(self):
        result = subprocess.run([f"{TESTS}/formula_worker", "--store", "local"], timeout=280,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                check=False)
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertRegex(result.stdout, "^rank 0: 24 keys, 5 rounds, [0-9]+ elements as the formula says")


if __name__ == "__main__":
    unittest.main()
