"""Weights that C packs, against those of Python."""

from __future__ import annotations

import ctypes
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save

from cnndsl.backends.cpu.emit import recipe
from cnndsl.backends.native.packing import INT8, INT16, INT32, Packing, Weight, aligned, pack
from cnndsl.ir import algebra as a
from cnndsl.ir.expressions import Expression, Parameter
from cnndsl.ir.types import BFLOAT16, FLOAT16, FLOAT32, UINT8
from cnndsl.runtime.module import Array
from cnndsl.weights.evaluate import FUNCTIONS

SOURCES = Path(recipe.__file__).parent
PACKED, _, NO_SAFETENSORS, MISSING, WRONG, NOT_FINITE = range(6)
STRICT = ("-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-shared", "-fPIC", "-O1")
X, Y, V = (Parameter(n, s, "zeros") for n, s in (("x", (4, 6)), ("y.é", (4, 6)), ("v", (6,))))
KERNEL = Parameter("kernel", (5, 4, 3, 3), "zeros")
SLOPES = Parameter("slopes", (4,), "prelu")
TABLE = Parameter("table", (5, 2), "zeros")
G = a.constant([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
EXPRESSIONS: dict[str, list[Expression]] = {
    "add": [a.add(X, V), a.add(V, a.constant([[2.0]] * 3))],
    "subtract": [a.subtract(X, a.along(V, 1, 2))],
    "multiply": [a.multiply(a.multiply(X, V), a.add(X, 1.0))],
    "divide": [a.divide(X, a.sqrt(a.add(a.multiply(V, V), 1e-5)))],
    "sqrt": [a.sqrt(a.multiply(X, X))],
    "maximum": [a.maximum(X, 0.0), a.maximum(X, Y)],
    "largest_size": [a.largest_size(KERNEL, (0, 2)), a.largest_size(X, (0, 1))],
    "rounded": [a.rounded(a.multiply(X, 5.0), 7)],
    "float32": [a.subtract(a.float32(a.divide(X, 3.0)), a.divide(X, 3.0))],
    "bfloat16": [a.bfloat16(X)],
    "significant": [a.significant(a.multiply(X, 1.7), 9)],
    "equaliser": [a.equaliser(X, V), a.equaliser(X, a.multiply(X, 1e-9))],
    "broadcast": [a.broadcast(V, (2, 3, 6))],
    "reshape": [a.reshape(a.transpose(X, (1, 0)), (2, 12)), X],
    "transpose": [a.transpose(KERNEL, (2, 0, 3, 1))],
    "flip": [a.flip(KERNEL, (1, 3))],
    "slice_axis": [a.slice_axis(KERNEL, 1, 1, 3)],
    "concat": [a.concat([X, a.slice_axis(Y, 0, 1, 3), X], 0), a.concat([X, Y], 1)],
    "pad": [a.pad(KERNEL, ((0, 3), (1, 0), (0, 0), (2, 1)))],
    "take": [a.take(KERNEL, 1, (3, 0, 0, 2, 1))],
    "sum_axes": [a.sum_axes(KERNEL, (1, 3)), a.sum_axes(X, (0, 1))],
    "einsum": [
        a.einsum("pi,ocij,qj->pqco", G, KERNEL, G),
        a.einsum("ab,cb->ca", X, a.multiply(Y, V)),
        a.einsum("ab->b", X),
        a.einsum("ab,ab->ab", X, Y),
    ],
    "embed_table": [a.embed_table(TABLE, ((0, 2), (1,), (2, 0)), 4)],
}


def parameters() -> dict[str, Parameter]:
    return {p.name: p for p in (X, Y, V, KERNEL, SLOPES, TABLE)}


def values(seed: int = 0) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    return {n: random.normal(size=p.shape).astype(np.float32) for n, p in parameters().items()}


Run = Callable[[bytes], tuple[int, Array]]


def packer(packing: Packing, folder: Path) -> Run:
    """A function of the content of a file: how packing it ends, and the packed weights."""
    (folder / "recipe.c").write_text(recipe.source(packing))
    files = [folder / "recipe.c", *(SOURCES / f"{name}.c" for name in ("pack", "safetensors"))]
    library = folder / "pack.so"
    subprocess.run(["cc", *STRICT, f"-I{SOURCES}", *files, "-o", library, "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))
    table = ctypes.byref(ctypes.c_char.in_dll(loaded, "cnndsl_recipe"))

    def run(content: bytes) -> tuple[int, Array]:
        block = aligned(packing.size)
        target = ctypes.c_void_p(block.ctypes.data)
        size = ctypes.c_size_t(len(content))
        return loaded.cnndsl_pack(table, content, size, target), block

    return run


@pytest.fixture(scope="module")
def packing() -> Packing:
    weights: dict[str, Weight | Expression] = {}
    for name, expressions in EXPRESSIONS.items():
        for index, expression in enumerate(expressions):
            weights[f"{name}{index}"] = expression
            weights[f"{name}{index}half"] = Weight(expression, FLOAT16)
            weights[f"{name}{index}short"] = Weight(a.bfloat16(expression), BFLOAT16)
    whole = a.rounded(a.multiply(X, 50.0), 120)
    for dtype in (INT8, UINT8, INT16, INT32):
        shift = 127.0 if dtype == UINT8 else 0.0
        weights[dtype.name] = Weight(a.add(whole, shift), dtype)
    return pack([("all", weights), ("slopes", {"": SLOPES})])


@pytest.fixture(scope="module")
def run(packing: Packing, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return packer(packing, tmp_path_factory.mktemp("pack"))


def written(arrays: Mapping[str, Array]) -> bytes:
    return save(dict(arrays), {"by": 'a "test" \\ }'})


def test_every_function_is_among_the_expressions():
    assert EXPRESSIONS.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", ml_dtypes.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_packs_as_python_does(run: Run, packing: Packing, dtype: str, scale: float):
    """To the last bit, but for sums, whose order differs: those to a rounding of float32."""
    arrays = {name: (scale * array).astype(dtype) for name, array in values().items()}
    status, found = run(written({**arrays, "more": np.zeros(3, np.int32)}))
    assert status == PACKED
    expected = packing.evaluate({n: x.astype(np.float32) for n, x in arrays.items()})
    for name, (weight, offset) in packing.entries.items():
        part = slice(offset, offset + weight.size)
        numbers, wanted = (x[part].view(weight.array_type) for x in (found, expected))
        if "sum" in name:
            spare = {FLOAT32: 2e-7, FLOAT16: 1e-3, BFLOAT16: 8e-3}[weight.dtype] * np.abs(
                wanted
            ).max()
            np.testing.assert_allclose(numbers, wanted, rtol=0, atol=spare, err_msg=name)
        else:
            np.testing.assert_array_equal(numbers, wanted, err_msg=name)


def test_all_numbers_of_16_bits_are_read_and_written(tmp_path: Path):
    """But for NaN and infinities, which are refused."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    everything = Parameter("x", bits.shape, "zeros")
    halves = pack([("node", {"": Weight(everything, FLOAT16)})])
    run = packer(halves, tmp_path)
    exact = np.where(np.isfinite(bits.view(np.float16)), bits, 0).view(np.float16)
    status, found = run(save({"x": exact}))
    assert status == PACKED
    np.testing.assert_array_equal(found.view(np.uint16), exact.view(np.uint16))
    near = np.nextafter(exact.astype(np.float32), np.float32(np.inf))
    between = (exact[:-1].astype(np.float32) + exact[1:].astype(np.float32)) / 2
    for numbers in (near, -near, np.append(between, np.float32(65519.99))):
        status, found = run(save({"x": numbers.astype(np.float32)}))
        assert status == PACKED
        expected = numbers.astype(np.float16)
        np.testing.assert_array_equal(found.view(np.uint16), expected.view(np.uint16))
    assert run(save({"x": np.full(1 << 16, 65520, np.float32)}))[0] == NOT_FINITE


def test_one_slope_stands_for_all(run: Run, packing: Packing):
    arrays = values() | {"slopes": np.array([0.25], np.float32)}
    status, found = run(written(arrays))
    assert status == PACKED
    offset = packing.entries["slopes:"][1]
    assert found[offset : offset + 4].tolist() == [0.25] * 4


def test_what_does_not_fit_is_refused(run: Run):
    right = values()

    def status(**changed: Array | None) -> int:
        arrays = {n: x for n, x in (right | changed).items() if x is not None}
        return run(written(arrays))[0]

    assert status() == PACKED
    assert status(v=None) == MISSING
    assert status(v=np.zeros(5, np.float32)) == WRONG
    assert status(v=np.zeros((6, 1), np.float32)) == WRONG
    assert status(v=np.zeros(1, np.float32)) == WRONG
    assert status(v=np.zeros(6, np.int64)) == WRONG
    for wrong in (np.nan, np.inf):
        assert status(v=np.full(6, wrong, np.float32)) == NOT_FINITE
    assert status(v=np.full(6, 1e300)) == NOT_FINITE
    assert status(x=np.full((4, 6), 1e30, np.float32), v=np.full(6, 1e30, np.float32)) == NOT_FINITE


def with_header(text: str, data: bytes = bytes(4096)) -> bytes:
    head = text.encode()
    return len(head).to_bytes(8, "little") + head + data


def test_a_damaged_header_is_refused(run: Run):
    right = written(values())
    length = int.from_bytes(right[:8], "little")
    head, data = right[8 : 8 + length].decode(), right[8 + length :]
    assert run(with_header(head, data))[0] == PACKED
    spaced = json.dumps(json.loads(head), indent=1, ensure_ascii=False) + "  "
    assert run(with_header(spaced, data))[0] == PACKED
    entry = '"v":{"dtype":"F32","shape":[6],"data_offsets":[%s,%s]}'
    for text in [
        "", "{", "[]", "{}x", '{"v"', '{"v":', '{"v":{}}', '{"v":{"dtype":"F32"}}', '{"v\\',
        "{" + entry % (0, 4097) + "}", "{" + entry % (24, 0) + "}", "{" + entry % (0, 20) + "}",
        "{" + entry % (-1, 23) + "}", "{" + entry % (0, "9" * 30) + "}",
        "{" + entry % (0, "24]") + "}",
        "{" + entry % (0, 24) + "," + entry % (0, 24) + "}", "{" + entry % (0, 24),
        '{"v":{"dtype":"F32","shape":[' + "1," * 99 + '1],"data_offsets":[0,4]}}',
        '{"__metadata__":{"a":1}}', '{"__metadata__":{"a":"b"',
    ]:  # fmt: skip
        assert run(with_header(text))[0] == NO_SAFETENSORS, text
    assert run(with_header("{}"))[0] == MISSING
    for content in (b"", right[:7], right[:9], right[: 8 + length - 1], b"\xff" * 99):
        assert run(content)[0] == NO_SAFETENSORS
    for place in range(0, 8 + length, 3):
        run(right[:place] + bytes([right[place] ^ 64]) + right[place + 1 :])
