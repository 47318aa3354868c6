"""One worker of an MXNet KVStore that does what a workload of kvbench does; compare.py starts it.

    mxnet_worker.py WORKLOAD OPTIMIZER ROUNDS [HEIGHT, a type of compression, a model, or a type of store]

Prints one line of JSON: seconds of each round (push all, pull all, wait), of the same with the fused
pushpull, and of Init. Gradients are ones and the learning rate is 1. What is pulled is checked; of
dense keys after the first round only, because MXNet on one CPU pulls into the arrays that were
pushed; of rows with one worker only.
"""

import json
import sys
import time

import mxnet as mx
import numpy as np

WORKLOAD, OPTIMIZER, ROUNDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
ROWS, WIDTH = 10000, 64


def timed(work):
    begin = time.perf_counter()
    work()
    mx.nd.waitall()
    return time.perf_counter() - begin


def set_optimizer(store):
    if OPTIMIZER == "sgd":
        store.set_optimizer(mx.optimizer.create("sgd", learning_rate=1, rescale_grad=1, wd=0))


def expect(array, value):
    values = array.asnumpy()
    if not (values == value).all():
        raise SystemExit(f"{WORKLOAD}: {value} expected everywhere, got {values.ravel()[:4]}")


def resnet50():
    """Elements of each of ResNet-50's parameters, as bench/kvbench/models.cc has them."""
    def convolution(inputs, outputs, side):
        return [outputs * inputs * side * side, outputs, outputs]

    elements, inputs, width = convolution(3, 64, 7), 64, 64
    for blocks in (3, 4, 6, 3):
        for block in range(blocks):
            elements += convolution(inputs, width, 1) + convolution(width, width, 3)
            elements += convolution(width, 4 * width, 1)
            if block == 0:
                elements += convolution(inputs, 4 * width, 1)
            inputs = 4 * width
        width *= 2
    return elements + [1000 * inputs, 1000]


def transformer():
    """The same of kvbench's transformer."""
    width, inner = 128, 512
    layer = [3 * width * width, 3 * width, width * width, width, width, width,
             inner * width, inner, width * inner, width, width, width]
    return [2048 * width, 512 * width, 2 * width, width, width] + 166 * layer + [width, width, 2048]


MODELS = {"resnet50": resnet50, "transformer": transformer}


def dense(store, elements, compressed=False):
    """`elements`: of each key."""
    names = [str(i) for i in range(len(elements))]
    gradients = [mx.nd.ones((n,)) for n in elements]
    outputs = [mx.nd.zeros((n,)) for n in elements]
    zeros = [mx.nd.zeros((n,)) for n in elements]
    mx.nd.waitall()
    set_optimizer(store)
    init = timed(lambda: store.init(names, zeros))
    seconds, fused = [], []

    def round_of_two():
        store.push(names, gradients)
        store.pull(names, out=outputs)

    for i in range(ROUNDS + 1):
        seconds.append(timed(round_of_two))
        if i > 0:
            continue
        for output in (outputs[0], outputs[-1]):  # later rounds: see above
            expect(output, -store.num_workers if OPTIMIZER == "sgd" else store.num_workers)
    for _ in range(0 if compressed else ROUNDS + 1):  # MXNet has no fused call for compressed keys
        fused.append(timed(lambda: store.pushpull(names, gradients, out=outputs)))
    return {"init_s": init, "seconds": seconds[1:], "fused": fused[1:]}


def zipf_rows(random, height):
    cumulative = np.cumsum(np.arange(1, height + 1, dtype="float64") ** -1.05)
    cumulative /= cumulative[-1]
    rows = np.zeros(0, "int64")
    while len(rows) < ROWS:
        drawn = np.searchsorted(cumulative, random.rand(4 * ROWS)).astype("int64")
        rows = np.union1d(rows, drawn)
    step = 2654435761 % height
    while np.gcd(step, height) != 1:
        step += 1
    return np.sort((random.permutation(rows)[:ROWS] * step + 12345) % height)


def sparse(store, height):
    random = np.random.RandomState(17 + store.rank)
    sets = [zipf_rows(random, height) for _ in range(8)]
    ids = [mx.nd.array(rows, dtype="int64") for rows in sets]
    shape = (height, WIDTH)
    gradients = [mx.nd.sparse.row_sparse_array((mx.nd.ones((ROWS, WIDTH)), rows), shape=shape)
                 for rows in ids]
    table = mx.nd.sparse.zeros("row_sparse", shape)
    if store.rank == 0:  # whose value counts
        table = mx.nd.sparse.row_sparse_array(
            (mx.nd.zeros(shape), mx.nd.arange(0, height, dtype="int64")), shape=shape)
    output = mx.nd.sparse.zeros("row_sparse", shape)
    mx.nd.waitall()
    set_optimizer(store)
    init = timed(lambda: store.init("table", table))
    del table
    seconds = []
    for i in range(ROUNDS + 1):
        def round_of_two(rows=ids[i % 8], gradient=gradients[i % 8]):
            store.push("table", gradient)
            store.row_sparse_pull("table", out=output, row_ids=rows)

        seconds.append(timed(round_of_two))
    if store.num_workers == 1:
        pushed = sum((np.isin(sets[ROUNDS % 8], sets[i % 8]).astype("float32")
                      for i in range(ROUNDS + 1)))
        expect(output.data + mx.nd.array(pushed).reshape((-1, 1)), 0)
    return {"init_s": init, "seconds": seconds[1:], "fused": []}


def local(kind):
    """As bench/micro/local_bench.cc: four arrays for each key, summed, and copied to four."""
    store = mx.kv.create(kind)
    names = [str(i) for i in range(25)]
    contexts = [mx.cpu(i) for i in range(4)]
    gradients = [[mx.nd.ones((1000000,), context) for context in contexts] for _ in names]
    outputs = [[mx.nd.zeros((1000000,), context) for context in contexts] for _ in names]
    store.init(names, [mx.nd.zeros((1000000,)) for _ in names])
    set_optimizer(store)
    mx.nd.waitall()

    def round_of_two():
        store.push(names, gradients)
        store.pull(names, out=outputs)

    seconds = [timed(round_of_two) for _ in range(ROUNDS + 2)]
    expect(outputs[0][0], 4)
    fused = [timed(lambda: store.pushpull(names, gradients, out=outputs)) for _ in range(ROUNDS + 2)]
    return {"seconds": seconds[2:], "fused": fused[2:]}


def main():
    if WORKLOAD == "local":
        print(json.dumps(local(sys.argv[4])), flush=True)
        return
    store = mx.kv.create("dist_sync")
    if WORKLOAD == "round" and sys.argv[4:] and sys.argv[4] in MODELS:
        result = dense(store, MODELS[sys.argv[4]]())
    elif WORKLOAD == "round":
        compressed = len(sys.argv) > 4
        if compressed:  # with this threshold the ones of a round are sent as they are
            store.set_gradient_compression({"type": sys.argv[4], "threshold": 1.0})
        result = dense(store, 25 * [1000000], compressed)
    elif WORKLOAD == "small":
        result = dense(store, 10000 * [64])
    else:
        result = sparse(store, int(sys.argv[4]))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
