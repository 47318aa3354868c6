"""Updater plugins in real daemons: the example, on one server and on several, and every plugin that
kvstored refuses.

    updater_plugin_test.py LION BROKEN_PLUGINS C_COMPILER SOURCE
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from cluster import BIN, DEADLINE_S, TESTS, Cluster

LION, BROKEN, COMPILER, SOURCE = (sys.argv.pop(1) for _ in range(4))
WORKER = os.path.join(TESTS, "plugin_worker")
NUMBERS = "learning_rate=0.25,beta1=0.5,beta2=0.5,wd=0.5"


def kvstored(*flags, env=None):
    """Exit code and what it says on stderr, of a daemon that ends by itself."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KVSTORE_")}
    run = subprocess.run([os.path.join(BIN, "kvstored"), "--scheduler", "127.0.0.1:1", *flags],
                         env={**clean, **(env or {})}, capture_output=True, text=True,
                         timeout=DEADLINE_S, check=False)
    return run.returncode, run.stderr


class UpdaterPlugin(unittest.TestCase):
    def run_lion(self, plugin, servers, shards, workers, store, storage, rounds=5, file=()):
        with Cluster(workers=workers, servers=servers, shards=shards,
                     server_flags=["--updater-plugin", plugin,
                                   "--updater-plugin-options", NUMBERS]) as cluster:
            running = [cluster.start(f"worker {rank}",
                                     [WORKER, "lion", store, storage, str(rounds), *file],
                                     cluster.env(rank)) for rank in range(workers)]
            for worker in running:
                worker.expect(rf"^checked {600000 * rounds} values$")
                self.assertEqual(worker.wait(), 0)
            self.assertIn("SetOptimizer 'sgd': this server runs the updater plugin 'lion'",
                          running[0].text())

    def test_every_value_is_the_formulas_dense_and_in_rows_on_one_server_and_on_two(self):
        for servers, shards, workers in ((1, 1, 1), (2, 2, 3)):
            for storage in ("dense", "row_sparse"):
                with self.subTest(servers=servers, workers=workers, storage=storage):
                    self.run_lion(LION, servers, shards, workers, "dist_sync", storage)

    def test_the_plugins_states_go_through_a_file_and_the_formula_goes_on(self):
        for storage in ("dense", "row_sparse"):
            with self.subTest(storage), tempfile.TemporaryDirectory() as folder:
                file = os.path.join(folder, "states")
                self.run_lion(LION, 2, 2, 2, "dist_sync", storage, file=[file])
                self.assertGreater(os.path.getsize(file), 600000)

    def test_an_asynchronous_store_needs_no_optimizer(self):
        self.run_lion(LION, 2, 2, 1, "dist_async", "dense")

    def test_the_example_is_built_by_one_command_as_it_says(self):
        with tempfile.TemporaryDirectory() as folder:
            built = os.path.join(folder, "lion.so")
            root = pathlib.Path(SOURCE)
            subprocess.run([COMPILER, "-std=c99", "-O2", "-shared", "-fPIC",
                            f"-I{root / 'client' / 'include'}",
                            root / "examples" / "updater_plugin" / "lion.c", "-o", built, "-lm"],
                           check=True)
            self.run_lion(built, 1, 1, 1, "dist_sync", "dense", rounds=2)

    def test_a_round_that_the_plugin_refuses_leaves_the_value_and_everybody_is_told(self):
        with Cluster(workers=2, servers=1, server_flags=[
                "--updater-plugin", os.path.join(BROKEN, "update_fails.so")]) as cluster:
            running = [cluster.start(f"worker {rank}", [WORKER, "refused"], cluster.env(rank))
                       for rank in range(2)]
            for worker in running:
                worker.expect(r"refused: FAILED_PRECONDITION: key 'weight' part 0: the updater "
                              r"plugin 'broken' said 13 is refused in round 1")
                worker.expect(r"^value 5$")
                worker.expect(r"^value 7$")  # 5 + 1 + 1
                self.assertEqual(worker.wait(), 0)

    def test_status_shows_the_plugin(self):
        with Cluster(workers=1, servers=2, server_flags=["--updater-plugin", LION]) as cluster:
            for server in cluster.server:
                self.assertIn("the updater plugin 'lion' updates all keys", server.text())
            worker = subprocess.Popen([WORKER, "wait"], env={**os.environ, **cluster.env(0)},
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                self.assertEqual(worker.stdout.readline(), "ready\n")
                status = cluster.status()
                self.assertIn("\nserver 0: updater plugin lion\nserver 1: updater plugin lion\n",
                              status)
            finally:
                worker.communicate(timeout=DEADLINE_S)
            self.assertEqual(worker.returncode, 0)

    def test_a_server_with_another_plugin_ends_saying_which_was_expected(self):
        with Cluster(workers=1, servers=2, own_servers=True) as cluster:
            cluster.server_flags = ["--updater-plugin", LION]
            cluster.start_server().expect("registered as server 0")
            cluster.server_flags = []
            other = cluster.start_server()
            self.assertEqual(other.wait(), 3)
            self.assertRegex(other.text(), r"updater plugin: 'lion' expected, as server 0 "
                                           r"\(127\.0\.0\.1:\d+\) has it, got none")

    def refused(self, why, *flags, env=None, label="--updater-plugin"):
        code, said = kvstored(*flags, env=env)
        self.assertEqual(code, 2, said)
        self.assertEqual(said.count("\n"), 1, said)
        self.assertTrue(said.startswith(f"kvstored: {label}: "), said)
        self.assertIn(why, said)

    def test_a_plugin_that_cannot_be_used_ends_the_daemon_with_one_line(self):
        reasons = {
            "no_such_file": "there is no such file",
            "no_symbol": "it does not export kvstore_updater_plugin_v1",
            "abi_3": "ABI 1 expected, got ABI 3",
            "short_struct": "a description of at least 64 bytes expected, its struct_size is 16",
            "null_update": "a function update expected, got a null pointer",
            "null_description": "kvstore_updater_plugin_v1() returned a null pointer",
            "open_fails": "'broken' said to its options: no such thing: ",
        }
        for name, why in reasons.items():
            with self.subTest(name):
                plugin = os.path.join(BROKEN, name + ".so")
                self.refused(f"an updater plugin expected, got '{plugin}': {why}",
                             "--updater-plugin", plugin)
        with self.subTest("no shared object"):
            self.refused("it cannot be loaded: ", "--updater-plugin", __file__)
        with self.subTest("options"):
            self.refused("got 'step=1'", "--updater-plugin", LION, "--updater-plugin-options",
                         "step=1")
            self.refused("updater-plugin beside it expected, got 'step=1'",
                         "--updater-plugin-options", "step=1", label="--updater-plugin-options")

    def test_the_way_in_is_a_flag_a_variable_or_a_file(self):
        missing = os.path.join(BROKEN, "no_such_file.so")
        self.refused("there is no such file", env={"KVSTORE_UPDATER_PLUGIN": missing},
                     label="KVSTORE_UPDATER_PLUGIN")
        with tempfile.TemporaryDirectory() as folder:
            config = os.path.join(folder, "cluster.conf")
            with open(config, "w", encoding="utf-8") as file:
                file.write(f"updater-plugin = {missing}\n")
            self.refused("there is no such file", "--config", config,
                         label=f"{config}:1: updater-plugin")


if __name__ == "__main__":
    unittest.main()
