"""A second client, written from docs/protocol.md alone: Python's grpcio and protobuf, none of our
own code. The wire tests use it as a worker and as an attacker."""

import os
import queue
import subprocess
import sys
import tempfile
import threading
import time

import grpc

PROTO = os.environ["KVS_TEST_PROTO"]  # folder that holds kvstore/v1/*.proto
_generated = tempfile.TemporaryDirectory(prefix="kvstore-proto-")
subprocess.run(
    ["protoc", f"-I{PROTO}", f"--python_out={_generated.name}",
     *(f"kvstore/v1/{name}.proto" for name in ("types", "data", "scheduler"))],
    check=True, cwd=PROTO)
sys.path.insert(0, _generated.name)
from kvstore.v1 import data_pb2, scheduler_pb2, types_pb2  # noqa: E402  (generated above)

UNAVAILABLE = 14
SLOTS = 1024
PART_BYTES = 1 << 20
STRIPES = 61
ALIGNMENT = 64
MASK = (1 << 64) - 1


def mix64(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def key_id(key):
    if isinstance(key, int):
        return key & MASK
    h = 0xCBF29CE484222325
    for byte in key.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return mix64(h)


def with_runs(frame):
    """The reply frame with every entry that one with `also` stands for, too."""
    if not isinstance(frame, data_pb2.ReplyFrame):
        return frame
    entries = []
    for entry in frame.entries:
        bits = entry.also
        entry.ClearField("also")
        entries.append(entry)
        for bit in range(8 * len(bits)):
            if bits[bit // 8] >> bit % 8 & 1:
                each = data_pb2.ReplyEntry()
                each.CopyFrom(entry)
                each.part += 1 + bit
                each.request += 1 + bit
                entries.append(each)
    whole = data_pb2.ReplyFrame()
    whole.CopyFrom(frame)
    del whole.entries[:]
    whole.entries.extend(entries)
    return whole


class Stream:
    """One bidirectional stream of serialized messages."""

    def __init__(self, address, method, reply_type, compression=None, timeout=None,
                 on_message=lambda message: None):
        self._on_message = on_message  # called on the reader's thread
        self._channel = grpc.insecure_channel(
            address, [("grpc.max_send_message_length", -1)], compression)
        self._out = queue.Queue()
        self._in = queue.Queue()
        self._call = self._channel.stream_stream(method)(iter(self._out.get, None), timeout=timeout)
        threading.Thread(target=self._read, args=(reply_type,), daemon=True).start()

    def _read(self, reply_type):
        try:
            for message in self._call:
                parsed = reply_type.FromString(message)
                self._on_message(parsed)
                self._in.put(parsed)
            self._in.put(None)
        except grpc.RpcError as error:
            self._in.put(error)

    def send(self, message):
        self._out.put(message if isinstance(message, bytes) else message.SerializeToString())

    def receive(self, seconds=30):
        """The next message; None or an RpcError when the stream ended."""
        return self._in.get(timeout=seconds)

    def cancel(self):
        """Gives the call up, whatever was sent or answered."""
        self._call.cancel()

    def close(self):
        self._out.put(None)
        self._channel.close()


class UnreadStream:
    """A stream that sends all of its messages before it reads a first reply."""

    def __init__(self, address, method, messages):
        sent = threading.Event()

        def requests():
            yield from (message.SerializeToString() for message in messages)
            sent.set()
            self._closed.wait()

        self._closed = threading.Event()
        self._channel = grpc.insecure_channel(address)
        self._call = self._channel.stream_stream(method)(requests())
        sent.wait(30)

    def receive(self):
        return data_pb2.ReplyFrame.FromString(next(self._call))

    def close(self):
        self._closed.set()
        self._channel.close()


def refusal_for_good(address, **fields):
    """Registers a worker that the job has no place for, again and again until the refusal is another
    than UNAVAILABLE, and returns that one. Start the scheduler with a short --lost-dead-ms. `fields`:
    of Register, in place of those of a worker that would do."""
    end = time.monotonic() + 30
    while True:
        session = Stream(address, "/kvstore.v1.Scheduler/Session", scheduler_pb2.SchedulerMessage)
        message = scheduler_pb2.NodeMessage()
        values = dict(role=scheduler_pb2.ROLE_WORKER, address="x:1", nonce=99, protocol=1,
                      store_type="dist_sync")
        for name, value in {**values, **fields}.items():
            setattr(message.register, name, value)
        session.send(message)
        refused = session.receive().refused
        session.close()
        if refused.code != UNAVAILABLE:
            return refused
        assert time.monotonic() < end, f"still UNAVAILABLE after 30 s: {refused.message}"


class Worker:
    """Registers, learns the routes, and speaks frames."""

    def __init__(self, scheduler, nonce=12345, store_type="dist_sync", rank=None):
        self.session = Stream(scheduler, "/kvstore.v1.Scheduler/Session",
                              scheduler_pb2.SchedulerMessage, on_message=self._confirm)
        register = scheduler_pb2.NodeMessage()
        register.register.role = scheduler_pb2.ROLE_WORKER
        register.register.address = "python:1"
        register.register.nonce = nonce
        register.register.store_type = store_type
        register.register.protocol = 1
        if rank is not None:
            register.register.wanted_rank_plus_one = rank + 1
        self.session.send(register)
        self.identity = self.expect("registered")
        self.routing = None
        self.requests = 0
        self.streams = {}

    def _confirm(self, message):
        """Whatever is proposed, at once: who is silent for three heartbeats loses its place."""
        if message.WhichOneof("kind") == "proposal":
            confirm = scheduler_pb2.NodeMessage()
            confirm.confirm.attempt = message.proposal.attempt
            self.session.send(confirm)

    def expect(self, kind):
        while True:
            message = self.session.receive()
            assert isinstance(message, scheduler_pb2.SchedulerMessage), message
            if message.WhichOneof("kind") == kind:
                return getattr(message, kind)

    def route(self):
        self.routing = self.expect("routing")
        begin = scheduler_pb2.NodeMessage()
        begin.begin.SetInParent()
        self.session.send(begin)
        self.expect("begun")

    def heartbeat(self):
        message = scheduler_pb2.NodeMessage()
        message.heartbeat.SetInParent()
        self.session.send(message)

    def owner(self, key, part=0):
        slot = (mix64(key_id(key)) + part) % SLOTS
        return self.routing.slot_server[slot], self.routing.slot_shard[slot]

    def stream(self, server, shard):
        if (server, shard) not in self.streams:
            self.streams[server, shard] = Stream(
                self.routing.servers[server].address, f"/kvstore.v1.Data/Shard{shard}",
                data_pb2.ReplyFrame)
        return self.streams[server, shard]

    def forget_streams(self):
        for stream in self.streams.values():
            stream.close()
        self.streams = {}

    def frame(self, server=0):
        return data_pb2.RequestFrame(
            cluster=self.identity.cluster, protocol=1, epoch=self.routing.epoch,
            job=self.identity.job, rank=self.identity.rank, incarnation=self.identity.incarnation,
            server_incarnation=self.routing.servers[server].incarnation)

    def add(self, frame, op, key, data=b"", part=0, **fields):
        """Appends an entry, its bytes aligned as the protocol says."""
        self.requests += 1
        entry = frame.entries.add(op=op, key=key_id(key), part=part, request=self.requests,
                                payload_bytes=len(data))
        for name, value in fields.items():
            setattr(entry, name, value)
        if data:
            frame.payload += bytes(-len(frame.payload) % ALIGNMENT) + data
        return entry

    def key_spec(self, key, dtype=types_pb2.DTYPE_F32, shape=(1,),
                 storage=types_pb2.STORAGE_DENSE):
        return types_pb2.KeySpec(key=key_id(key), name="" if isinstance(key, int) else key,
                                 dtype=dtype, shape=shape, storage=storage)

    def ask(self, key, frame, part=0):
        """Sends the frame to the owner of the key's part; the next frame that comes back."""
        return self.ask_shard(*self.owner(key, part), frame)

    def ask_shard(self, server, shard, frame):
        stream = self.stream(server, shard)
        stream.send(frame)
        return with_runs(stream.receive())

    def settle(self, server, shard, frame):
        """The same; sent again while the server, which has no routing table yet, puts it off."""
        while True:
            reply = self.ask_shard(server, shard, frame)
            assert isinstance(reply, data_pb2.ReplyFrame), reply
            if not (reply.entries and reply.entries[0].code == UNAVAILABLE
                    and reply.entries[0].retry_after_ms):
                return reply
            # The protocol's own pace: the server says when, and tells nobody of its table before.
            time.sleep(reply.entries[0].retry_after_ms / 1000)

    def command(self, id_, body=b"", given=True):
        """A frame for a server's first shard."""
        frame = self.frame()
        self.add(frame, data_pb2.OP_COMMAND, 0)
        if given:
            frame.command.id = id_
            frame.command.body = body
        return frame

    def outcome(self, frame):
        """Of a command to server 0: the last of its answers, which is not RECEIVED."""
        entry = self.settle(0, 0, frame).entries[0]
        while entry.progress == data_pb2.PROGRESS_RECEIVED:
            entry = self.stream(0, 0).receive().entries[0]
        assert (entry.op, entry.request) == (data_pb2.OP_COMMAND, frame.entries[0].request), entry
        return entry

    def request(self, op, key, data=b"", part=0, spec=None, **fields):
        """One entry in a frame; the reply's (entry, payload)."""
        server, shard = self.owner(key, part)
        frame = self.frame(server)
        self.add(frame, op, key, data, part, **fields)
        if spec is not None:
            frame.keys.append(spec)
        reply = self.settle(server, shard, frame)
        return reply.entries[0], reply.payload

    def close(self):
        self.forget_streams()
        self.session.close()
