"""Compressed pushes of a stock gRPC and protobuf client to real daemons."""

import struct
import unittest

import cluster
from foreign_worker import Worker, data_pb2

OK, INVALID, PRECONDITION = 0, 3, 9
INIT, PUSH, PULL = data_pb2.OP_INIT, data_pb2.OP_PUSH, data_pb2.OP_PULL
DONE = data_pb2.PROGRESS_DONE


def f32(*values):
    return struct.pack(f"<{len(values)}f", *values)


class Compression(unittest.TestCase):
    def setUp(self):
        self.cluster = cluster.Cluster(workers=1, servers=1)
        self.addCleanup(self.cluster.__exit__)
        self.worker = Worker(self.cluster.address)
        self.addCleanup(self.worker.close)
        self.worker.route()

    def test_a_compressed_push_by_wire_and_bad_ones_that_harm_nothing(self):
        w = self.worker
        spec = w.key_spec("c", shape=(5,))
        spec.compression.type = "2bit"
        spec.compression.parameters["threshold"] = 0.25
        first, _ = w.request(INIT, "c", f32(0, 0, 0, 0, 0), spec=spec)
        self.assertEqual(first.code, OK, first.message)
        two_bit = data_pb2.CODEC_2BIT
        for what, data, codec, code in (
                ("plain", f32(1, 2, 3, 4, 5), data_pb2.CODEC_PLAIN, PRECONDITION),
                ("in another codec", bytes(10), data_pb2.CODEC_FP16, PRECONDITION),
                ("in a codec that is none", bytes(10), 77, PRECONDITION),
                ("too short", bytes(3), two_bit, INVALID),
                ("too long", bytes(8), two_bit, INVALID),
                ("without bytes", b"", two_bit, INVALID)):
            with self.subTest(what):
                reply, _ = w.request(PUSH, "c", data, round=1, codec=codec)
                self.assertEqual(reply.code, code, reply)
                print(f"  a push {what}: {reply.message}")
        # 11 00 10 11, 10.
        reply, _ = w.request(PUSH, "c", b"\xcb\x80\0\0", round=1, codec=two_bit)
        self.assertEqual((reply.code, reply.progress), (OK, DONE), reply.message)
        self.assertEqual(w.request(PULL, "c", round=1)[1], f32(0.25, 0, -0.25, 0.25, -0.25))
        other = w.key_spec("c", shape=(5,))
        other.compression.type = "2bit"
        reply, _ = w.request(INIT, "c", spec=other)
        self.assertEqual(reply.code, PRECONDITION, reply)
        print(f"  an Init with another compression: {reply.message}")
        spec = w.key_spec("d", shape=(5,))
        spec.compression.type = "zip"
        reply, _ = w.request(INIT, "d", f32(0, 0, 0, 0, 0), spec=spec)
        self.assertEqual(reply.code, INVALID, reply)
        print(f"  an Init with a compression that is none: {reply.message}")
        spec.compression.type = "topk"
        spec.compression.parameters["ratio"] = 0.25
        self.assertEqual(w.request(INIT, "d", f32(0, 0, 0, 0, 0), spec=spec)[0].code, OK)
        topk = data_pb2.CODEC_TOPK
        reply, _ = w.request(PUSH, "d", b"\5\0\0\0" + f32(1), round=1, codec=topk)
        self.assertEqual(reply.code, INVALID, reply)
        print(f"  a push of a place beyond the end: {reply.message}")
        self.assertEqual(w.request(PUSH, "d", b"\4\0\0\0" + f32(1), round=1,
                                   codec=topk)[0].code, OK)
        self.assertEqual(w.request(PULL, "d", round=1)[1], f32(0, 0, 0, 0, 1))


if __name__ == "__main__":
    unittest.main()
