"""A stock gRPC client that knows nothing of kvstore: what it sees is one line per question.

Usage: grpc_foreign_peer.py HOST:PORT QUESTION
"""
import sys

import grpc

ECHO = "/kvstore.test.Echo/Talk"
REVERSE = "/kvstore.test.Echo/Reverse"


def same(data):
    return data


def talk(channel, messages, **options):
    call = channel.stream_stream(ECHO, same, same)
    return list(call(iter(messages), timeout=20, **options))


def code_of(function):
    try:
        function()
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def main():
    address, question = sys.argv[1:]
    with grpc.insecure_channel(address, options=[("grpc.max_send_message_length", -1)]) as channel:
        if question == "stream":
            messages = [bytes([i % 251]) * (i * 97) for i in range(100)]
            print("same" if talk(channel, messages) == messages else "different")
        elif question == "unary":
            call = channel.unary_unary(REVERSE, same, same)
            print(call(b"abc", timeout=20).decode())
        elif question == "unserved":
            call = channel.unary_unary("/kvstore.test.Echo/Nothing", same, same)
            print(code_of(lambda: call(b"", timeout=20)))
        elif question == "oversize":
            print(code_of(lambda: talk(channel, [b"x" * (5 << 20)])))
        elif question == "gzip":
            print(code_of(lambda: talk(channel, [b"x" * 10000], compression=grpc.Compression.Gzip)))
        else:
            sys.exit("unknown question " + question)


main()
