"""Stock gRPC and protobuf against real daemons: a second client works, and whatever cannot be is
answered with a typed error while the server goes on serving."""

import socket
import struct
import unittest

import grpc

import cluster
from foreign_worker import (
    STRIPES, Stream, UnreadStream, Worker, data_pb2, key_id, mix64, refusal_for_good, scheduler_pb2,
    types_pb2, with_runs)

OK, INVALID, NOT_FOUND, EXISTS, EXHAUSTED, PRECONDITION, ABORTED, UNIMPLEMENTED, UNAVAILABLE = (
    0, 3, 5, 6, 8, 9, 10, 12, 14)
OUT_OF_RANGE = 11
INIT, PUSH, PULL, PROBE, LEAVE, SET_OPTIMIZER = range(1, 7)
TAKE_BACK, CHECK_OPTIMIZER = 8, 9
UNKNOWN, RECEIVED, DONE = 1, 2, 3


def f32(*values):
    return struct.pack(f"<{len(values)}f", *values)


def ids(*numbers):
    return struct.pack(f"<{len(numbers)}q", *numbers)


def rows(values):
    """Ids, then rows: of {id: (f32, ...)}, or of a list of such pairs."""
    pairs = list(values.items()) if isinstance(values, dict) else values
    return ids(*(id_ for id_, _ in pairs)) + b"".join(f32(*row) for _, row in pairs)


