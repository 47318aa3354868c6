"""Optimizer states on real daemons: saved on one cluster, loaded on another, the bits go on.

Who reads the files here is not our code: NumPy, by the format's description, and the package
safetensors, where Python has it.
"""

import json
import os
import struct
import tempfile
import unittest

from cluster import TESTS, Cluster, Process

try:
    import numpy as np
except ImportError:  # then files are not looked into
    np = None
try:
    from safetensors.numpy import load_file
except ImportError:  # an oracle more, where it is there
    load_file = None

WORKER = os.path.join(TESTS, "states_worker")
VALUES = ("conv_weight", "half", "table")
DTYPES = {"F32": "<f4", "I64": "<i8"}


def read_by_hand(path):
    """Metadata and tensors of a safetensors file: no byte may be left over."""
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__")
    rest, tensors, covered = data[8 + length:], {}, 0
    for name, info in header.items():
        begin, end = info["data_offsets"]
        tensors[name] = np.frombuffer(rest[begin:end], DTYPES[info["dtype"]]).reshape(info["shape"])
        covered += end - begin
    assert covered == len(rest), (covered, len(rest))
    return metadata, tensors


class States(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, *names):
        return os.path.join(self.folder.name, *names)

    def made(self, name):
        os.mkdir(self.path(name))
        return self.path(name)

    def on_local(self, rounds, begin, name, optimizer="adam"):
        process = Process("local", [WORKER, "local", rounds, begin, self.made(name), optimizer])
        self.assertEqual(process.wait(), 0, process.text())

    def on_cluster(self, servers, rounds, begin, name, optimizer="adam"):
        end = self.made(name)
        with Cluster(workers=2, servers=servers, shards=2) as c:
            command = [WORKER, "dist_sync", rounds, begin, end, optimizer]
            workers = [c.start(f"worker {rank}", command, c.env(rank)) for rank in range(2)]
            self.assertEqual([worker.wait() for worker in workers], [0, 0], c.text())

    def assert_same(self, name, other, values=VALUES):
        for file in ("states",) + values:
            with open(self.path(name, file), "rb") as one, open(self.path(other, file), "rb") as two:
                self.assertTrue(one.read() == two.read(), f"{file} of {name} and {other}")

    def test_states_go_from_cluster_to_cluster_and_to_a_local_store_and_back(self):
        self.on_local("0:4", "-", "undisturbed")
        self.on_cluster(2, "0:2", "-", "two servers")
        self.on_local("0:2", "-", "local")
        self.assert_same("local", "two servers")
        self.on_cluster(3, "2:4", self.path("two servers"), "three servers")
        self.assert_same("three servers", "undisturbed")
        self.on_local("2:4", self.path("two servers"), "back")
        self.assert_same("back", "undisturbed")
        self.check_contents(self.path("three servers"))

    def test_norms_of_whole_values_are_those_of_a_local_store_on_any_number_of_servers(self):
        # conv/weight has three parts and the table 61, on both servers and then on all three.
        for optimizer in ("lamb", "lans", "lars"):
            with self.subTest(optimizer):
                self.on_local("0:4", "-", f"{optimizer} local", optimizer)
                self.on_cluster(2, "0:2", "-", f"{optimizer} two", optimizer)
                self.on_cluster(3, "2:4", self.path(f"{optimizer} two"), f"{optimizer} three", optimizer)
                self.assert_same(f"{optimizer} three", f"{optimizer} local")

    def check_contents(self, folder):
        if np is None:
            return
        metadata, tensors = read_by_hand(os.path.join(folder, "states"))
        self.assertEqual({name: metadata[name] for name in ("format", "version", "optimizer", "key_type")},
                         {"format": "kvstore.optimizer_states", "version": "1", "optimizer": "adam",
                          "key_type": "string"})
        keys = json.loads(metadata["keys"])
        self.assertEqual(sorted(keys), ["conv/weight", "half", "table"])
        self.assertEqual(keys["half"], {
            "dtype": "f16", "shape": [1000], "storage": "default", "states": ["master", "mean", "var"],
            "state_dtype": "f32", "one_per_row": False, "counted": False, "updates": [4]})
        self.assertEqual(sorted(tensors), [
            "conv/weight/mean", "conv/weight/var", "half/master", "half/mean", "half/var", "table/mean",
            "table/var", "table@rows"])
        # The value is the master, rounded.
        value = np.fromfile(os.path.join(folder, "half"), "<f2")
        self.assertTrue((tensors["half/master"].astype("<f2") == value).all())
        # Means of what the two workers pushed, as adam makes them.
        mean = np.zeros(600000, np.float32)
        for round_ in range(4):
            total = self.contribution(0, round_) + self.contribution(1, round_)
            mean = np.float32(0.9) * mean + (np.float32(1) - np.float32(0.9)) * total
        self.assertTrue((tensors["conv/weight/mean"].reshape(-1) == mean).all())
        # The rows that were pushed to, but for those whose numbers have always been 0.
        rows = tensors["table@rows"]
        pushed = np.unique(np.concatenate([np.arange(rank + 3 * round_, 100000, 97)
                                           for rank in range(2) for round_ in range(4)]))
        self.assertTrue((np.diff(rows) > 0).all() and np.isin(rows, pushed).all())
        self.assertEqual(tensors["table/mean"].shape, (len(rows), 8))
        if load_file is not None:
            other = load_file(os.path.join(folder, "states"))
            self.assertEqual(sorted(other), sorted(tensors))
            for name, tensor in tensors.items():
                self.assertTrue((other[name] == tensor).all(), name)

    @staticmethod
    def contribution(rank, round_):
        salt = np.uint64(rank * 100 + round_ + 1)
        with np.errstate(over="ignore"):
            places = (np.arange(600000, dtype=np.uint64) * np.uint64(2654435761)
                      + salt * np.uint64(40503)) >> np.uint64(7)
        return np.array([0, 0.5, 1, -0.5, -1, 0.25, -0.25], np.float32)[places % np.uint64(7)]


if __name__ == "__main__":
    unittest.main()
