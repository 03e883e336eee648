"""The cpu target on 8-bit codes: those of the reference, bit by bit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.cpu.codegen.toolchain import assembly
from cnndsl.backends.cpu.kernels.codes.words import Products
from cnndsl.backends.cpu.machine import find_machine
from cnndsl.backends.cpu.program.functions import kernels
from cnndsl.backends.cpu.program.lower import Step, lower
from cnndsl.ir.algebra import constant
from cnndsl.ir.attributes import build
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BY_NAME, Meaning
from cnndsl.memory import validate
from cnndsl.quantise.precision import on_codes
from cnndsl.runtime.module import Array
from cnndsl.weights.bind import bind
from cnndsl.weights.evaluate import evaluate
from tests.cpu.codes import assert_same_codes, together
from tests.cpu.support import Unoptimised, compiled, machine
from tests.cpu.test_generated_code import loops_of
from tests.operators.cases import Case
from tests.quantise.test_meaning import QUANTISED, meaning

PICKED = {
    Meaning.LINEAR: 7, Meaning.SUM: 2, Meaning.PRODUCT: 1, Meaning.MEAN: 1, Meaning.MOVE: 3,
    Meaning.MAP: 1, Meaning.TABLE: 1,
}  # fmt: skip
"""Cases of each meaning; tests/extra/codes has all, at other vector widths too."""
TEXT = """
network small {
    input image [3, 9, 11]
    conv(16, 3, stride=2) -> relu
    add { conv(16, 1) -> relu -> conv(16, 1) | identity } -> relu
    concat { identity | sub { depthwise(3, bias=true) | identity } }
    add { identity | conv(32, 3) -> silu } -> maxpool(2)
    global_avgpool -> fc(5)
}
"""


def test_codes_are_those_of_the_reference() -> None:
    """A selection of the cases, with any zero points, and two samples."""
    of_kind = {kind: [c for c in QUANTISED if meaning(c) is kind] for kind in PICKED}
    cases = [
        case
        for kind, count in PICKED.items()
        for case in of_kind[kind][:: max(1, len(of_kind[kind]) // count)][:count]
    ]
    graph, values, inputs = together(cases, seed=1)
    target = Unoptimised(**vars(machine(find_machine().extension)))
    assert_same_codes(compiled(graph, values, batch=2, target=target), graph, values, inputs)


def small() -> tuple[Graph, Array]:
    """A network on codes, and four images."""
    network = cnndsl.parse(TEXT)
    images = np.random.default_rng(0).normal(size=(4, 3, 9, 11)).astype(np.float32)
    found = cnndsl.calibrate(network, [{"image": images}], seed=0)
    return on_codes(network.graph, found, level=2)[1], images


def test_a_network_and_other_weights() -> None:
    """Sums that follow a layer are computed with it; weights are expressions still."""
    graph, images = small()
    values = bind(graph.parameters(), None, seed=0).values
    target = Unoptimised(**vars(machine(find_machine().extension)))
    module = compiled(graph, values, target=target)
    assert_same_codes(module, graph, values, {"image": images})
    assert "conv+add" in {layer.op for layer in module.layers}
    assert "plain" not in {layer.family for layer in module.layers}
    others = bind(graph.parameters(), None, seed=9).values
    module.set_weights(others)
    assert_same_codes(module, graph, others, {"image": images})


@pytest.mark.parametrize("batch", [1, 2])
def test_the_memory_plan_counts_bytes(batch: int) -> None:
    graph, _ = small()
    low = lower(graph, batch, find_machine("x86-64-v3"))
    validate(low.graph, low.plan, low.options)
    largest = max(layout.size for layout in low.layouts.values() if layout.is_codes)
    assert largest <= low.plan.arena_bytes < 4 * largest * batch


def test_a_sum_that_stays_float_clamps_its_result() -> None:
    """The clamp was fused before it was known that no layer on codes follows."""
    text = """network n {
        input x [1, 4, 4]
        let a = conv(8, 1)
        add { a -> relu | a -> bn } -> relu
    }"""
    network = cnndsl.parse(text)
    x = np.random.default_rng(0).normal(size=(2, 1, 4, 4)).astype(np.float32)
    found = cnndsl.calibrate(network, [{"x": x}], seed=0, samples=2)
    made, wanted = (
        cnndsl.compile(network, target, seed=0, precision="int8", calibration=found)(x)
        for target in ("cpu", "reference")
    )
    np.testing.assert_allclose(made, wanted, rtol=1e-6, atol=1e-6)


def conv_steps(
    cpu: str, triple: str = "", scales: Sequence[int] = (1,), **given: int
) -> list[Step]:
    """The steps of convolutions on codes, each with scales of its own."""
    settings = {"filters": 64, "kernel": 3, "pad": 1, **given}
    case = Case("conv", build(BY_NAME["conv"], settings), ((64, 14, 14),))
    graphs = [together([case], seed)[0] for seed in scales]
    target = replace(find_machine(cpu, triple), cores=2)
    return [s for g in graphs for s in lower(g, 1, target).steps if s.node == "y0"]


INSTRUCTIONS = {
    "cascadelake": ("vpdpbusd .*zmm", ""),
    "alderlake": ("vpdpbusd .*ymm", ""),
    "x86-64-v4": ("vpmaddwd .*zmm", ""),
    "x86-64-v3": ("vpmaddwd .*ymm", ""),
    "cortex-a76": (r"sdot\s", "aarch64-linux-gnu"),
}


@pytest.mark.parametrize("cpu", INSTRUCTIONS)
def test_products_are_those_of_the_cpu(cpu: str) -> None:
    """And none that saturates; words are not taken apart, and sums stay in their registers.

    Of AVX2's 16 registers LLVM takes one for other things, once in 40 products.
    """
    wanted, triple = INSTRUCTIONS[cpu]
    steps = conv_steps(cpu, triple, kernel=1, pad=0)
    target = steps[0].call.machine
    code = assembly([f for unit in kernels(steps) for f in unit.write()], target)
    pattern = re.compile(wanted.replace(" ", r"\s"))
    loops = [body for body in loops_of(code) if len(pattern.findall(body)) >= 8]
    assert loops
    assert "maddubs" not in code
    stack = re.compile(r"\[sp|[yz]mm.*\(%rsp\)|\(%rsp\).*[yz]mm")
    most = 2 if cpu == "x86-64-v3" else 0
    assert max(len(stack.findall(body)) for body in loops) <= most
    assert not [body for body in loops if re.search("vpand|vpsrl", body)]


def test_a_map_that_lies_channel_by_channel_is_upsampled() -> None:
    """Codes that are repeated stay in registers of bytes."""
    op = build(BY_NAME["upsample"], {"factor": 3})
    graph, values, inputs = together([Case("upsample", op, ((2, 7),))], seed=2)
    target = Unoptimised(**vars(machine("scalar")))
    assert_same_codes(compiled(graph, values, target=target), graph, values, inputs)


def test_rows_of_images() -> None:
    """Words of few channels, of a whole row where a CPU multiplies words as they lie."""
    cases = [
        Case("conv", build(BY_NAME["conv"], {"filters": 20, **given}), ((channels, 17, 21),))
        for given, channels in (
            ({"kernel": 7, "stride": 2, "pad": 3}, 3),
            ({"kernel": 5, "pad": 2}, 1),
            ({"kernel": 3}, 2),
        )
    ]
    graph, values, inputs = together(cases, seed=0)
    target = Unoptimised(**vars(machine(find_machine().extension)))
    assert_same_codes(compiled(graph, values, batch=2, target=target), graph, values, inputs)


def test_groups_that_fit_a_vector() -> None:
    """Groups of fewer channels than a word has share words."""
    cases = []
    for width, filters, kernel, stride in [(2, 18, (1, 3), 2), (4, 12, 3, 2), (8, 24, 2, 1)]:
        given = {"filters": filters, "kernel": kernel, "stride": stride, "pad": "same"}
        op = build(BY_NAME["conv"], {**given, "groups": filters // width, "bias": True})
        cases.append(Case("conv", op, ((filters, 5, 7),)))
    graph, values, inputs = together(cases, seed=3)
    target = Unoptimised(**vars(machine("avx2")))
    module = compiled(graph, values, target=target)
    assert_same_codes(module, graph, values, inputs)
    families = {layer.family for layer in module.layers if layer.op == "conv"}
    assert families == {"grouped words"}


def test_layers_that_differ_in_scales_share_their_code() -> None:
    steps = conv_steps("x86-64-v3", scales=(1, 2, 3))
    assert len({step.call.output.zero for step in steps}) == 3
    assert len(kernels(steps)) == 1


@pytest.mark.parametrize(
    ("cpu", "triple", "kind"),
    [
        ("cascadelake", "", "vnni"),
        ("x86-64-v3", "", "numbers"),
        ("cortex-a76", "aarch64-linux-gnu", "sdot"),
        ("cortex-a53", "aarch64-linux-gnu", "plain"),
    ],
)
def test_packed_words_are_multiplied_as_the_instructions_do(
    cpu: str, triple: str, kind: str
) -> None:
    """An emulation: of each part of a word the codes meet the weights of their channels."""
    products = Products.of(find_machine(cpu, triple)).widened()
    assert products.kind == kind
    rng = np.random.default_rng(0)
    filters, channels, block, outputs = 2 * products.lanes - 3, 13, 8, 2 * products.lanes
    weight = rng.integers(-127, 128, (filters, channels, 3))
    codes = rng.integers(0, 256, (16, 3))
    packed = products.packed(constant(weight.tolist()), block, outputs)
    own = evaluate(packed.expression, {}, "int64")
    sums = np.zeros(outputs, int)
    size = products.size
    for inner, tap, word, part in np.ndindex(2, 3, block // size, products.parts):
        given = codes[inner * block + size * word :][:size, tap] - products.offset
        for output in range(outputs):
            factors = own[0, inner, tap, word, part, output]
            sums[output] += given[parts_of_a_word(kind, part)] @ factors
    shifted = np.einsum("fct,ct->f", weight, codes[:channels] - products.offset)
    np.testing.assert_array_equal(sums[:filters], shifted)
    assert not sums[filters:].any()


def parts_of_a_word(kind: str, part: int) -> list[int]:
    """The bytes of a word that an instruction multiplies: all, every second, or one."""
    return {"numbers": [0, 1], "plain": [part]}.get(kind, [0, 1, 2, 3])
