"""The cpu target in bfloat16: within a step of the reference, node by node."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from ml_dtypes import bfloat16

import cnndsl
from cnndsl.backends.cpu import BACKEND
from cnndsl.backends.cpu.codegen.toolchain import assembly
from cnndsl.backends.cpu.kernels.direct import halves
from cnndsl.backends.cpu.kernels.direct.halves import Halves
from cnndsl.backends.cpu.kernels.winograd import family as winograd
from cnndsl.backends.cpu.kernels.winograd.cost import Shape
from cnndsl.backends.cpu.machine import Machine, find_machine
from cnndsl.backends.cpu.program.functions import kernels
from cnndsl.backends.cpu.program.lower import Step, lower
from cnndsl.ir.algebra import constant
from cnndsl.ir.attributes import build
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BY_NAME, Cast, Input
from cnndsl.ir.types import BFLOAT16, FLOAT32, DType
from cnndsl.memory import validate
from cnndsl.passes.pipeline import optimise
from cnndsl.quantise.floats import stored_as
from cnndsl.weights.bind import bind
from cnndsl.weights.evaluate import evaluate
from tests.cpu.bfloat16 import assert_near, is_winograd_of_words, together
from tests.cpu.support import Unoptimised, compiled, machine
from tests.cpu.test_generated_code import loops_of
from tests.operators.cases import CASES, Case
from tests.passes.random_graphs import Sample, samples

NAMES = ["conv", "conv_transpose", "fc", "maxpool", "avgpool", "concat", "add"]
"""Operators of one case each; tests/extra/codes has all, at other vector widths too."""
TEXT = """
network small {
    input image [3, 9, 11]
    conv(16, 3, stride=2) -> relu
    add { conv(16, 1) -> relu -> conv(16, 1) | identity } -> relu
    concat { identity | sub { depthwise(3, bias=true) | identity } }
    bn -> relu -> conv(21, 1) -> add { conv(32, 3, pad=1) | conv(32, 1) } -> silu -> maxpool(2)
    global_avgpool -> fc(5) -> softmax
}
"""


def own() -> Unoptimised:
    """This machine, for which LLVM compiles faster."""
    return Unoptimised(**vars(machine(find_machine().extension)))


def test_operators() -> None:
    cases = [next(c for c in CASES[::-1] if c.operator.name == name) for name in NAMES]
    graph, values, inputs = together(cases, seed=1)
    assert_near(compiled(graph, values, batch=2, target=own()), graph, values, inputs)


def low(text: str) -> Graph:
    """A network in bfloat16, with all that the target fuses."""
    graph, _ = optimise(cnndsl.parse(text).graph, fusions=BACKEND.fusions)
    return stored_as(graph, BFLOAT16)


def test_a_network_and_other_weights() -> None:
    """Weights are rounded when they are bound; the last layer gives float32."""
    graph = low(TEXT)
    values = bind(graph.parameters(), None, seed=0).values
    image = np.random.default_rng(0).normal(size=(2, 3, 9, 11)).astype(np.float32)
    module = compiled(graph, values, batch=2, target=own())
    (last,) = (node for node in graph.nodes() if node.op.name == "fc")
    assert last.type.dtype == FLOAT32
    kinds = {node.type.dtype for node in graph.nodes() if node.name != "image"}
    assert kinds == {BFLOAT16, FLOAT32}
    assert "plain" not in {layer.family for layer in module.layers}
    assert_near(module, graph, values, {"image": image})
    others = bind(graph.parameters(), None, seed=9).values
    module.set_weights(others)
    assert_near(module, graph, others, {"image": image})


@pytest.mark.parametrize(
    ("reader", "first"),
    [
        ("depthwise(3) -> relu -> conv(8, 1)", FLOAT32),
        ("depthwise(3) -> maxpool(2)", FLOAT32),
        ("add { depthwise(3) | conv(8, 1) }", BFLOAT16),
        ("conv(8, 3) -> depthwise(3)", BFLOAT16),
    ],
)
def test_first_layers_before_depthwise_ones(reader: str, first: DType) -> None:
    """Their results stay float32; what follows is bfloat16."""
    layers = f"conv(8, 3) -> relu -> {reader} -> relu -> conv(4, 1)"
    text = f"network n {{ input x [3, 9, 11]\n{layers} }}"
    graph = low(text)
    _, start, *middle, _ = (node.type.dtype for node in graph.nodes())
    assert (start, {*middle} - {BFLOAT16}) == (first, set())
    values = bind(graph.parameters(), None, seed=0).values
    image = np.random.default_rng(0).normal(size=(1, 3, 9, 11)).astype(np.float32)
    assert_near(compiled(graph, values, target=own()), graph, values, {"x": image})


@settings(max_examples=2, derandomize=True)
@given(sample=samples())
def test_random_graphs(sample: Sample) -> None:
    graph = stored_as(optimise(sample.graph, fusions=BACKEND.fusions)[0], BFLOAT16)
    inputs = {name: array.astype(np.float32) for name, array in sample.inputs.items()}
    module = compiled(graph, sample.values, target=own())
    assert_near(module, graph, sample.values, inputs, roundings=2)


def test_numbers_are_rounded_to_the_nearest() -> None:
    """Ties to even, as ml_dtypes does; NaN stays NaN, with whatever bits.

    The instruction of x86 takes numbers below 2^-126 for zero.
    """
    halves = np.arange(1 << 16, dtype=np.uint32) << 16
    bits = np.stack([halves + low for low in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)])
    x = np.ascontiguousarray(bits.astype(np.uint32)).view(np.float32).reshape(1, 6, 256, 256)
    graph = Graph("rounding")
    image = graph.add("x", Input((6, 256, 256)), [])
    short = graph.add("short", Cast(BFLOAT16), [image])
    graph.add("y", Cast(FLOAT32), [short])
    graph.inputs, graph.outputs = ["x"], {"y": "y"}
    target = own()
    if target.extension == "avx512" and target.multiplies_bf16:
        normal = ~(np.abs(x) < np.finfo(np.float32).tiny)
        read = np.where(normal, x, np.copysign(np.float32(0), x))
    else:
        read = x
    with np.errstate(all="ignore"):
        wanted = read.astype(bfloat16).astype(np.float32)
    made = compiled(graph, {}, target=target).run({"x": x})["y"]
    np.testing.assert_array_equal(made, wanted)


def dot_written_out(intrinsic: str, lanes: int) -> tuple[str, str]:
    """What vdpbf16ps does, but for the order of its roundings, in LLVM's language."""
    total, short, wide = (f"<{lanes} x {kind}>" for kind in ("float", "i32", "float"))
    lines = [
        f"define internal {total} @dot({total} %total, {short} %x, {short} %w) alwaysinline {{"
    ]
    for name in "xw":
        lines += [
            f"  %{name}low = shl {short} %{name}, splat (i32 16)",
            f"  %{name}high = and {short} %{name}, splat (i32 -65536)",
            f"  %{name}0 = bitcast {short} %{name}low to {wide}",
            f"  %{name}1 = bitcast {short} %{name}high to {wide}",
        ]
    before = "%total"
    for part in "01":
        lines += [
            f"  %product{part} = fmul {wide} %x{part}, %w{part}",
            f"  %sum{part} = fadd {wide} {before}, %product{part}",
        ]
        before = f"%sum{part}"
    return "dot", "\n".join([*lines, f"  ret {total} {before}", "}", ""])