class Wire(unittest.TestCase):
    def setUp(self):
        self.start()

    def start(self, *scheduler_flags):
        flags = ("--network-mib", "64")
        self.cluster = cluster.Cluster(workers=1, servers=1,
                                       scheduler_flags=(*flags, *scheduler_flags),
                                       server_flags=flags)
        self.addCleanup(self.cluster.__exit__)
        self.worker = Worker(self.cluster.address)
        self.addCleanup(self.worker.close)
        self.worker.route()

    def init(self, key, *values):
        w = self.worker
        entry, _ = w.request(INIT, key, f32(*values), spec=w.key_spec(key, shape=(len(values),)))
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry.message)

    def assert_serves(self):
        """The server is alive and its value intact."""
        entry, payload = self.worker.request(PULL, 7)
        self.assertEqual((entry.code, entry.progress), (OK, DONE))
        self.assertEqual(payload, f32(1, 2))

    def test_a_second_client_inits_pushes_and_pulls(self):
        w = self.worker
        self.init("layer.0/weight", 1, 2, 3)
        entry, _ = w.request(PUSH, "layer.0/weight", f32(4, 5, 6), round=1)
        self.assertEqual((entry.code, entry.progress), (OK, DONE))
        entry, payload = w.request(PULL, "layer.0/weight", round=1)
        self.assertEqual((entry.code, entry.progress, entry.version), (OK, DONE, 1))
        self.assertEqual(payload, f32(4, 5, 6))
        # The same round again counts once; a probe knows it.
        entry, _ = w.request(PUSH, "layer.0/weight", f32(9, 9, 9), round=1)
        self.assertEqual((entry.code, entry.progress), (OK, DONE))
        entry, _ = w.request(PROBE, "layer.0/weight", round=1, probed_op=PUSH)
        self.assertEqual(entry.progress, DONE)
        entry, payload = w.request(PULL, "layer.0/weight")
        self.assertEqual(payload, f32(4, 5, 6))
        entry, _ = w.request(LEAVE, 0)
        self.assertEqual((entry.code, entry.progress), (OK, DONE))

    def test_an_init_that_is_taken_back_by_wire(self):
        w = self.worker
        spec = w.key_spec("k", shape=(2,))
        first, _ = w.request(INIT, "k", f32(1, 2), spec=spec)
        taken, _ = w.request(TAKE_BACK, "k", takes_back=first.request)
        self.assertEqual((taken.code, taken.progress), (OK, DONE), taken.message)
        self.assertEqual(w.request(PULL, "k")[0].code, NOT_FOUND)
        self.init("k", 1, 2, 3)  # another shape
        again, _ = w.request(TAKE_BACK, "k", takes_back=first.request)  # means the former value
        self.assertEqual(again.code, OK)
        self.assertEqual(w.request(PULL, "k")[1], f32(1, 2, 3))
        self.assertEqual(w.request(TAKE_BACK, "k")[0].code, INVALID)  # names no Init

    def test_an_optimizer_by_wire(self):
        w = self.worker
        self.init(7, 1, 2)
        frame = w.frame()
        w.add(frame, SET_OPTIMIZER, 0)
        frame.optimizer.name = "sum"
        self.assertEqual(w.ask(7, frame).entries[0].code, OK)
        w.request(PUSH, 7, f32(10, 20), round=1)
        self.assertEqual(w.request(PULL, 7, round=1)[1], f32(11, 22))
        for name, parameters in (("no_such", {}), ("sgd", {"no_such": 1}),
                                 ("sgd", {"learning_rate": float("nan")}),
                                 ("sgd", {"learning_rate": -1}), ("sgd", {"rescale_grad": 0})):
            frame = w.frame()
            w.add(frame, SET_OPTIMIZER, 0)
            frame.optimizer.name = name
            frame.optimizer.parameters.update(parameters)
            reply = w.ask(7, frame).entries[0]
            self.assertEqual(reply.code, INVALID, reply)
            print(f"  {name} {parameters}: {reply.message}")
        for factors in (dict(lr_mult=-1, wd_mult=1), dict(lr_mult=1, wd_mult=float("inf"))):
            frame = w.frame()
            w.add(frame, SET_OPTIMIZER, 0)
            frame.optimizer.name = "sgd"
            frame.optimizer.multipliers.add(key=7, **factors)
            reply = w.ask(7, frame).entries[0]
            self.assertEqual(reply.code, INVALID, reply)
            print(f"  sgd {factors}: {reply.message}")
        for name, code in (("no_such", INVALID), ("adam", OK)):
            frame = w.frame()
            w.add(frame, CHECK_OPTIMIZER, 0)
            frame.optimizer.name = name
            reply = w.ask(7, frame).entries[0]
            self.assertEqual((reply.op, reply.code, reply.progress), (CHECK_OPTIMIZER, code, DONE))
        w.request(PUSH, 7, f32(10, 20), round=2)
        self.assertEqual(w.request(PULL, 7, round=2)[1], f32(21, 42))  # still `sum`

    def test_factors_of_a_key_by_wire(self):
        w = self.worker
        self.init(7, 1, 2)
        self.init(8, 1, 2)
        frame = w.frame()
        w.add(frame, SET_OPTIMIZER, 0)
        frame.optimizer.name = "sgd"
        frame.optimizer.parameters.update(learning_rate=0.5)
        frame.optimizer.multipliers.add(key=7, lr_mult=2, wd_mult=1)
        self.assertEqual(w.ask(7, frame).entries[0].code, OK)
        for key, value in ((7, f32(-3, -6)), (8, f32(-1, -2))):
            w.request(PUSH, key, f32(4, 8), round=1)
            self.assertEqual(w.request(PULL, key, round=1)[1], value)

    def test_commands_of_kvstored_and_bad_ones_are_answered(self):
        w = self.worker
        self.init(7, 1, 2)
        for what, code, arguments in (
                ("a controller's command", UNIMPLEMENTED, (7, b"grow")),
                ("the longest body", UNIMPLEMENTED, (7, bytes(1 << 20))),
                ("a body over 1 MiB", INVALID, (7, bytes((1 << 20) + 1))),
                ("a negative id", INVALID, (-1,)),
                ("the largest id", UNIMPLEMENTED, ((1 << 31) - 1, b"\xff\0")),
                ("MXNet's kStopServer", INVALID, (2,)),
                ("MXNet's kSetProfilerParams", INVALID, (5,)),
                ("no command", INVALID, (7, b"", False))):
            with self.subTest(what):
                entry = w.outcome(w.command(*arguments))
                self.assertEqual(entry.code, code, f"{what}: {entry}")
                print(f"  {what}: {entry.message}")
        # A repeat is answered like the first.
        grow = w.command(7, b"grow")
        first, again = w.outcome(grow), w.outcome(grow)
        self.assertEqual((first.code, first.message), (again.code, again.message))
        self.assert_serves()

    def test_bad_entries_are_answered_and_harm_nothing(self):
        w = self.worker
        self.init(7, 1, 2)
        spec = w.key_spec
        good = f32(1, 2)
        named = types_pb2.KeySpec(key=key_id("a b"), name="a b", dtype=1, shape=[2])
        long_name = types_pb2.KeySpec(key=key_id("x" * 257), name="x" * 257, dtype=1, shape=[2])
        cases = [
            ("push of an unknown key", NOT_FOUND, (PUSH, 99, good), dict(round=1)),
            ("pull of an unknown key", NOT_FOUND, (PULL, 99), {}),
            ("push of another size", INVALID, (PUSH, 7, f32(1)), dict(round=1)),
            ("push without bytes", INVALID, (PUSH, 7), dict(round=1)),
            ("push to round 0", INVALID, (PUSH, 7, good), dict(round=0)),
            ("push to round 2^63", INVALID, (PUSH, 7, good), dict(round=1 << 63)),
            ("push far ahead", PRECONDITION, (PUSH, 7, good), dict(round=1000)),
            ("pull with bytes", INVALID, (PULL, 7, good), {}),
            ("unknown op", INVALID, (33, 7), {}),
            ("request number 0", INVALID, (PULL, 7), dict(request=0)),
            ("probe of nothing", INVALID, (PROBE, 7), dict(round=1)),
            ("Init again", EXISTS, (INIT, 7, good), dict(spec=spec(7, shape=(2,)))),
            ("Init of another shape", INVALID, (INIT, 7, f32(1)), dict(spec=spec(7))),
            ("Init without a description", INVALID, (INIT, 8, good), {}),
            ("Init of an unknown dtype", INVALID, (INIT, 8, good),
             dict(spec=spec(8, dtype=77, shape=(2,)))),
            ("f16 of an odd number of bytes", INVALID, (INIT, 8, b"\0\0\0"),
             dict(spec=spec(8, dtype=types_pb2.DTYPE_F16))),
            ("bytes that do not fit the shape", INVALID, (INIT, 8, good),
             dict(spec=spec(8, shape=(3,)))),
            ("overflowing shape", INVALID, (INIT, 8, good),
             dict(spec=spec(8, shape=(1 << 32, 1 << 32)))),
            ("negative dimension", INVALID, (INIT, 8, good), dict(spec=spec(8, shape=(-2,)))),
            ("bytes of a value without elements", INVALID, (INIT, 8, good),
             dict(spec=spec(8, shape=(0,)))),
            ("rows without elements", INVALID, (INIT, 8, b""),
             dict(spec=types_pb2.KeySpec(key=8, dtype=1, shape=[2, 0], storage=2), create=True)),
            ("nine dimensions", INVALID, (INIT, 8, good), dict(spec=spec(8, shape=(1,) * 9))),
            ("a part that the value does not have", INVALID, (INIT, 8, good),
             dict(spec=spec(8, shape=(2,)), part=5)),
            ("no such storage", INVALID, (INIT, 8, good),
             dict(spec=types_pb2.KeySpec(key=8, dtype=1, shape=[2], storage=9))),
            ("rows of a dense key", INVALID, (PUSH, 7, rows({0: (1, 2)})), dict(round=1, rows=1)),
            ("ids for a dense key", INVALID, (PULL, 7, ids(0)), dict(rows=1)),
            ("fragments of a dense key", INVALID, (PUSH, 7, good), dict(round=1, fragments=2)),
            ("a name with a blank", INVALID, (INIT, "a b", good), dict(spec=named)),
            ("a name of 257 bytes", INVALID, (INIT, "x" * 257, good), dict(spec=long_name)),
            ("a name that is not the key's", INVALID, (INIT, 9, good),
             dict(spec=types_pb2.KeySpec(key=9, name="other", dtype=1, shape=[2]))),
        ]
        for what, code, arguments, fields in cases:
            with self.subTest(what):
                entry, _ = w.request(*arguments, **fields)
                self.assertEqual(entry.code, code, f"{what}: {entry}")
                print(f"  {what}: {entry.message}")
        self.assert_serves()

    def init_rows(self, key, shape, values):
        """Every stripe of a row_sparse key, in one entry each."""
        w = self.worker
        spec = w.key_spec(key, shape=shape, storage=types_pb2.STORAGE_ROW_SPARSE)
        bytes_ = 4
        for dimension in shape:
            bytes_ *= dimension
        stripes = 1 if bytes_ <= 1 << 20 else STRIPES
        for stripe in range(stripes):
            mine = {id_: row for id_, row in values.items() if id_ % stripes == stripe}
            entry, _ = w.request(INIT, key, rows(mine), part=stripe, spec=spec, rows=len(mine),
                                 create=True)
            self.assertEqual((entry.code, entry.progress), (OK, DONE), entry.message)

    def set_optimizer(self, name, key, part=0):
        """Of the shard that has the key's part."""
        frame = self.worker.frame()
        self.worker.add(frame, SET_OPTIMIZER, 0)
        frame.optimizer.name = name
        self.assertEqual(self.worker.ask(key, frame, part).entries[0].code, OK)

    def test_rows_are_pushed_and_pulled(self):
        w = self.worker
        self.init_rows("emb", (10, 2), {3: (1, 2), 7: (3, 4)})
        # Without an optimizer the sum becomes the value; ids in any order, an id twice.
        push = rows([(7, (1, 1)), (3, (5, 5)), (7, (2, 2))])
        entry, _ = w.request(PUSH, "emb", push, round=1, rows=3)
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry.message)
        entry, payload = w.request(PULL, "emb", ids(7, 0, 3, 7), round=1, rows=4)
        self.assertEqual((entry.code, entry.progress, entry.version), (OK, DONE, 1))
        self.assertEqual(payload, f32(3, 3, 0, 0, 5, 5, 3, 3))
        # With one, rows that a push does not name stay; no rows are a contribution too.
        self.set_optimizer("sum", "emb")
        entry, _ = w.request(PUSH, "emb", rows({0: (1, 1)}), round=2, rows=1)
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry.message)
        entry, _ = w.request(PUSH, "emb", round=3)
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry.message)
        entry, payload = w.request(PULL, "emb", ids(0, 3, 7, 9), round=3, rows=4)
        self.assertEqual((entry.version, payload), (3, f32(1, 1, 5, 5, 3, 3, 0, 0)))
        entry, payload = w.request(PULL, "emb", round=3)
        self.assertEqual((entry.code, entry.progress, payload), (OK, DONE, b""))

    def test_a_tall_value_has_stripes_and_contributions_have_fragments(self):
        w = self.worker
        height = 1 << 20  # of 8 bytes: 61 stripes
        spec = w.key_spec("tall", shape=(height, 2), storage=types_pb2.STORAGE_ROW_SPARSE)
        stripe = 5
        # An Init in fragments, one after the other; the part exists after the last.
        for fragment, id_ in enumerate((5, 66)):
            self.assertEqual(w.request(PULL, "tall", part=stripe)[0].code, NOT_FOUND)
            entry, _ = w.request(INIT, "tall", rows({id_: (id_, id_)}), part=stripe, spec=spec,
                                 rows=1, create=True, fragment=fragment, fragments=2)
            self.assertEqual((entry.code, entry.progress), (OK, DONE), entry.message)
        last = height - 1 - (height - 1 - stripe) % STRIPES
        entry, payload = w.request(PULL, "tall", ids(last, 66, 5), part=stripe, rows=3)
        self.assertEqual(payload, f32(0, 0, 66, 66, 5, 5))
        # A push in fragments counts when all came, whatever their order; a pull waits for it.
        self.set_optimizer("sum", "tall", stripe)
        entry, _ = w.request(PUSH, "tall", rows({last: (2, 2)}), part=stripe, rows=1, round=1,
                             fragment=1, fragments=2)
        second = entry.request
        self.assertEqual((entry.code, entry.progress), (OK, RECEIVED), entry.message)
        entry, _ = w.request(PULL, "tall", ids(last, 5), part=stripe, rows=2, round=1)
        pull = entry.request
        self.assertEqual((entry.code, entry.progress), (OK, RECEIVED), entry.message)
        entry, _ = w.request(PROBE, "tall", part=stripe, round=1, probed_op=PUSH, request=second)
        self.assertEqual((entry.progress, list(entry.missing_ranks)), (RECEIVED, [0]))
        frame = w.frame()
        w.add(frame, PUSH, "tall", rows({5: (1, 1), last: (1, 1)}), part=stripe, rows=2, round=1,
              fragments=2)
        first = frame.entries[0].request
        reply = w.ask("tall", frame, part=stripe)
        answers = {entry.request: entry for entry in reply.entries}
        self.assertEqual({request: entry.progress for request, entry in answers.items()},
                         {first: DONE, second: DONE, pull: DONE})
        self.assertEqual(answers[pull].version, 1)
        self.assertEqual(reply.payload, f32(3, 3, 6, 6))

    def test_a_push_to_many_stripes_is_one_entry_and_so_is_its_answer(self):
        w = self.worker
        self.init_rows("wide", (61, 4300), {})  # of just over 1 MiB: one row a stripe
        by_owner = {}
        for stripe in range(STRIPES):
            by_owner.setdefault(w.owner("wide", stripe), []).append(stripe)
        for (server, shard), stripes in by_owner.items():
            base = w.requests + 1
            frame = w.frame(server)
            first = stripes[0]
            also = sum(1 << stripe - first - 1 for stripe in stripes[1:])
            w.add(frame, PUSH, "wide", part=first, round=1, request=base + first,
                  also=also.to_bytes(8, "little"))
            w.requests = base + STRIPES
            stream = w.stream(server, shard)
            stream.send(frame)
            reply = stream.receive()
            self.assertEqual(len(reply.entries), 1, reply)
            answers = [(entry.part, entry.request - base, entry.progress)
                       for entry in with_runs(reply).entries]
            self.assertEqual(answers, [(stripe, stripe, DONE) for stripe in stripes])
        entry, payload = w.request(PULL, "wide", ids(60), part=60, round=1, rows=1)
        self.assertEqual((entry.code, payload), (OK, bytes(4 * 4300)), entry.message)

    def test_rows_that_cannot_be_are_answered_and_harm_nothing(self):
        w = self.worker
        self.init(7, 1, 2)
        self.init_rows(8, (10, 2), {3: (1, 2)})

        def sparse(shape):
            return w.key_spec(9, shape=shape, storage=types_pb2.STORAGE_ROW_SPARSE)

        one = rows({3: (1, 2)})
        cases = [
            ("push of a row below 0", OUT_OF_RANGE, (PUSH, 8, rows({-1: (1, 2)})),
             dict(round=1, rows=1)),
            ("push of a row above the last", OUT_OF_RANGE, (PUSH, 8, rows({10: (1, 2)})),
             dict(round=1, rows=1)),
            ("pull of a row above the last", OUT_OF_RANGE, (PULL, 8, ids(3, 1 << 62)),
             dict(rows=2)),
            ("Init with a row above the last", OUT_OF_RANGE, (INIT, 9, rows({2: (1,)})),
             dict(spec=sparse((2,)), rows=1, create=True)),
            ("rows with more bytes", INVALID, (PUSH, 8, one + b"1234"), dict(round=1, rows=1)),
            ("rows with fewer bytes", INVALID, (PUSH, 8, one[:-4]), dict(round=1, rows=1)),
            ("fewer ids than rows", INVALID, (PUSH, 8, ids(3)), dict(round=1, rows=2)),
            ("2^18 + 1 rows", INVALID, (PULL, 8, ids(3)), dict(rows=(1 << 18) + 1)),
            ("a pull with rows", INVALID, (PULL, 8, one), dict(rows=1)),
            ("a pull of more than 1 MiB of ids", INVALID, (PULL, 8, bytes(8 * 131073)),
             dict(rows=131073)),
            ("a dense push to a row_sparse key", INVALID, (PUSH, 8, f32(*range(20))),
             dict(round=1)),
            ("fragment 2 of 2", INVALID, (PUSH, 8, one), dict(round=1, rows=1, fragment=2,
                                                              fragments=2)),
            ("a dense Init of a row_sparse key", INVALID, (INIT, 8, f32(*range(20))),
             dict(spec=w.key_spec(8, shape=(10, 2)))),
            ("an Init whose first fragment is the second", INVALID, (INIT, 9, rows({1: (1,)})),
             dict(spec=sparse((2,)), rows=1, create=True, fragment=1, fragments=2)),
            ("no dimension", INVALID, (INIT, 9), dict(spec=sparse(()), create=True)),
            ("a row of 1 MiB", INVALID, (INIT, 9), dict(spec=sparse((2, 1 << 18)), create=True)),
            ("stripe 61", INVALID, (INIT, 9), dict(spec=sparse((1 << 20,)), part=61, create=True)),
            ("a row of another stripe", INVALID, (INIT, 9, rows({1: (1,)})),
             dict(spec=sparse((1 << 20,)), rows=1, create=True)),
            ("create without a shape", INVALID, (INIT, 9),
             dict(spec=types_pb2.KeySpec(key=9, storage=2, shape_unknown=True), create=True)),
        ]
        for what, code, arguments, fields in cases:
            with self.subTest(what):
                entry, _ = w.request(*arguments, **fields)
                self.assertEqual(entry.code, code, f"{what}: {entry}")
                print(f"  {what}: {entry.message}")
        # Nothing of them was kept: the round is still open, and no key 9 came to be.
        self.assertEqual(w.request(PULL, 9)[0].code, NOT_FOUND)
        entry, _ = w.request(PUSH, 8, one, round=1, rows=1)
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry.message)
        self.assertEqual(w.request(PULL, 8, ids(3), round=1, rows=1)[1], f32(1, 2))
        # Fragments of one contribution agree on how many they are.
        w.request(PUSH, 8, one, round=2, rows=1, fragments=2)
        entry, _ = w.request(PUSH, 8, one, round=2, rows=1, fragment=1, fragments=3)
        self.assertEqual(entry.code, INVALID)
        print(f"  fragments that do not agree: {entry.message}")
        entry, _ = w.request(PUSH, 8, one, round=2, rows=1, fragment=1, fragments=2)
        self.assertEqual((entry.code, entry.progress), (OK, DONE), entry.message)
        self.assertEqual(w.request(PULL, 8, ids(3), round=2, rows=1)[1], f32(2, 4))
        self.assert_serves()

    def test_bad_headers_are_answered(self):
        w = self.worker
        self.init(7, 1, 2)
        cases = [
            ("another cluster", dict(cluster=1), PRECONDITION, False),
            ("protocol 99", dict(protocol=99), PRECONDITION, False),
            ("a rank outside of the view", dict(rank=1), PRECONDITION, False),
            ("an older life", dict(incarnation=0), ABORTED, False),
            ("an epoch from the future", dict(epoch=1 << 40), UNAVAILABLE, True),
            ("another job", dict(job=1 << 40), UNAVAILABLE, True),
            ("another life of the server", dict(server_incarnation=1 << 40), UNAVAILABLE, True),
        ]
        for what, fields, code, again in cases:
            with self.subTest(what):
                frame = w.frame()
                for name, value in fields.items():
                    setattr(frame, name, value)
                w.add(frame, PUSH, 7, f32(5, 5), round=1)
                entry = w.ask(7, frame).entries[0]
                self.assertEqual((entry.code, entry.retry_after_ms > 0), (code, again), entry)
                print(f"  {what}: {entry.message}")
        self.assert_serves()

    def test_bytes_that_are_no_frame_close_the_stream_with_a_reason(self):
        w = self.worker
        self.init(7, 1, 2)
        whole = w.frame()
        w.add(whole, PUSH, 7, f32(5, 5), round=1)
        whole = whole.SerializeToString()
        short = w.frame()
        w.add(short, PUSH, 7, f32(5, 5), round=1)
        short.entries[0].payload_bytes = 1000
        many = w.frame()
        for _ in range(4097):
            w.add(many, PULL, 7)
        for what, bytes_ in (("garbage", b"\xff" * 100), ("truncated", whole[:-3]),
                             ("a payload shorter than its header says", short),
                             ("4097 entries", many)):
            with self.subTest(what):
                stream = Stream(w.routing.servers[0].address, "/kvstore.v1.Data/Shard0",
                                data_pb2.ReplyFrame)
                stream.send(bytes_)
                reply = stream.receive()
                self.assertEqual(reply.entries[0].code, INVALID, reply)
                print(f"  {what}: {reply.entries[0].message}")
                self.assertNotIsInstance(stream.receive(), data_pb2.ReplyFrame)  # the stream ended
                stream.close()
        empty = w.ask(7, w.frame())
        self.assertEqual(empty.entries[0].code, INVALID)
        self.assert_serves()

    def test_messages_over_the_limit_and_compressed_ones_are_refused(self):
        exhausted, unimplemented = (grpc.StatusCode.RESOURCE_EXHAUSTED,
                                    grpc.StatusCode.UNIMPLEMENTED)
        self.init(7, 1, 2)
        for address, method in (
                (self.cluster.server[0].address, "/kvstore.v1.Data/Shard0"),
                (self.cluster.address, "/kvstore.v1.Scheduler/Session")):
            for what, message, compression, code in (
                    ("5 MiB", bytes(5 << 20), None, exhausted),
                    ("gzip", bytes(1 << 20), grpc.Compression.Gzip, unimplemented),
                    ("deflate", bytes(1 << 20), grpc.Compression.Deflate, unimplemented)):
                with self.subTest(what, address=address):
                    stream = Stream(address, method, data_pb2.ReplyFrame, compression)
                    stream.send(message)
                    end = stream.receive()
                    self.assertIsInstance(end, grpc.RpcError)
                    self.assertEqual(end.code(), code, end)
                    print(f"  {what}: {end.details()}")
                    stream.close()
        self.assert_serves()

    def test_huge_messages_cost_no_more_memory_than_the_network_may(self):
        self.init(7, 1, 2)
        for process, method in (
                (self.cluster.server[0], "/kvstore.v1.Data/Shard0"),
                (self.cluster.scheduler, "/kvstore.v1.Scheduler/Session")):
            address = self.cluster.address if process is self.cluster.scheduler else process.address
            before = process.resident_bytes()
            for _ in range(3):
                stream = Stream(address, method, data_pb2.ReplyFrame)
                stream.send(bytes(600 << 20))
                end = stream.receive()
                self.assertIsInstance(end, grpc.RpcError)
                print(f"  600 MiB: {end.code()}: {end.details()}")
                stream.close()
            grown = process.resident_bytes() - before
            print(f"  {process.name}: {grown >> 20} MiB more than before")
            # gRPC notices that it is over its limit (64 MiB) a little later, the later the busier
            # the machine is; a message is never held whole.
            self.assertLess(grown, 600 << 20)
        # The limit may have cost others their streams too: a worker dials again.
        self.worker.forget_streams()
        self.assert_serves()

    def test_pulls_of_a_worker_that_does_not_read_are_put_off(self):
        w = self.worker
        value = bytes(1 << 20)
        entry, _ = w.request(INIT, 7, value, spec=w.key_spec(7, shape=(1 << 18,)))
        self.assertEqual(entry.code, OK, entry.message)
        frame = w.frame()
        for _ in range(10):
            w.add(frame, PULL, 7)
        pulls = 400
        last = w.frame()
        w.add(last, PUSH, 7, value, round=1)
        stream = UnreadStream(w.routing.servers[0].address, "/kvstore.v1.Data/Shard0",
                              [frame] * (pulls // 10) + [last])
        # This pull waits for the push: when it is answered the server has read all of the frames.
        entry, _ = w.request(PULL, 7, round=1)
        self.assertEqual((entry.code, entry.version), (OK, 1))
        codes = []
        while len(codes) < pulls:
            codes += [(part.code, part.retry_after_ms > 0) for part in stream.receive().entries
                      if part.op == PULL]
        stream.close()
        self.assertEqual(set(codes), {(OK, False), (EXHAUSTED, True)})
        served = codes.count((OK, False))
        print(f"  {served} of {pulls} pulls of 1 MiB were answered, the others put off")
        # 64 MiB, what one frame asks for beyond that, and what the connection itself holds.
        self.assertLess(served, 64 + 10 + 64)

    def test_slow_and_idle_connections_harm_nobody(self):
        self.init(7, 1, 2)
        host, port = self.cluster.server[0].address.rsplit(":", 1)
        idle = [socket.create_connection((host, int(port))) for _ in range(500)]
        for n, connection in enumerate(idle):
            self.addCleanup(connection.close)
            # Some say nothing, some stop in the middle of HTTP/2's preface.
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[:n % 20])
        self.assert_serves()

    def test_a_call_that_the_client_gives_up_leaves_nothing_behind(self):
        w = self.worker
        self.init(7, 1, 2)
        push = w.frame()
        w.add(push, PUSH, 7, f32(5, 5), round=1)
        cut_short = Stream(w.routing.servers[0].address, "/kvstore.v1.Data/Shard0", data_pb2.ReplyFrame,
                           timeout=0.001)
        cut_short.send(push)
        end = cut_short.receive()
        while isinstance(end, data_pb2.ReplyFrame):  # it may have been fast enough
            end = cut_short.receive()
        self.assertEqual(end.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        cut_short.close()
        # All or nothing: the push counts once, now or before.
        entry, _ = w.request(PUSH, 7, f32(5, 5), round=1)
        self.assertEqual((entry.code, entry.progress), (OK, DONE))
        self.assertEqual(w.request(PULL, 7, round=1)[1], f32(5, 5))

    def test_a_flood_of_barriers_is_answered_and_one_out_of_turn_refused(self):
        message = scheduler_pb2.NodeMessage()
        codes = set()
        for generation in range(1, 5001):
            message.barrier.generation = generation
            self.worker.session.send(message)
        for _ in range(5000):
            codes.add(self.worker.expect("barrier").code)
        # With one worker each barrier is complete at once; one of a wrong generation is refused.
        self.assertEqual(codes, {OK})
        message.barrier.generation = 10**6
        self.worker.session.send(message)
        self.assertEqual(self.worker.expect("barrier").code, INVALID)
        self.init(7, 1, 2)
        self.assert_serves()

    def test_unknown_fields_are_ignored(self):
        w = self.worker
        self.init(7, 1, 2)
        frame = w.frame()
        w.add(frame, PULL, 7)
        stream = w.stream(*w.owner(7))
        stream.send(frame.SerializeToString() + b"\xfa\x07\x03abc")  # field 127, bytes
        self.assertEqual(stream.receive().entries[0].code, OK)

    def test_what_the_scheduler_refuses(self):
        self.start("--lost-dead-ms", "50")
        for what, fields, code in (
                ("protocol 99", dict(protocol=99), PRECONDITION),
                ("one worker too many", {}, EXHAUSTED),
                ("no role", dict(role=0), INVALID)):
            with self.subTest(what):
                refused = refusal_for_good(self.cluster.address, **fields)
                self.assertEqual(refused.code, code, refused)
                print(f"  {what}: {refused.message}")
        session = Stream(self.cluster.address, "/kvstore.v1.Scheduler/Session",
                         scheduler_pb2.SchedulerMessage)
        self.addCleanup(session.close)
        session.send(b"\xff" * 50)
        self.assertEqual(session.receive().refused.code, INVALID)
        self.init(7, 1, 2)
        self.assert_serves()


if __name__ == "__main__":
    unittest.main()
