"""Damaged ONNX models: each is read rightly, or refused with a clear error.

python -m tests.fuzz.onnx_models --count 2000 --seed 0
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, TensorProto

from cnndsl.diagnostics import CnnError
from cnndsl.importers.onnx.load import Imported, load
from tests.importers.support import compared, feeds_of, model, numbers, original

SLOWEST = 10.0
"""Seconds for one model."""
LARGEST = 1e6
"""Weights, and elements of a map, that can still be compared."""
LONG_SUMS = 1e-3
"""Largest relative error: padding may be so long that float32 sums of it lose digits."""
KINDS = (
    *("Relu", "Conv", "Reshape", "Gemm", "Concat", "Transpose", "Pad", "Slice", "Gather", "Loop"),
    *("Resize", "Softmax", "MatMul", "Pow", "Max", "Div", "LayerNormalization", "SpaceToDepth"),
)
NUMBERS = (0, 1, -1, 2, 7, 2**31, 2**62, -(2**63))


def seeds() -> list[ModelProto]:
    """Small models with most kinds of operators."""
    first = """(float[N,4,9,10] x) => (float[] y, float[] z) {
        p = Pad (x, pads)
        c = Conv <pads = [1, 1, 0, 0], strides = [2, 2]> (p, w, b)
        n = BatchNormalization (c, s, b, b, v)
        d = Div (n, r)
        e = Erf (d)
        a = Add (e, one)
        m = Mul (n, a)
        g = Mul (m, half)
        q = MaxPool <kernel_shape = [2, 2], ceil_mode = 1> (g)
        k, l = Split <axis = 1> (q)
        z = Concat <axis = 1> (l, k)
        t = Transpose <perm = [0, 2, 3, 1]> (z)
        u = ReduceMean <axes = [1, 2], keepdims = 0> (t)
        y = Gemm <transB = 1> (u, f)
    }"""
    second = """(float[N,6,8] x) => (float[] y) {
        h = Shape (x)
        i = Gather (h, zero)
        j = Unsqueeze (i, axes)
        o = Concat <axis = 0> (j, sizes)
        r = Reshape (x, o)
        t = Transpose <perm = [0, 2, 1, 3]> (r)
        k = Reshape (t, back)
        s = Slice (k, start, end, one)
        l = ConvTranspose <strides = [2], output_padding = [1]> (s, w)
        m = Clip (l, low, high)
        y = Softmax <axis = 1> (m)
    }"""
    third = """(float[N,8,6,4] x) => (float[] y, float[] z) {
        r = Resize <mode = "linear"> (x, , , size)
        s = Slice (r, one, seven, two, two)
        g = Gather <axis = 1> (s, places)
        p = Pad <mode = "reflect"> (g, pads)
        n = InstanceNormalization (p, w, w)
        d = DepthToSpace <blocksize = 2> (x)
        t = Transpose <perm = [0, 2, 3, 1]> (d)
        l = LayerNormalization (t, v, v)
        m = Softmax <axis = 2> (l)
        y = Reshape (m, flat)
        q = Sub (n, factor)
        z = Clip (q, low)
    }"""
    fourth = """(float[N,8,6,4] x) => (float[] y) {
        w = DequantizeLinear <axis = 0> (codes, scales)
        c = Conv (x, w)
        h = Shape (c)
        d = Gather (h, place)
        q = Equal (d, five)
        f = If (q) <
            then_branch = a () => (float[] p) { s = Squeeze (c, axis) p = Relu (s) },
            else_branch = b () => (float[] p) { s = Add (c, bias) p = Sigmoid (s) }
        >
        m = ReduceMean <axes = [1]> (f)
        e = Sub (f, m)
        t = Mul (e, e)
        v = ReduceMean <axes = [1]> (t)
        g = Add (v, eps)
        r = Sqrt (g)
        n = Div (e, r)
        l = ReduceL2 <axes = [1]> (n)
        k = Clip (l, eps)
        u = Expand (k, h)
        y = Div (n, u)
    }"""
    import numpy as np

    whole = lambda *n: np.asarray(n, np.int64)  # noqa: E731
    return [
        model(
            first,
            w=numbers(6, 4, 3, 3),
            b=numbers(6),
            s=numbers(6),
            v=abs(numbers(6)) + 1,
            pads=whole(0, 0, 1, 1, 0, 0, 0, 0),
            r=np.float32(1.4142135),
            one=np.float32(1),
            half=np.float32(0.5),
            f=numbers(5, 6),
        ),
        model(
            third,
            size=whole(2, 8, 9, 8),
            one=whole(1),
            two=whole(2),
            seven=whole(7),
            places=whole(3, 4, 0),
            pads=whole(0, 0, 1, 1, 0, 0, 0, 1),
            w=numbers(3),
            v=numbers(2),
            flat=whole(0, 24, 8),
            factor=numbers(3, 1, 1),
            low=np.float32(0),
        ),
        model(
            fourth,
            opset=13,
            codes=numbers(5, 8, 1, 1).astype(np.int8),
            scales=abs(numbers(5)),
            place=np.int64(3),
            five=np.int64(5),
            axis=whole(3),
            bias=numbers(5, 1, 1),
            eps=np.float32(1e-5),
        ),
        model(
            second,
            zero=np.int64(0),
            axes=whole(0),
            sizes=whole(3, 2, 8),
            back=whole(0, 6, 8),
            start=whole(1),
            end=whole(5),
            one=whole(1),
            w=numbers(4, 3, 3),
            low=np.float32(0),
            high=np.float32(1),
        ),
    ]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The model with flipped bits, a piece cut out or repeated, or something else in a field."""
    choice = rng.randrange(8)
    place = rng.randrange(len(content))
    if choice == 0:
        return content[:place]
    if choice == 1:
        return content[:place] + content[place + rng.randrange(1, 20) :]
    if choice == 2:
        return content[:place] + content[place : place + rng.randrange(1, 40)] + content[place:]
    if choice == 3:
        flipped = bytearray(content)
        for _ in range(rng.randrange(1, 6)):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    proto = ModelProto.FromString(content)
    for _ in range(rng.randrange(1, 3)):
        _change(proto, rng)
    return proto.SerializeToString()


