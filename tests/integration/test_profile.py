"""The profiler with real processes: what servers and workers write, and what kvctl makes of it.

Every file goes through tools/check_trace.py.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import cluster

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import check_trace  # noqa: E402

ROUNDS, KEYS, WORKERS, SERVERS = 5, 3, 2, 2


class Profile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kvs:profile-")  # a colon in its name
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, **options):
        started = cluster.Cluster(workers=WORKERS, servers=SERVERS, shards=2, **options)
        self.addCleanup(started.__exit__)
        return started

    def kvctl(self, running, *arguments, code=0):
        run = subprocess.run(
            [os.path.join(cluster.BIN, "kvctl"), "profile", *arguments, "--scheduler",
             running.address], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=cluster.DEADLINE_S, check=False)
        self.assertEqual(run.returncode, code, run.stdout)
        return run.stdout

    def train(self, running, *arguments, rounds=ROUNDS, keys=KEYS, env=None):
        workers = [running.start_worker(rank, "--rounds", rounds, "--keys", keys, *arguments,
                                        env=env) for rank in range(WORKERS)]
        for worker in workers:
            self.assertEqual(worker.wait(), 0, worker.text())

    def events(self, path, whole=False):
        text = path.read_text(encoding="utf-8")
        self.assertEqual(check_trace.check(text, whole), [])
        return json.loads(text)

    @staticmethod
    def count(trace, name, phase, cat=None):
        return sum(event["name"] == name and event["ph"] == phase and cat in (None, event["cat"])
                   for event in trace["traceEvents"])

    def test_servers_write_what_rank_0_orders(self):
        running = self.start()
        self.train(running, "--profile", self.folder / "a.json")
        traces = [self.events(self.folder / f"rank{rank}_a.json") for rank in range(SERVERS)]
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()),
                         ["rank0_a.json", "rank1_a.json"])
        for rank, trace in enumerate(traces):
            self.assertEqual(trace["otherData"]["node"], f"server {rank}")
            self.assertEqual(trace["otherData"]["events_lost"], 0)

        def total(name, phase="X"):
            return sum(self.count(trace, name, phase) for trace in traces)
        self.assertEqual(total("update"), ROUNDS * KEYS)
        self.assertGreaterEqual(total("push"), ROUNDS * KEYS * WORKERS)
        self.assertEqual(total("fold"), ROUNDS * KEYS * WORKERS)
        self.assertGreaterEqual(total("pull"), ROUNDS * KEYS * WORKERS)
        # Each contribution in its fold, and in its update.
        self.assertEqual(total("contribution", "t"), 2 * ROUNDS * KEYS * WORKERS)

    def test_kvctl_orders_and_fetches_and_workers_join(self):
        running = self.start()
        self.kvctl(running, "start")
        self.train(running, env={"KVSTORE_PROFILE": str(self.folder / "b.json")})
        self.kvctl(running, "stop")
        workers = [self.folder / f"worker{rank}_b.json" for rank in range(WORKERS)]
        for path in workers:
            self.events(path, whole=True)
        merged = self.folder / "merged.json"
        added = [argument for path in workers for argument in ("--add", str(path))]
        self.kvctl(running, "fetch", "-o", str(merged), *added)
        trace = self.events(merged, whole=True)
        self.assertEqual([node["node"] for node in trace["otherData"]["nodes"]],
                         ["worker 0", "worker 1", "server 0", "server 1"])
        contributions = ROUNDS * KEYS * WORKERS
        for phase, expected in (("s", contributions), ("t", 2 * contributions),
                                ("f", contributions)):
            self.assertEqual(self.count(trace, "contribution", phase), expected)
        self.assertGreaterEqual(self.count(trace, "wait", "b", "worker"), 2 * contributions)
        # A dump of the same recording has the servers' part.
        self.kvctl(running, "set-config", f"filename:{self.folder / 'c.json'},profile_all:1")
        self.kvctl(running, "dump", "--stop")
        for rank in range(SERVERS):
            self.events(self.folder / f"rank{rank}_c.json")

    def test_readers_write_what_they_pulled_and_are_merged(self):
        running = self.start()
        self.kvctl(running, "start")
        workers = [running.start_worker(rank, "--rounds", 1000000, "--keys", KEYS, "--elements",
                                        600000) for rank in range(WORKERS)]
        readers = [running.start("reader", [
            os.path.join(cluster.TESTS, "reader_worker"), "--workers", str(WORKERS), "--keys",
            str(KEYS), "--elements", "600000", "--consistent", "--pulls", "3"],
            {**running.env(), "KVSTORE_ROLE": "reader",
             "KVSTORE_PROFILE": str(self.folder / "d.json")}) for _ in range(2)]
        for reader in readers:
            self.assertEqual(reader.wait(), 0, reader.text())
        self.kvctl(running, "stop")
        for worker in workers:
            worker.kill()
        files = sorted(self.folder.glob("reader-*_d.json"))
        self.assertEqual(len(files), 2)
        for path in files:
            trace = self.events(path, whole=True)
            self.assertRegex(trace["otherData"]["node"], r"^reader \S+:\d+$")
            self.assertGreaterEqual(self.count(trace, "pull", "X", "reader"), 3 * 3 * KEYS)
            self.assertGreaterEqual(self.count(trace, "wait", "b", "reader"), 3 * 3 * KEYS)
        merged = self.folder / "merged.json"
        self.kvctl(running, "fetch", "-o", str(merged),
                   *(argument for path in files for argument in ("--add", str(path))))
        nodes = [node["node"] for node in self.events(merged)["otherData"]["nodes"]]
        self.assertEqual(nodes[2:], ["server 0", "server 1"])
        self.assertEqual([node.split()[0] for node in nodes[:2]], ["reader", "reader"])

    def test_memory_is_bounded_and_what_is_lost_is_counted(self):
        running = self.start(server_flags=["--profile-mib", "1"])
        self.kvctl(running, "start")
        self.train(running, "--elements", 1, rounds=40, keys=300)
        merged = self.folder / "merged.json"
        self.kvctl(running, "fetch", "-o", str(merged))
        for node in self.events(merged)["otherData"]["nodes"]:
            print(f"  {node['node']}: {node['events_kept']} kept, {node['events_lost']} lost")
            self.assertGreater(node["events_lost"], 0)
            self.assertLessEqual(node["events_kept"] * 64, 1 << 20)
        # Another start begins with all of the memory.
        self.kvctl(running, "start")
        self.train(running)
        self.kvctl(running, "fetch", "-o", str(merged))
        for node in self.events(merged)["otherData"]["nodes"]:
            self.assertEqual(node["events_lost"], 0)

    def test_nothing_is_recorded_but_while_it_is_asked_for(self):
        running = self.start()
        merged = self.folder / "merged.json"

        def kept():
            self.kvctl(running, "fetch", "-o", str(merged))
            return sum(node["events_kept"]
                       for node in self.events(merged)["otherData"]["nodes"])
        self.train(running)
        self.assertEqual(kept(), 0)
        self.kvctl(running, "pause")
        self.kvctl(running, "start")
        self.train(running)
        self.assertEqual(kept(), 0)
        self.kvctl(running, "resume")
        self.train(running)
        self.kvctl(running, "stop")
        recorded = kept()
        self.assertGreater(recorded, 0)
        self.train(running)
        self.assertEqual(kept(), recorded)

    def test_what_kvctl_is_told_is_wrong(self):
        running = self.start()
        for arguments, code, words in (
                (("set-config", "file:x"), 2, "one of filename, profile_all"),
                (("set-config", "filename:/no/such/folder/a.json"), 1,
                 "the folder '/no/such/folder' expected, there is none"),
                (("set-config",), 2, "configuration"),
                (("fetch", "-o", "/no/such/folder/a.json"), 1, "No such file"),
                (("fetch", "-o", str(self.folder / "a.json"), "--add", "/dev/null"), 2,
                 "a file of a node's profiler expected"),
                ((), 2, "A subcommand is required")):
            with self.subTest(arguments):
                said = self.kvctl(running, *arguments, code=code)
                self.assertIn(words, said)
                print("  " + said.strip().splitlines()[0])


if __name__ == "__main__":
    unittest.main()
