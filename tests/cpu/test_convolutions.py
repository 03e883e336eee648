"""Convolutions of the sizes and forms that the fast kernels divide into cases."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from cnndsl.backends.cpu import BACKEND
from cnndsl.backends.cpu.kernels import candidates, family_of, read_halo
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.kernels.winograd.cost import MODES, Chunks, Shape, ranked_chunks
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.cpu.program.lower import lower
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimise
from tests.cpu.support import EXACT, WINOGRAD, assert_agrees, compiled, machine
from tests.marks import whole
from tests.onnx.support import start, then
from tests.operators.cases import parameter_values


@dataclass(frozen=True)
class Form:
    """One convolution, the kernel family that should compute it, and what is around it."""

    id: str
    family: str
    shape: tuple[int, ...]
    attributes: dict[str, object]
    after: tuple[str, ...] = field(default=())


def form(
    label: str, family: str, shape: tuple[int, ...], *after: str, **attributes: object
) -> Form:
    return Form(label, family, shape, attributes, after)


SUM_POOLED = ("add", "maxpool", "conv")
TWICE_POOLED = ("relu", "maxpool", "maxpool")
POOLED_POINT = ("relu", "maxpool", "pointwise")

FORMS = (
    form("3x3", "direct", (19, 11, 30), filters=40, kernel=3, dilation=2, stride=[1, 2]),
    form("3x3_strided", "direct", (32, 13, 15), "relu", filters=48, kernel=3, stride=2),
    form("7x7_first", "direct", (3, 31, 33), "relu", filters=32, kernel=7, stride=2),
    form("1x1_flat", "direct", (33, 9, 13), filters=64, kernel=1),
    form("1x1_strided", "direct", (32, 9, 13), filters=16, kernel=1, stride=2),
    form("1x1_thinned", "direct", (520, 7, 9), "relu", filters=520, kernel=1, stride=2),
    form("1x1_thinned_in_bands", "direct", (256, 31, 29), filters=264, kernel=1, stride=[2, 3]),
    form("1x1_into_halo", "direct", (24, 7, 7), "relu", "conv", filters=32, kernel=1),
    form("7x7", "direct", (24, 9, 12), "relu", filters=32, kernel=7, pad="valid"),
    form("1x7", "direct", (12, 12, 17), "relu", filters=32, kernel=[1, 7]),
    form("1d", "direct", (20, 50), filters=24, kernel=5, stride=2),
    form("3d", "direct", (17, 5, 6, 7), filters=20, kernel=3),
    form("residual", "direct", (32, 10, 10), "add", "relu", filters=32, kernel=1),
    form("1x1_in_parts", "direct", (520, 6, 7), "add", "relu", filters=520, kernel=1),
    form("3x3_in_parts", "direct", (200, 9, 11), "relu", filters=56, kernel=3, stride=2),
    form("residual_of_an_image", "few", (3, 10, 10), "add", "relu", filters=3, kernel=3),
    form("groups_wide", "direct", (64, 9, 9), "relu", filters=64, kernel=3, stride=2, groups=2),
    form("groups_uneven", "direct", (60, 9, 9), filters=90, kernel=3, groups=3),
    form("groups_of_20_to_48", "direct", (60, 9, 9), "relu", filters=144, kernel=3, groups=3),
    form("groups_of_21_to_32", "direct", (63, 9, 9), filters=96, kernel=1, stride=2, groups=3),
    form("groups_of_fourteen", "direct", (56, 9, 9), "relu", filters=56, kernel=3, groups=4),
    form("groups_of_five", "grouped", (40, 9, 9), filters=40, kernel=1, groups=8),
    form("groups_few_outputs", "grouped", (48, 6, 6), filters=24, kernel=3, groups=12),
    form("groups_narrow", "grouped", (64, 9, 11), "relu", filters=64, kernel=3, groups=16),
    form("groups_of_two", "grouped", (32, 9, 11), filters=32, kernel=3, stride=2, groups=16),
    form("groups_of_four_1x1", "grouped", (48, 9, 11), "add", filters=48, kernel=1, groups=12),
    form("groups_of_eight", "grouped", (72, 9, 30), "relu", filters=72, kernel=3, groups=9),
    form("groups_of_eight_5x5", "grouped", (32, 13, 9), filters=32, kernel=5, stride=2, groups=4),
    form("groups_of_eight_1d", "grouped", (24, 50), filters=24, kernel=3, dilation=2, groups=3),
    form("groups_of_eight_3d", "grouped", (16, 4, 5, 6), filters=16, kernel=3, groups=2),
    form("groups_of_sixteen", "direct", (48, 9, 17), filters=48, kernel=3, stride=2, groups=3),
    form("depthwise", "grouped", (37, 12, 40), "relu6", filters=37, kernel=3, groups=37),
    form("depthwise_5x5", "grouped", (16, 9, 9), filters=16, kernel=5, stride=2, groups=16),
    form("winograd_4", "winograd", (32, 17, 18), "relu", filters=48, kernel=3),
    form("winograd_residual", "winograd", (32, 28, 28), "add", "relu", filters=32, kernel=3),
    form("winograd_valid", "winograd", (24, 21, 30), filters=40, kernel=3, pad="valid"),
    form("winograd_2", "winograd", (96, 7, 7), filters=80, kernel=3),
    form("winograd_1x7", "winograd", (64, 17, 17), "relu", filters=72, kernel=[1, 7]),
    form("winograd_7x1", "winograd", (72, 17, 17), "add", filters=72, kernel=[7, 1]),
    form("winograd_1x3", "winograd", (64, 16, 18), "relu", filters=64, kernel=[1, 3]),
    form("winograd_5x5", "winograd", (48, 20, 19), filters=64, kernel=5),
    form("winograd_pooled", "winograd", (48, 18, 22), "relu", "maxpool", filters=56, kernel=3),
    form("winograd_sum_pooled", "winograd", (32, 28, 28), *SUM_POOLED, filters=32, kernel=3),
    form("winograd_2_pooled", "winograd", (96, 6, 10), "maxpool", filters=80, kernel=3),
    form("winograd_pooled_twice", "pooling", (48, 16, 24), *TWICE_POOLED, filters=48, kernel=3),
    form("direct_pooled", "pooling", (32, 12, 16), "relu", "maxpool", filters=40, kernel=1),
    form("depthwise_pooled", "pooling", (32, 12, 16), "maxpool", filters=32, kernel=3, groups=32),
    form(
        "separable_pooled", "pooling", (32, 12, 16), *POOLED_POINT, filters=32, kernel=3, groups=32
    ),
    form("prologue_pooled", "pooling", (32, 20, 20), "bn", "conv", "maxpool", filters=32, kernel=5),
    form("winograd_dilated", "winograd", (48, 23, 29), "add", filters=48, kernel=3, dilation=2),
    form(
        "winograd_dilated_unevenly",
        "winograd",
        (40, 31, 19),
        "relu",
        "conv",
        filters=64,
        kernel=3,
        dilation=[3, 1],
        pad=[0, 4],
    ),
    form("winograd_tiles_of_few", "winograd", (64, 23, 26), filters=64, kernel=3, dilation=12),
    form("dilated_pooled", "pooling", (32, 24, 24), "maxpool", filters=40, kernel=3, dilation=2),
    form("winograd_groups", "winograd", (96, 20, 20), "relu", filters=64, kernel=3, groups=2),
)


def graph_of(item: Form, copies: int = 1) -> Graph:
    """The convolution and what follows; further operands come from the input.

    Copies have weights and outputs of their own.
    """
    graph, x = start(*item.shape)
    outputs = {}
    for copy in range(copies):
        node = then(graph, f"y{copy}", "conv", x, **item.attributes)
        for index, name in enumerate(item.after):
            label = f"after{copy}_{index}"
            if name == "add":
                node = then(graph, label, "add", node, x)
            elif name == "conv":
                node = then(graph, label, "conv", node, filters=16, kernel=3, stride=2)
            elif name == "pointwise":
                node = then(graph, label, "conv", node, filters=512, kernel=1)
            elif name == "maxpool":
                node = then(graph, label, "maxpool", node, kernel=2)
            else:
                node = then(graph, label, name, node)
        outputs[f"out{copy}"] = node.name
    graph.outputs = outputs
    return optimise(graph, fusions=BACKEND.fusions)[0]


@pytest.mark.parametrize(("batch", "extension"), [(1, "avx2"), whole(3, "avx512")])
def test_all_forms(batch: int, extension: str):
    for item in FORMS:
        graph = graph_of(item)
        families = {step.kernel.family for step in lower(graph, batch, machine(extension)).steps}
        if extension == "avx2":
            assert item.family in families, item.id
            assert ("pooling" in families) == (item.family == "pooling"), item.id
        values = parameter_values(graph, 1)
        inputs = {"image": np.random.default_rng(2).normal(size=(batch, *item.shape))}
        module = compiled(graph, values, batch=batch, extension=extension)
        tolerance = WINOGRAD if "winograd" in families else EXACT
        assert_agrees(module, graph, values, inputs, tolerance)


def test_the_family_chosen_before_layouts_computes_the_node():
    """All that is fused with it, with the zeros around its operand that were asked for.

    But for a few filters, whose kernel only layouts tell.
    """
    target = machine("avx2")
    for item in FORMS:
        program = lower(graph_of(item), 2, target)
        for step in program.steps:
            call = Call.blocked(program.graph[step.node], 2, target)
            family = family_of(call)
            if family is not None and step.kernel.family != "few":
                assert step.kernel.family == next(family.candidates(step.call)).make().family
            pairs = zip(chain(*read_halo(call)), chain(*step.call.x.halo), strict=False)
            assert all(needed <= there for needed, there in pairs)


def test_many_channels_without_vectors():
    item = form("scalar", "direct", (40, 5, 6), "relu", filters=24, kernel=3)
    graph = graph_of(item)
    values = parameter_values(graph, 1)
    inputs = {"image": np.random.default_rng(2).normal(size=(2, *item.shape))}
    module = compiled(graph, values, batch=2, extension="scalar")
    assert_agrees(module, graph, values, inputs)


IN_ALL_MODES = (
    "winograd_residual",
    "winograd_sum_pooled",
    "winograd_2",
    "winograd_1x7",
    "winograd_7x1",
    "winograd_dilated",
    "winograd_groups",
)


SHARED = ((1, "avx2"), (3, "avx2"), (2, "avx512"))
"""Numbers of parts and vector widths, of which each mode takes two."""


@pytest.mark.parametrize(
    ("mode", "parts", "extension"),
    [
        take(mode, *SHARED[(index + other) % len(SHARED)])
        for index, mode in enumerate(MODES)
        for other, take in enumerate((pytest.param, whole))
    ],
)
def test_winograd_however_the_work_is_shared(
    mode: str, parts: int, extension: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """In so many chunks, and in all of the modes; a cache knows nothing of what is forced."""

    def forced(shape: Shape, tile: tuple[int, ...], target: Machine) -> list[Chunks]:
        sizes = {chunks.tiles for chunks in ranked_chunks(shape, tile, target)}
        return [Chunks(mode, size) for size in sorted(sizes, reverse=True)][parts - 1 :]

    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path))
    monkeypatch.setattr("cnndsl.backends.cpu.kernels.winograd.family.ranked_chunks", forced)
    for item in (form for form in FORMS if form.id in IN_ALL_MODES):
        graph = graph_of(item)
        steps = lower(graph, parts, machine(extension)).steps
        found = [step.call for step in steps if step.kernel.family == "winograd"]
        assert [f" {mode} " in next(candidates(call)).name for call in found] == [True]
        values = parameter_values(graph, 5)
        inputs = {"image": np.random.default_rng(6).normal(size=(parts, *item.shape))}
        module = compiled(graph, values, batch=parts, extension=extension)
        assert_agrees(module, graph, values, inputs, WINOGRAD)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_prologue_leaves_the_padding_alone(kernel: int):
    graph, x = start(24, 9, 10)
    other = then(graph, "skip", "conv", x, filters=24, kernel=1)
    node = then(graph, "join", "add", x, other)
    node = then(graph, "bn", "bn", node)
    node = then(graph, "relu", "relu", node)
    node = then(graph, "y", "conv", node, filters=40, kernel=kernel)
    graph.outputs = {"out": node.name, "sum": "join"}
    graph = optimise(graph, fusions=BACKEND.fusions)[0]
    assert "bn" not in graph
    values = parameter_values(graph, 3)
    inputs = {"image": np.random.default_rng(4).normal(size=(2, 24, 9, 10))}
    for batch in (1, 2):
        assert_agrees(compiled(graph, values, batch=batch), graph, values, inputs)


SEPARABLE = (
    ((24, 33, 31), {"kernel": 3}, 40),
    ((256, 45, 60), {"kernel": 3}, 48),
    ((256, 15, 15), {"kernel": 3, "stride": 2}, 600),
    ((37, 12, 17), {"kernel": 5, "pad": "valid", "bias": False}, 16),
    ((33, 9, 9), {"kernel": 3, "dilation": 2}, 24),
    ((20, 50), {"kernel": 3, "stride": 2}, 40),
    ((18, 4, 5, 6), {"kernel": 3}, 32),
)
"""Shape of the operand, attributes of the depthwise convolution, filters of the pointwise one."""


def separable(shape: tuple[int, ...], attributes: dict[str, object], filters: int) -> Graph:
    """A depthwise and a pointwise convolution, which writes a halo."""
    graph, x = start(*shape)
    node = then(graph, "before", "conv", x, filters=shape[0], kernel=1)
    attributes = {"filters": shape[0], "groups": shape[0], **attributes}
    node = then(graph, "depthwise", "conv", node, **attributes)
    node = then(graph, "relu6", "relu6", node)
    node = then(graph, "y", "conv", node, filters=filters, kernel=1)
    node = then(graph, "last", "conv", node, filters=16, kernel=3, stride=2)
    graph.outputs = {"out": node.name}
    return optimise(graph, fusions=BACKEND.fusions)[0]


@pytest.mark.parametrize(
    ("batch", "extension"), [whole(1, "avx2"), whole(2, "avx512"), (3, "avx2")]
)
def test_a_depthwise_convolution_in_bands(
    batch: int, extension: str, monkeypatch: pytest.MonkeyPatch
):
    """Right also where it would not pay."""
    monkeypatch.setattr("cnndsl.backends.cpu.kernels.direct.family.pays", lambda *_: True)
    for shape, attributes, filters in SEPARABLE:
        graph = separable(shape, attributes, filters)
        steps = {step.node: step for step in lower(graph, batch, machine(extension)).steps}
        assert steps["y"].call.depthwise
        values = parameter_values(graph, 9)
        inputs = {"image": np.random.default_rng(10).normal(size=(batch, *shape))}
        module = compiled(graph, values, batch=batch, extension=extension)
        assert_agrees(module, graph, values, inputs)


def test_a_depthwise_convolution_stays_apart_where_bands_do_not_pay():
    """Few positions, few weights, or enough of both, by what Zen's caches give."""
    zen = replace(machine("avx512"), cpu="znver4")
    forms = {(256, 7, 7): False, (128, 30, 30): False, (256, 14, 14): True, (32, 1, 1): False}
    for shape, in_bands in forms.items():
        graph = separable(shape, {"kernel": 3}, 256)
        steps = {step.node: step for step in lower(graph, 1, zen).steps}
        assert bool(steps["y"].call.depthwise) == in_bands
        assert ("y.prologue" in steps) != in_bands