def _change(proto: ModelProto, rng: random.Random) -> None:
    """Change a field to another value of its type, or of another type."""
    graph = proto.graph
    node = rng.choice(graph.node)
    names = [t.name for t in graph.initializer] + [o for n in graph.node for o in n.output] + [""]
    tensor = rng.choice(graph.initializer)
    choice = rng.randrange(12)
    if choice == 0:
        node.op_type = rng.choice(KINDS)
    elif choice == 1 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)
    elif choice == 2 and node.output:
        node.output[rng.randrange(len(node.output))] = rng.choice(names)
    elif choice == 3 and node.input:
        del node.input[rng.randrange(len(node.input))]
    elif choice == 4 and node.attribute:
        item = rng.choice(node.attribute)
        item.type = rng.choice([AttributeProto.INT, AttributeProto.INTS, AttributeProto.STRING])
        item.i = rng.choice(NUMBERS)
    elif choice == 5 and node.attribute:
        item = rng.choice(node.attribute)
        item.i = rng.choice(NUMBERS)
        if item.ints:
            item.ints[rng.randrange(len(item.ints))] = rng.choice(NUMBERS)
            item.ints.extend(rng.sample(NUMBERS, rng.randrange(2)))
    elif choice == 6 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif choice == 7:
        tensor.data_type = rng.choice([TensorProto.INT64, TensorProto.STRING, TensorProto.DOUBLE])
    elif choice == 8:
        tensor.raw_data = bytes(rng.randrange(256) for _ in tensor.raw_data)
    elif choice == 9:
        dims = graph.input[0].type.tensor_type.shape.dim
        dims[rng.randrange(len(dims))].dim_value = rng.choice(NUMBERS)
    elif choice == 10:
        proto.opset_import[0].version = rng.choice([1, 7, 9, 11, 13, 18, 21, 99])
    elif rng.randrange(4):
        a, b = rng.choice(graph.node), rng.choice(graph.node)
        a.op_type, b.op_type = b.op_type, a.op_type
    else:
        graph.node.insert(rng.randrange(len(graph.node)), graph.node[-1])


def attempts(count: int, seed: int, folder: Path) -> Iterator[tuple[str, float]]:
    """For each damaged model the code of the first finding, or that it is read, and the seconds.

    Anything but a CnnError is raised, and so are wrong results; the model is kept in the folder.
    """
    rng = random.Random(seed)
    sound = [proto.SerializeToString() for proto in seeds()]
    path = folder / "damaged.onnx"
    for _ in range(count):
        path.write_bytes(damaged(rng.choice(sound), rng))
        begin = time.perf_counter()
        try:
            found = load(path)
        except CnnError as error:
            refusal = error.diagnostics[0]
            if "nothing here expects" in refusal.message:
                raise
            yield refusal.code, time.perf_counter() - begin
        else:
            seconds = time.perf_counter() - begin
            yield _judged(path, found), seconds


def _judged(path: Path, found: Imported) -> str:
    """Compare what is read with onnxruntime, if that takes the model."""
    if not all((abs(array) < LARGEST).all() for array in found.weights.values()):
        return "read, with weights that compile() refuses or large ones"
    if max(node.type.elements for node in found.graph.nodes()) > LARGEST:
        return "read, with large maps"
    try:
        feeds = feeds_of(path, 2)
    except (MemoryError, ValueError):
        return "read, of a large batch"
    try:
        wanted = original(path, feeds)
    except Exception:
        return "read, and refused by onnxruntime"
    if not all(np.isfinite(array).all() for array in wanted.values()):
        return "read, and results of onnxruntime are no numbers"
    compared(path, tolerance=LONG_SUMS)
    return "read, and right"


def main() -> None:
    """Count what comes of many damaged models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cnndsl-"))
    print(f"the last model is kept in {folder}")
    results = list(attempts(given.count, given.seed, folder))
    print(Counter(outcome for outcome, _ in results).most_common())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    slowest = max(seconds for _, seconds in results)
    print(f"slowest: {slowest:.2f} s; memory: {most:.0f} MB (onnx {onnx.__version__})")


if __name__ == "__main__":
    main()
