"""`kvctl doctor` says what this machine has: without a plugin for GPUs, with one that simulates them.

    doctor_test.py KVCTL CUDA_SIM
"""

import json
import os
import subprocess
import sys
import unittest

CUDA_SIM = sys.argv.pop()
KVCTL = sys.argv.pop()


def doctor(*flags, **variables):
    """What it prints, once it has returned 0 and complained of nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KVSTORE_", "DMLC_"))}
    run = subprocess.run([KVCTL, "doctor", *flags], env={**environment, **variables}, capture_output=True, text=True,
                         timeout=60, check=False)
    assert run.returncode == 0 and run.stderr == "", run
    return run.stdout


class Doctor(unittest.TestCase):
    def test_without_a_plugin_it_says_why_there_is_none(self):
        facts = json.loads(doctor("--json", KVSTORE_CUDA_PLUGIN="/nowhere/plugin.so", KVSTORE_NCCL_LIB="/nowhere/nccl.so"))
        self.assertEqual(facts["plugin"]["found"], False)
        self.assertEqual(facts["plugin"]["file"], "/nowhere/plugin.so")
        self.assertIn("/nowhere/plugin.so", facts["plugin"]["missing"])
        self.assertEqual(facts["gpus"], [])
        self.assertEqual(facts["nccl"]["found"], False)
        self.assertIn("/nowhere/nccl.so", facts["nccl"]["missing"])
        text = doctor(KVSTORE_CUDA_PLUGIN="/nowhere/plugin.so", KVSTORE_NCCL_LIB="libm.so.6")
        self.assertRegex(text, r"(?m)^plugin +/nowhere/plugin.so cannot be used$")
        self.assertRegex(text, r"(?m)^missing +the plugin \(/nowhere/plugin.so")
        self.assertRegex(text, r"(?m)^GPUs +0$")
        self.assertRegex(text, r"(?m)^NCCL +missing: NCCL \('libm.so.6' has no ncclGetVersion")

    def test_simulated_gpus_are_said_not_to_be_real(self):
        facts = json.loads(doctor("--output", "json", KVSTORE_CUDA_PLUGIN=CUDA_SIM, KVS_TEST_CUDA_DEVICES="3",
                                  KVS_TEST_CUDA_MEMORY_MIB="64"))
        self.assertEqual(facts["plugin"], {"file": CUDA_SIM, "found": True, "name": "CUDA, simulated on the CPU",
                                           "simulated": True, "missing": ""})
        self.assertEqual(facts["gpus"], 3 * [{"name": "simulated", "memory_bytes": 64 << 20, "compute": "9.0",
                                              "driver": "13.0", "runtime": "13.0"}])
        text = doctor(KVSTORE_CUDA_PLUGIN=CUDA_SIM)
        self.assertRegex(text, r"(?m)^GPUs +2, not real: simulated on the CPU$")
        self.assertRegex(text, r"(?m)^gpu\(1\) +simulated, 1024 MiB, compute 9.0$")

    def test_a_plugin_that_finds_no_gpu_is_found(self):
        facts = json.loads(doctor("--json", KVSTORE_CUDA_PLUGIN=CUDA_SIM, KVS_TEST_CUDA_DEVICES="0"))
        self.assertEqual(facts["plugin"]["found"], True)
        self.assertIn("a GPU (no CUDA-capable device", facts["plugin"]["missing"])
        self.assertEqual(facts["gpus"], [])

    def test_it_shows_what_the_environment_sets(self):
        facts = json.loads(doctor("--json"))
        self.assertEqual((facts["scheduler"], facts["node_host"], facts["shared_memory"]), ("", "", True))
        self.assertIn({"interface": "lo", "address": "127.0.0.1"}, facts["addresses"])
        facts = json.loads(doctor("--json", KVSTORE_SCHEDULER="node0:7070", KVSTORE_NODE_HOST="here",
                                  KVSTORE_SHARED_MEMORY="off"))
        self.assertEqual((facts["scheduler"], facts["node_host"], facts["shared_memory"]),
                         ("node0:7070", "here", False))

    def test_a_setting_that_is_wrong_is_an_error(self):
        run = subprocess.run([KVCTL, "doctor"], env={**os.environ, "KVSTORE_SHARED_MEMORY": "perhaps"},
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("KVSTORE_SHARED_MEMORY", run.stderr)


if __name__ == "__main__":
    unittest.main()
