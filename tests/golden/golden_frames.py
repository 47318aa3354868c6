#!/usr/bin/env python3
"""Frames as another language's protobuf library writes and reads them.

  golden_frames.py --write DIR   writes NAME.bin and NAME.json for every golden frame, into
                                 DIR/requests and DIR/replies
  golden_frames.py --same DIR    fails unless DIR holds just what --write would write
  golden_frames.py --check DIR   reads every NAME.bin in DIR/requests and DIR/replies (written by
                                 our encoder) and fails unless it says what NAME.json says

PYTHONPATH leads to the modules that protoc --python_out makes of proto/kvstore/v1. The text of a
frame (NAME.json) is the one of tests/common/wire/frame_oracle.cc: FrameJson().
"""
import argparse
import json
import os
import pathlib
import struct
import sys
import tempfile

# The library written in Python, not its wrapper of the C++ library that our tests compare with too.
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"

from google.protobuf.internal import api_implementation
from kvstore.v1 import data_pb2, types_pb2

MASK64 = (1 << 64) - 1
MASK32 = (1 << 32) - 1
ENTRY_ALIGNMENT = 64
BYTES_SHOWN = 32


def mix64(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK64
    return x ^ (x >> 31)


def hash_bytes(data):
    """The protocol's hash of a key's name (docs/protocol.md)."""
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK64
    return mix64(h)


def string_key(name):
    return hash_bytes(name.encode())


def int_key(number):
    return number & MASK64


def round_up(size):
    return (size + ENTRY_ALIGNMENT - 1) // ENTRY_ALIGNMENT * ENTRY_ALIGNMENT


def pattern(size, first):
    return bytes((first + 7 * i) & 0xFF for i in range(size))


# --- the text of a frame -------------------------------------------------------------------------

def bytes_json(data):
    return {"bytes": len(data), "begin": data[:BYTES_SHOWN].hex(),
            "hash": f"{hash_bytes(data):016x}"}


def head_json(entry):
    return {"op": entry.op & MASK32, "key": entry.key, "part": entry.part, "round": entry.round,
            "request": entry.request, "life": entry.life}


def entry_json(entry, data):
    if isinstance(entry, data_pb2.RequestEntry):
        return {
            **head_json(entry), "step": entry.step, "probed_op": entry.probed_op & MASK32,
            "takes_back": entry.takes_back, "rows": entry.rows, "fragment": entry.fragment,
            "fragments": entry.fragments or 1, "create": entry.create,
            "codec": entry.codec & MASK32, "rows_from": entry.rows_from,
            "data": bytes_json(data),
        }
    return {
        **head_json(entry), "progress": entry.progress & MASK32,
        "code": entry.code if entry.code <= 16 else 2, "message": entry.message,
        "retry_after_ms": entry.retry_after_ms, "missing_ranks": list(entry.missing_ranks),
        "version": entry.version, "staleness": entry.staleness, "data": bytes_json(data),
    }


def key_json(key):
    return {
        "key": key.key, "name": key.name, "dtype": key.dtype if 0 <= key.dtype <= 255 else 255,
        "shape": list(key.shape), "storage": key.storage & MASK32,
        "shape_unknown": key.shape_unknown,
        "compression": {"type": key.compression.type,
                        "parameters": parameters_json(key.compression.parameters)},
        "nan_policy": key.nan_policy & MASK32,
        "rule": [key.rule.kind & MASK32, bits_of(key.rule.a), bits_of(key.rule.b), key.rule.seed,
                 key.rule.rows_max],
    }


def bits_of(value):
    return struct.pack(">d", value).hex()


def parameters_json(parameters):
    return {name: bits_of(value)
            for name, value in sorted(parameters.items(), key=lambda kv: kv[0].encode())}


def optimizer_json(optimizer):
    multipliers = {each.key: [bits_of(each.lr_mult), bits_of(each.wd_mult)]
                   for each in optimizer.multipliers}
    schedule = optimizer.schedule
    return {"name": optimizer.name, "parameters": parameters_json(optimizer.parameters),
            "multipliers": {str(key): both for key, both in sorted(multipliers.items())},
            "schedule": {"name": schedule.name,
                         "parameters": parameters_json(schedule.parameters),
                         "steps": list(schedule.steps)},
            "average": optimizer.average}


def command_json(command):
    return {"id": command.id, "body": bytes_json(command.body)}


def lines(items):
    return "[" + ",".join("\n" + dump(item) for item in items) + "]"


def dump(item):
    return json.dumps(item, ensure_ascii=False)


def frame_json(frame):
    """The frame's text; ValueError if the entries' bytes do not lie in the payload as they should."""
    entries = []
    end = 0
    for entry in frame.entries:
        first = len(entries)
        data = b""
        if entry.payload_bytes:
            begin = round_up(end)
            if any(frame.payload[end:begin]):
                raise ValueError("the gap between two entries is not zeros")
            end = begin + entry.payload_bytes
            data = frame.payload[begin:end]
            if len(data) != entry.payload_bytes:
                raise ValueError(f"a payload of {end} bytes expected, got {len(frame.payload)}")
        entries.append(entry_json(entry, data))
        for bit in range(8 * len(entry.also)):
            if entry.also[bit // 8] >> bit % 8 & 1:
                entries.append({**entries[first], "part": entry.part + 1 + bit,
                                "request": entry.request + 1 + bit})
    if len(frame.payload) > round_up(end):
        raise ValueError(f"a payload of {end} bytes expected, got {len(frame.payload)}")
    header = {name: getattr(frame, name) for name in (
        "cluster", "protocol", "epoch", "job", "rank", "incarnation", "server_incarnation")}
    text = (f'{dump(header)[:-1]},\n"entries": {lines(entries)},\n'
            f'"keys": {lines(map(key_json, frame.keys))}')
    if isinstance(frame, data_pb2.ReplyFrame):
        return text + "}\n"
    optimizer = dump(optimizer_json(frame.optimizer)) if frame.HasField("optimizer") else "null"
    command = dump(command_json(frame.command)) if frame.HasField("command") else "null"
    return f'{text},\n"optimizer": {optimizer},\n"command": {command}}}\n'


# --- the golden frames ---------------------------------------------------------------------------

def worker_frame(kind=data_pb2.RequestFrame, **fields):
    return kind(cluster=0xFEDCBA9876543210, protocol=1, epoch=12, job=2, rank=1,
                incarnation=1001, server_incarnation=900, **fields)


def add_entry(frame, data=b"", **fields):
    """An entry with its bytes, at the next multiple of 64."""
    if data:
        frame.payload = frame.payload.ljust(round_up(len(frame.payload)), b"\0") + data
    frame.entries.add(payload_bytes=len(data), **fields)


def serialized(frame):
    return frame.SerializeToString(deterministic=True)


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def push():
    frame = worker_frame()
    add_entry(frame, pattern(400, 1), op=data_pb2.OP_PUSH, key=int_key(3), part=1, round=17,
             request=501, step=16, codec=data_pb2.CODEC_TOPK)
    return serialized(frame)


def push_many_entries():
    frame = worker_frame()
    for i, size in enumerate((4, 64, 0, 65, 1, 128, 63)):
        add_entry(frame, pattern(size, i), op=data_pb2.OP_PUSH, key=int_key(i - 3), round=2,
                 request=i + 1)
    return serialized(frame)


def pull():
    frame = worker_frame()
    add_entry(frame, op=data_pb2.OP_PULL, key=string_key("fc.bias"), round=0, request=9)
    add_entry(frame, op=data_pb2.OP_PULL, key=string_key("fc.weight"), round=5, request=10)
    return serialized(frame)


def init():
    frame = worker_frame()
    specs = [
        types_pb2.KeySpec(key=string_key("conv1.weight"), name="conv1.weight",
                          dtype=types_pb2.DTYPE_F32, shape=[2, 3, 1],
                          storage=types_pb2.STORAGE_DENSE, nan_policy=types_pb2.NAN_POLICY_ZERO,
                          compression=types_pb2.Compression(type="topk",
                                                            parameters={"ratio": 0.01})),
        types_pb2.KeySpec(key=int_key(-1), dtype=types_pb2.DTYPE_F64),
        types_pb2.KeySpec(key=string_key("a/b:c-d_e"), name="a/b:c-d_e", shape_unknown=True),
        types_pb2.KeySpec(key=string_key("Gewicht ⚖ 𝔴"), name="Gewicht ⚖ 𝔴",
                          dtype=types_pb2.DTYPE_BOOL, shape=[1 << 40, -1, 0],
                          storage=types_pb2.STORAGE_ROW_SPARSE),
        types_pb2.KeySpec(key=string_key("embedding"), name="embedding",
                          dtype=types_pb2.DTYPE_F16, shape=[1 << 40, 64],
                          storage=types_pb2.STORAGE_ROW_SPARSE,
                          rule=types_pb2.InitRule(kind=types_pb2.INIT_RULE_NORMAL, a=-0.0, b=0.02,
                                                  seed=MASK64, rows_max=1000000)),
    ]
    frame.keys.extend(specs)
    for i, size in enumerate((24, 8, 0, 1, 0)):
        add_entry(frame, pattern(size, 5 * i), op=data_pb2.OP_INIT, key=specs[i].key, request=i + 1)
    return serialized(frame)


def replies():
    frame = worker_frame(data_pb2.ReplyFrame)
    add_entry(frame, pattern(24, 3), op=data_pb2.OP_PULL, key=4, round=0, request=1, version=6,
              staleness=2, progress=data_pb2.PROGRESS_DONE)
    add_entry(frame, op=data_pb2.OP_PUSH, key=5, round=6, request=2, code=3,
              message='key 5: shape [4,8] expected, got "[4,7]"\n\t\\ – ünï')
    add_entry(frame, op=data_pb2.OP_PUSH, key=6, round=7, request=3, code=8, retry_after_ms=20)
    add_entry(frame, op=data_pb2.OP_PROBE, key=6, round=7, request=4,
              progress=data_pb2.PROGRESS_RECEIVED, missing_ranks=[0, 2, 127, 128, MASK32])
    return serialized(frame)


def probe_and_take_back():
    frame = worker_frame()
    add_entry(frame, op=data_pb2.OP_PROBE, probed_op=data_pb2.OP_PUSH, key=6, round=7, request=4)
    add_entry(frame, op=data_pb2.OP_TAKE_BACK, key=6, request=5, takes_back=2)
    add_entry(frame, op=data_pb2.OP_DELETE, key=6, request=6, life=1)
    add_entry(frame, op=data_pb2.OP_RESET, key=6, request=7, life=2)
    return serialized(frame)


def described_key():
    frame = worker_frame(data_pb2.ReplyFrame)
    frame.keys.add(key=int_key(4), dtype=types_pb2.DTYPE_F32, shape=[2, 3],
                   storage=types_pb2.STORAGE_DENSE)
    add_entry(frame, op=data_pb2.OP_INIT, key=4, request=1, progress=data_pb2.PROGRESS_DONE, life=2)
    return serialized(frame)


def set_optimizer():
    frame = worker_frame()
    add_entry(frame, op=data_pb2.OP_SET_OPTIMIZER, request=3)
    frame.optimizer.name = "sgd"
    for name, value in (("learning_rate", 0.1), ("momentum", 0.9), ("wd", 5e-324),
                        ("clip_gradient", float("-inf")), ("rescale_grad", 1 / 3)):
        frame.optimizer.parameters[name] = value
    return serialized(frame)


def set_multipliers():
    frame = worker_frame()
    add_entry(frame, op=data_pb2.OP_SET_OPTIMIZER, request=4)
    frame.optimizer.name = "adam"
    frame.optimizer.multipliers.add(key=int_key(0), lr_mult=0.5, wd_mult=0)
    frame.optimizer.multipliers.add(key=int_key(7), lr_mult=1, wd_mult=1e-300)
    return serialized(frame)


def set_schedule():
    frame = worker_frame()
    add_entry(frame, op=data_pb2.OP_SET_OPTIMIZER, request=5)
    frame.optimizer.name = "sgd"
    schedule = frame.optimizer.schedule
    schedule.name = "multifactor"
    schedule.parameters["factor"] = 0.1
    schedule.steps.extend([1, 127, 128, 2**53])
    frame.optimizer.average = types_pb2.AVERAGE_WORKERS
    return serialized(frame)


def set_numbers():
    frame = worker_frame()
    add_entry(frame, op=data_pb2.OP_SET_NUMBERS, request=6, step=5000)
    frame.optimizer.name = "sgd"
    frame.optimizer.parameters["learning_rate"] = 0.01
    return serialized(frame)


def states():
    frame = worker_frame()
    add_entry(frame, struct.pack("<IIQ", 1, 0, 1 << 17), op=data_pb2.OP_READ_STATE, key=int_key(7),
              part=2, request=7)
    page = struct.pack("<BBBBBBHQQQI", 1, 0, 1 | 8, types_pb2.DTYPE_F32, 2, 0, 0, 5, 0, 2, 0)
    page += b"\x04adam\x04mean\x03var" + struct.pack("<2f", 0.5, -1)
    add_entry(frame, page, op=data_pb2.OP_WRITE_STATE, key=int_key(7), part=2, request=8, life=3)
    return serialized(frame)


def command():
    frame = worker_frame()
    add_entry(frame, op=data_pb2.OP_COMMAND, request=5)
    frame.command.id = -3
    frame.command.body = b"\xff\x00 any bytes"
    return serialized(frame)


def rows():
    frame = worker_frame()
    table = types_pb2.KeySpec(key=int_key(9), dtype=types_pb2.DTYPE_F32, shape=[1000, 3],
                              storage=types_pb2.STORAGE_ROW_SPARSE)
    frame.keys.append(table)
    ids = (3, 64, 125)
    add_entry(frame, struct.pack("<3q", *ids) + pattern(36, 4), op=data_pb2.OP_INIT, key=9, part=3,
             request=1, rows=3, fragment=1, fragments=2, create=True)
    add_entry(frame, op=data_pb2.OP_PUSH, key=9, part=4, round=1, request=2)
    add_entry(frame, struct.pack("<3q", *ids), op=data_pb2.OP_PULL, key=9, part=3, round=1,
             request=3, rows=3)
    add_entry(frame, pattern(36, 5), op=data_pb2.OP_PUSH, key=9, part=5, round=2, request=4, rows=3,
              rows_from=6)
    return serialized(frame)


def runs():
    """Pushes to 61 stripes of which one has bytes."""
    frame = worker_frame()
    push = dict(op=data_pb2.OP_PUSH, key=9, round=3)
    add_entry(frame, part=0, request=10, also=bytes([0b11111]), **push)  # parts 0 to 5
    add_entry(frame, pattern(20, 1), part=6, request=16, rows=1, **push)
    add_entry(frame, part=7, request=17, also=b"\xff" * 6 + bytes([0b11111]), **push)  # 7 to 60
    return serialized(frame)


def run_of_replies():
    frame = worker_frame(data_pb2.ReplyFrame)
    add_entry(frame, part=3, request=13, progress=data_pb2.PROGRESS_DONE, op=data_pb2.OP_PUSH,
              key=9, round=3, also=bytes([0b1, 0b10, 0b10000000]))  # 3, 4, 13, 27
    return serialized(frame)


def a_run_with_zeros_behind():
    frame = worker_frame()
    add_entry(frame, part=0, request=1, op=data_pb2.OP_PULL, key=9, also=b"\1\0\0")
    add_entry(frame, part=4, request=5, op=data_pb2.OP_PULL, key=9, also=b"\0")
    return serialized(frame)


def leave():
    frame = worker_frame()
    add_entry(frame, op=data_pb2.OP_LEAVE, round=99, request=77)
    return serialized(frame)


def largest(kind):
    frame = kind(cluster=MASK64, protocol=MASK32, epoch=MASK64, job=MASK64, rank=MASK32,
                 incarnation=MASK64, server_incarnation=MASK64)
    frame.keys.add(key=MASK64, dtype=255, shape=[-(1 << 63), (1 << 63) - 1] * 5, storage=-1)
    return frame


LARGEST_HEAD = dict(op=-1, key=MASK64, part=MASK32, round=MASK64, request=MASK64, life=MASK64)


def largest_numbers():
    frame = largest(data_pb2.RequestFrame)
    add_entry(frame, step=MASK64, probed_op=0x7FFFFFFF, takes_back=MASK64, rows=MASK32,
              fragment=MASK32, fragments=MASK32, create=True, rows_from=MASK64, **LARGEST_HEAD)
    return serialized(frame)


def largest_reply():
    frame = largest(data_pb2.ReplyFrame)
    add_entry(frame, progress=-(1 << 31), code=16, retry_after_ms=MASK32, version=MASK64,
              staleness=MASK64, **LARGEST_HEAD)
    return serialized(frame)


def unknown_fields():
    unknown = (varint(100 << 3) + varint(MASK64) + varint(101 << 3 | 1) + b"8 bytes." +
               delimited(102, b"as many as it says") + varint(103 << 3 | 5) + b"four")
    entry = data_pb2.RequestEntry(op=data_pb2.OP_PULL, key=1, request=1).SerializeToString()
    key = types_pb2.KeySpec(key=1, name="w").SerializeToString()
    return (unknown + serialized(worker_frame()) + delimited(8, unknown + entry) +
            delimited(9, key + unknown) + unknown)


def fields_in_descending_order():
    frame = worker_frame()
    add_entry(frame, pattern(10, 1), op=data_pb2.OP_PUSH, key=1, round=1, request=1)
    add_entry(frame, pattern(20, 2), op=data_pb2.OP_PUSH, key=2, round=1, request=2)
    entry_1, entry_2 = (entry.SerializeToString() for entry in frame.entries)
    header = data_pb2.RequestFrame()
    header.CopyFrom(frame)
    header.ClearField("entries")
    header.ClearField("payload")
    return (delimited(15, frame.payload) + delimited(8, entry_1) + delimited(8, entry_2) +
            serialized(header))


def unpacked_numbers():
    entry = (varint(12 << 3) + varint(4) + delimited(12, varint(5) + varint(600)) +
             varint(12 << 3) + varint(6))
    key = (varint(4 << 3) + varint(7) + delimited(4, varint(8) + varint(MASK64)) +
           varint(4 << 3) + varint(9))
    return delimited(8, entry) + delimited(9, key)


def pieces_to_merge():
    first, second = worker_frame(), data_pb2.RequestFrame(rank=6, epoch=13)
    first.optimizer.name = "sum"
    first.optimizer.parameters["a"] = 1.0
    first.optimizer.parameters["b"] = 2.0
    second.optimizer.name = "sgd"
    second.optimizer.parameters["b"] = 3.0
    first.command.id = 4
    first.command.body = b"kept"
    second.command.id = 5
    return serialized(first) + serialized(second)


def gap_after_the_last_entry():
    frame = worker_frame()
    add_entry(frame, pattern(70, 1), op=data_pb2.OP_PUSH, key=1, round=1, request=1)
    frame.payload = frame.payload.ljust(128, b"\0")
    return serialized(frame)


KINDS = {"requests": data_pb2.RequestFrame, "replies": data_pb2.ReplyFrame}
# As protobuf's own encoder writes them: our encoder must write the same bytes.
CANONICAL = {
    "requests": (push, push_many_entries, pull, init, probe_and_take_back, set_optimizer,
                 set_multipliers, set_numbers, set_schedule, states, command, rows, runs, leave,
                 largest_numbers),
    "replies": (replies, described_key, run_of_replies, largest_reply),
}
# Legal in other forms: our decoder must read them.
UNUSUAL = {
    "requests": (unknown_fields, fields_in_descending_order, pieces_to_merge,
                 gap_after_the_last_entry, a_run_with_zeros_behind),
    "replies": (unpacked_numbers,),
}


def write(directory):
    for kind, message in KINDS.items():
        (directory / kind).mkdir(parents=True, exist_ok=True)
        for make in CANONICAL[kind] + UNUSUAL[kind]:
            name = make.__name__ + ("" if make in CANONICAL[kind] else ".unusual")
            data = make()
            (directory / kind / f"{name}.bin").write_bytes(data)
            (directory / kind / f"{name}.json").write_text(frame_json(message.FromString(data)),
                                                           encoding="utf-8")


def files(directory):
    return {str(path.relative_to(directory)): path.read_bytes()
            for path in directory.rglob("*") if path.is_file()}


def same(directory):
    with tempfile.TemporaryDirectory() as fresh:
        fresh = pathlib.Path(fresh)
        write(fresh)
        expected = files(fresh)
    found = files(directory)
    different = [name for name in sorted(expected.keys() | found.keys())
                 if expected.get(name) != found.get(name)]
    for name in different:
        print(f"{directory / name}: differs from what --write makes", file=sys.stderr)
    print(f"{len(expected)} golden files compared, {len(different)} differ")
    return not different


def check(directory):
    read = {}
    wrong = 0
    for kind, message in KINDS.items():
        frames = sorted((directory / kind).glob("*.bin"))
        read[kind] = len(frames)
        for path in frames:
            expected = path.with_suffix(".json").read_text(encoding="utf-8")
            try:
                got = frame_json(message.FromString(path.read_bytes()))
            except Exception as error:  # protobuf's DecodeError or our ValueError
                got = f"{type(error).__name__}: {error}\n"
            if got != expected:
                wrong += 1
                print(f"{path}: expected\n{expected}got\n{got}", file=sys.stderr)
    print(f"{read} frames of our encoder read, {wrong} wrong")
    return all(read.values()) and not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", type=pathlib.Path, metavar="DIR")
    mode.add_argument("--same", type=pathlib.Path, metavar="DIR")
    mode.add_argument("--check", type=pathlib.Path, metavar="DIR")
    arguments = parser.parse_args()
    if api_implementation.Type() != "python":
        print(f"protobuf's Python implementation expected, got {api_implementation.Type()}",
              file=sys.stderr)
        return 1
    if arguments.write:
        write(arguments.write)
        return 0
    return 0 if (same(arguments.same) if arguments.same else check(arguments.check)) else 1


if __name__ == "__main__":
    sys.exit(main())
