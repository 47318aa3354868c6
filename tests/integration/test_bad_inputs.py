"""Bad inputs that need a cluster of another shape than test_wire.py's: docs/bad_inputs.md numbers
them. Real daemons, a stock gRPC client; whatever is refused, the daemons go on serving."""

import math
import pickle
import struct
import unittest

import grpc

import cluster
from foreign_worker import (
    Stream, Worker, data_pb2, key_id, refusal_for_good, scheduler_pb2, types_pb2)

OK, INVALID, EXISTS, PRECONDITION, UNAVAILABLE = 0, 3, 6, 9, 14
INIT, PUSH, PULL, SET_OPTIMIZER = 1, 2, 3, 6
RECEIVED, DONE = 2, 3


def f32(*values):
    return struct.pack(f"<{len(values)}f", *values)


class BadInputs(unittest.TestCase):
    def start(self, workers=1, servers=1, scheduler_flags=(), server_flags=(), **worker):
        self.cluster = cluster.Cluster(workers=workers, servers=servers,
                                       scheduler_flags=scheduler_flags, server_flags=server_flags)
        self.addCleanup(self.cluster.__exit__)
        self.workers = [Worker(self.cluster.address, nonce=n + 1, **worker) for n in range(workers)]
        for each in self.workers:
            self.addCleanup(each.close)
            each.route()
        return self.workers[0]

    def init(self, worker, key, *values):
        entry, _ = worker.request(INIT, key, f32(*values),
                                  spec=worker.key_spec(key, shape=(len(values),)))
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry.message)

    def assert_value(self, worker, key, *values):
        entry, payload = worker.request(PULL, key)
        self.assertEqual((entry.code, payload), (OK, f32(*values)), entry.message)

    def test_23_a_nan_or_an_infinity_with_the_policy_reject(self):
        w = self.start(server_flags=["--nan-policy", "reject"])
        entry, _ = w.request(INIT, 7, f32(1, 2), spec=w.key_spec(7, shape=(2,)))
        self.assertEqual((entry.code, entry.message), (
            PRECONDITION, "key 7: nan-policy 'reject' expected, as this server has it, worker 0 has "
            "'allow': give all workers and servers one"))
        spec = w.key_spec(7, shape=(2,))
        spec.nan_policy = types_pb2.NAN_POLICY_REJECT
        entry, _ = w.request(INIT, 7, f32(1, 2), spec=spec)
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry.message)
        for value, name in ((math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")):
            entry, _ = w.request(PUSH, 7, f32(5, value), round=1)
            self.assertEqual((entry.code, entry.message), (
                INVALID, f"key 7 part 0: worker 0 round 1: element 1 is {name}, nan-policy 'reject' "
                "wants finite numbers"))
            print(f"  {entry.message}")
        self.assert_value(w, 7, 1, 2)
        entry, _ = w.request(PUSH, 7, f32(5, 6), round=1)
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry)
        self.assert_value(w, 7, 5, 6)
        self.assertIn("server 0: 3 pushes with NaN or infinity", self.cluster.status())

    def set_optimizer(self, worker, name, **parameters):
        frame = worker.frame()
        worker.add(frame, SET_OPTIMIZER, 0)
        frame.optimizer.name = name
        frame.optimizer.parameters.update(parameters)
        return worker.ask(7, frame).entries[0]

    def test_5_an_asynchronous_push_before_an_updater_is_set(self):
        w = self.start(store_type="dist_async")
        self.init(w, 7, 1, 2)
        entry, _ = w.request(PUSH, 7, f32(5, 5), round=1)
        self.assertEqual(entry.code, PRECONDITION, entry)
        print(f"  {entry.message}")
        self.assert_value(w, 7, 1, 2)
        self.assertEqual(self.set_optimizer(w, "sum").code, OK)
        entry, _ = w.request(PUSH, 7, f32(5, 5), round=2)  # round 1 is over, it failed
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry)
        self.assert_value(w, 7, 6, 7)

    def test_5_an_asynchronous_push_of_rows_or_16_bits_before_an_updater_is_set(self):
        w = self.start(store_type="dist_async")
        dense, sparse = types_pb2.STORAGE_DENSE, types_pb2.STORAGE_ROW_SPARSE
        both = struct.pack("<qq", 0, 1)  # the ids of both rows
        # (1, 2), (5, 5) and their sum
        f16 = [struct.pack("<2e", *pair) for pair in ((1, 2), (5, 5), (6, 7))]
        bf16 = [b"".join(f32(x)[2:] for x in pair) for pair in ((1, 2), (5, 5), (6, 7))]
        whole = [f32(1, 2), f32(5, 5), f32(6, 7)]
        kinds = ((8, types_pb2.DTYPE_F16, dense, f16), (9, types_pb2.DTYPE_BF16, dense, bf16),
                 (10, types_pb2.DTYPE_F32, sparse, whole), (11, types_pb2.DTYPE_F16, sparse, f16),
                 (12, types_pb2.DTYPE_BF16, sparse, bf16))

        def ask(op, key, storage, data=b"", **fields):
            if storage == sparse:
                return w.request(op, key, both + data, rows=2, **fields)
            return w.request(op, key, data, **fields)

        for key, dtype, storage, (first, _, _) in kinds:
            spec = w.key_spec(key, dtype, (2, 1), storage)
            entry, _ = ask(INIT, key, storage, first, spec=spec, create=True)
            self.assertEqual((entry.code, entry.progress), (OK, DONE), entry)
        for key, _, storage, (first, pushed, _) in kinds:
            entry, _ = ask(PUSH, key, storage, pushed, round=1)
            self.assertEqual(entry.code, PRECONDITION, entry)
            print(f"  {entry.message}")
            self.assertEqual(ask(PULL, key, storage)[1], first)
        self.assertEqual(self.set_optimizer(w, "sum").code, OK)
        for key, _, storage, (_, pushed, total) in kinds:
            entry, _ = ask(PUSH, key, storage, pushed, round=2)
            self.assertEqual((entry.code, entry.progress), (OK, DONE), entry)
            self.assertEqual(ask(PULL, key, storage)[1], total)

    def test_24_denormals_and_negative_zeros_and_the_largest_floats_are_numbers(self):
        w = self.start()
        numbers = (1e-45, -0.0, 3.4028234663852886e38, -1.1754942106924411e-38)
        self.init(w, 7, 0, 0, 0, 0)
        entry, _ = w.request(PUSH, 7, f32(*numbers), round=1)
        self.assertEqual(entry.code, OK)
        self.assert_value(w, 7, *numbers)

    def test_26_a_pickled_optimizer_is_quoted_and_never_run(self):
        w = self.start()
        self.init(w, 7, 1, 2)

        class Harm:
            def __reduce__(self):
                return (exec, ("raise SystemExit(9)",))

        for text in (pickle.dumps(Harm(), protocol=0).decode(), "\x1b[31m", "x" * 100000):
            reply = self.set_optimizer(w, text)
            self.assertEqual(reply.code, INVALID, reply)
            self.assertTrue(reply.message.isprintable(), reply.message)
            print(f"  {reply.message}")
        self.assert_value(w, 7, 1, 2)

    def test_33_a_part_that_another_server_owns_is_asked_again_elsewhere(self):
        w = self.start(servers=2)
        self.init(w, 7, 1, 2)
        server, shard = w.owner(7)
        other = 1 - server
        frame = w.frame(other)
        w.add(frame, PUSH, 7, f32(5, 5), round=1)
        stream = w.stream(other, shard)
        stream.send(frame)
        entry = stream.receive().entries[0]
        self.assertEqual((entry.code, entry.retry_after_ms > 0), (UNAVAILABLE, True), entry)
        print(f"  {entry.message}")
        self.assert_value(w, 7, 1, 2)

    def test_44_key_names_with_control_characters(self):
        w = self.start()
        self.init(w, 7, 1, 2)
        for name in ("a\0b", "a\nb", "a\x1b[31mb", "\x7f", "ä", "n" * 10240):
            spec = types_pb2.KeySpec(key=key_id(name), name=name, dtype=types_pb2.DTYPE_F32,
                                     shape=[1])
            entry, _ = w.request(INIT, name, f32(1), spec=spec)
            self.assertEqual(entry.code, INVALID, entry)
            self.assertTrue(entry.message.isprintable() and entry.message.isascii(), entry.message)
            print(f"  {entry.message[:120]}")
        self.assert_value(w, 7, 1, 2)

    def test_48_a_cancelled_push_counts_once_whether_it_is_sent_again_or_not(self):
        # A round of two workers: one's push waits for the other's when its call is cancelled, or
        # may not even have arrived. Rank 0's is summed at once, rank 1's waits for its turn.
        self.start(workers=2)
        key = 6
        for one, other in (self.workers, self.workers[::-1]):
            for arrived, again in ((True, False), (True, True), (False, True)):
                key += 1
                with self.subTest(rank=one.identity.rank, arrived=arrived, again=again):
                    self.cancel_a_push(one, other, key, arrived, again)

    def cancel_a_push(self, one, other, key, arrived, again):
        self.init(self.workers[0], key, 1, 2)
        server, shard = one.owner(key)
        frame = one.frame(server)
        one.add(frame, PUSH, key, f32(5, 6), round=1)
        stream = Stream(one.routing.servers[server].address, f"/kvstore.v1.Data/Shard{shard}",
                        data_pb2.ReplyFrame)
        self.addCleanup(stream.close)
        stream.send(frame)
        if arrived:
            entry = stream.receive().entries[0]
            self.assertEqual((entry.code, entry.progress), (OK, RECEIVED), entry)
        stream.cancel()
        end = stream.receive()
        while isinstance(end, data_pb2.ReplyFrame):  # the answer may have been under way
            end = stream.receive()
        self.assertEqual(end.code(), grpc.StatusCode.CANCELLED)
        if again:
            entry, _ = one.request(PUSH, key, f32(5, 6), round=1)
            self.assertEqual((entry.code, entry.progress), (OK, RECEIVED), entry)
        self.assert_value(other, key, 1, 2)  # half a round is nothing
        entry, _ = other.request(PUSH, key, f32(10, 20), round=1)
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry)
        for each in (one, other):
            each.forget_streams()
            entry, payload = each.request(PULL, key, round=1)
            self.assertEqual((entry.code, payload), (OK, f32(15, 26)), entry)

    def test_49_ten_thousand_barriers_of_one_worker(self):
        # A worker has one place in the one barrier that is open: what it repeats changes nothing,
        # and no other barrier can be asked for.
        first = self.start(workers=2)
        message = scheduler_pb2.NodeMessage()
        message.barrier.generation = 2
        for _ in range(10000):
            first.session.send(message)
        for _ in range(10000):
            reply = first.expect("barrier")
            self.assertEqual(reply.code, INVALID)
        print(f"  {reply.message}")
        message.barrier.generation = 1
        for _ in range(10000):
            first.session.send(message)
        self.workers[1].session.send(message)
        self.assertEqual((first.expect("barrier").code, self.workers[1].expect("barrier").code),
                         (OK, OK))

    def test_51_a_rank_that_is_taken(self):
        w = self.start(workers=2, scheduler_flags=("--lost-dead-ms", "50"))
        self.init(w, 7, 1, 2)
        refused = refusal_for_good(self.cluster.address, wanted_rank_plus_one=1)
        self.assertEqual(refused.code, EXISTS, refused)
        print(f"  {refused.message}")
        self.assert_value(w, 7, 1, 2)


if __name__ == "__main__":
    unittest.main()