def smallest(shape: Shape) -> tuple[int, ...]:
    """The tile of a kernel with sides of 1 and 3."""
    return tuple(2 if size == 3 else 1 for size in shape.kernel)


@pytest.mark.parametrize("shape", [(32, 13, 9), (40, 4, 8), (16, 2, 31)])
@pytest.mark.parametrize("kernel", ["3", "[1, 3]", "[3, 1]"])
def test_winograd_of_words(
    shape: tuple[int, ...], kernel: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On any CPU: the instruction is written out, and tiles are chosen wherever there are some."""
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path))
    monkeypatch.setattr(Machine, "multiplies_bf16", True)
    monkeypatch.setattr(halves, "dot_product", dot_written_out)
    monkeypatch.setattr(winograd, "best_transforms", lambda shape, _: smallest(shape))
    monkeypatch.setattr(winograd, "ranked_transforms", lambda shape, _: [smallest(shape)])
    channels, *sizes = shape
    layers = f"conv({channels}, 1) -> relu -> conv(40, {kernel}) -> relu -> conv(24, 1)"
    text = f"network n {{ input x [3, {sizes[0]}, {sizes[1]}]\n{layers} }}"
    graph = low(text)
    values = bind(graph.parameters(), None, seed=0).values
    image = np.random.default_rng(0).normal(size=(2, 3, *sizes)).astype(np.float32)
    target = Unoptimised(**vars(machine("avx512")))
    module = compiled(graph, values, batch=2, target=target)
    assert any(map(is_winograd_of_words, module.layers))
    assert_near(module, graph, values, {"x": image})


@pytest.mark.parametrize("batch", [1, 2])
def test_memory_is_half_of_that_of_float32(batch: int) -> None:
    text = """network n {
        input x [64, 56, 56]
        repeat 4 { conv(128, 1) -> relu }
        global_avgpool -> fc(3)
    }"""
    cpu = find_machine("x86-64-v3")
    short = lower(low(text), batch, cpu)
    validate(short.graph, short.plan, short.options)
    exact = lower(optimise(cnndsl.parse(text).graph, fusions=BACKEND.fusions)[0], batch, cpu)
    assert short.plan.arena_bytes <= 0.51 * exact.plan.arena_bytes


def conv_steps(cpu: str, triple: str) -> list[Step]:
    """The step of a 1x1 convolution."""
    settings = {"filters": 64, "kernel": 1}
    case = Case("conv", build(BY_NAME["conv"], settings), ((64, 14, 14),))
    target = replace(find_machine(cpu, triple), cores=2)
    return [s for s in lower(together([case], 0)[0], 1, target).steps if s.node == "y0"]


INSTRUCTIONS = {
    "cooperlake": (r"vdpbf16ps\s.*zmm", "vcvtneps2bf16", ""),
    "neoverse-v1": (r"bfdot\s", "bfcvtn", "aarch64-linux-gnu"),
    "x86-64-v4": (r"vfmadd\w*\s.*zmm", "vpsrld|vpsrad", ""),
    "x86-64-v3": (r"vfmadd\w*\s.*ymm", "vpsrld|vpsrad", ""),
}


@pytest.mark.parametrize("cpu", INSTRUCTIONS)
def test_products_are_those_of_the_cpu(cpu: str) -> None:
    """Where one instruction multiplies a word, no sum leaves its register."""
    product, rounding, triple = INSTRUCTIONS[cpu]
    steps = conv_steps(cpu, triple)
    target = steps[0].call.machine
    code = assembly([f for unit in kernels(steps) for f in unit.write()], target)
    loops = [body for body in loops_of(code) if len(re.findall(product, body)) >= 8]
    assert loops
    assert re.search(rounding, code)
    if target.multiplies_bf16:
        assert not [body for body in loops if re.search(r"\[sp|\(%rsp\)", body)]
        assert not re.search(r"vfmadd|fmla", max(loops, key=len))


@pytest.mark.parametrize(
    ("cpu", "triple", "kind"),
    [
        ("sapphirerapids", "", "dot"),
        ("x86-64-v3", "", "halves"),
        ("neoverse-v1", "aarch64-linux-gnu", "dot"),
        ("cortex-a53", "aarch64-linux-gnu", "halves"),
    ],
)
def test_packed_words_are_multiplied_as_the_instructions_do(
    cpu: str, triple: str, kind: str
) -> None:
    """An emulation: the lower half of a word in memory order is the first number of a pair."""
    target = find_machine(cpu, triple)
    case = Case("conv", build(BY_NAME["conv"], {"filters": 3, "kernel": 1}), ((8, 4, 4),))
    (call,) = (s.call for s in lower(together([case], 0)[0], 1, target).steps if s.node == "y0")
    words = Halves.of(call)
    assert words
    assert words.kind == kind
    rng = np.random.default_rng(0)
    lanes = words.lanes
    filters, channels, block, outputs = 2 * lanes - 3, 13, 8, 2 * lanes
    weight = rng.normal(size=(filters, channels, 3)).astype(bfloat16).astype(np.float32)
    x = rng.normal(size=(16, 3)).astype(bfloat16)
    packed = words.packed(constant(weight.tolist()), block, outputs)
    assert packed.dtype == BFLOAT16
    numbers = np.ascontiguousarray(evaluate(packed.expression, {}, packed.array_type))
    bits = numbers.view(np.uint32)[..., 0]
    sums = np.zeros(outputs)
    for inner, tap, word in np.ndindex(2, 3, block // 2):
        own = np.ascontiguousarray(x[inner * block + 2 * word :][:2, tap]).view(np.uint32)[0]
        for output in range(outputs):
            factors = bits[0, inner, tap, word, 0, output]
            for shift in (0, 16):
                pair = np.array([own >> shift, factors >> shift], np.uint32) << 16
                sums[output] += np.prod(pair.astype(np.uint32).view(np.float32), dtype=float)
    wanted = np.einsum("fct,ct->f", weight, x[:channels].astype(float))
    np.testing.assert_allclose(sums[:filters], wanted, rtol=1e-6)
    assert not sums[filters:].any()