@pytest.mark.parametrize(("batch", "extension"), [whole(1, "avx2"), (3, "avx512")])
def test_a_grouped_convolution_reads_shuffled_channels(batch: int, extension: str):
    """One row or several, a map or a vector, whole blocks or not.

    Groups that are narrow, or Winograd's, leave it apart.
    """
    forms = ((60, 3, 1, (7, 9)), (64, 2, 3, (9, 8)), (75, 5, 1, (1, 1)), (32, 8, 1, (5, 6)))
    for channels, groups, kernel, sizes in forms:
        graph, x = start(channels, *sizes)
        node = then(graph, "before", "conv", x, filters=channels, kernel=1, groups=groups)
        node = then(graph, "shuffle", "shuffle", node, groups=groups)
        node = then(graph, "relu", "relu", node)
        node = then(graph, "y", "conv", node, filters=2 * channels, kernel=kernel, groups=groups)
        graph.outputs = {"out": node.name}
        graph = optimise(graph, fusions=BACKEND.fusions)[0]
        steps = {step.node: step for step in lower(graph, batch, machine(extension)).steps}
        joined = channels // groups >= machine(extension).lanes and kernel == 1
        assert steps["y"].call.is_shuffled == joined
        assert ("y.prologue" in steps) != joined
        values = parameter_values(graph, 7)
        inputs = {"image": np.random.default_rng(8).normal(size=(batch, channels, *sizes))}
        module = compiled(graph, values, batch=batch, extension=extension)
        assert_agrees(module, graph, values, inputs)


@pytest.mark.parametrize("batch", [1, 5])
def test_fully_connected_on_maps_and_vectors(batch: int):
    graph, x = start(20, 5, 6)
    node = then(graph, "hidden", "fc", x, units=70)
    node = then(graph, "relu", "relu", node)
    node = then(graph, "y", "fc", node, units=33)
    graph.outputs = {"out": node.name}
    graph = optimise(graph, fusions=BACKEND.fusions)[0]
    values = parameter_values(graph, 5)
    inputs = {"image": np.random.default_rng(6).normal(size=(batch, 20, 5, 6))}
    assert_agrees(compiled(graph, values, batch=batch), graph, values, inputs)
