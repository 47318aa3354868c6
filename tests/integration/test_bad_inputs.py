"""Bad inputs that need a cluster of another shape than test_wire.py's: docs/bad_inputs.md numbers
them. Real daemons, a stock gRPC client; whatever is refused, the daemons go on serving."""

import pickle
import struct
import unittest

import cluster
from foreign_worker import Stream, Worker, data_pb2, key_id, scheduler_pb2, types_pb2

OK, INVALID, EXISTS, PRECONDITION, UNAVAILABLE = 0, 3, 6, 9, 14
INIT, PUSH, PULL, SET_OPTIMIZER = 1, 2, 3, 6
DONE = 3


def f32(*values):
    return struct.pack(f"<{len(values)}f", *values)


class BadInputs(unittest.TestCase):
    def start(self, workers=1, servers=1, **worker):
        self.cluster = cluster.Cluster(workers=workers, servers=servers)
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

    def set_optimizer(self, worker, name, **parameters):
        frame = worker.frame()
        worker.add(frame, SET_OPTIMIZER, 0)
        frame.optimizer.name = name
        frame.optimizer.parameters.update(parameters)
        return worker.ask(7, frame).parts[0]

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
        entry = stream.receive().parts[0]
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
        w = self.start(workers=2)
        self.init(w, 7, 1, 2)
        session = Stream(self.cluster.address, "/kvstore.v1.Scheduler/Session",
                         scheduler_pb2.SchedulerMessage)
        self.addCleanup(session.close)
        message = scheduler_pb2.NodeMessage()
        message.register.role = scheduler_pb2.ROLE_WORKER
        message.register.address = "python:2"
        message.register.nonce = 999
        message.register.store_type = "dist_sync"
        message.register.protocol = 1
        message.register.wanted_rank_plus_one = 1
        session.send(message)
        refused = session.receive().refused
        self.assertEqual(refused.code, EXISTS, refused)
        print(f"  {refused.message}")
        self.assert_value(w, 7, 1, 2)


if __name__ == "__main__":
    unittest.main()
