"""Fields against published numbers, and against sets of positions followed through each layer."""

import random
from fractions import Fraction

import numpy as np
import pytest

from cnndsl.analysis.receptive_field import receptive_fields
from cnndsl.backends.numpy import run_graph
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.operators import (
    Add,
    AvgPool,
    Concat,
    Conv,
    ConvTranspose,
    GlobalAvgPool,
    L2Pool,
    MaxPool,
    Mul,
    Relu,
    Resize,
    Subsample,
    Upsample,
)
from tests.analysis.sketch import chain, put, residual, start


def last_field(graph, node):
    axes = receptive_fields(graph)[node.name]
    assert len(set(axes)) == 1
    return axes[0].size, axes[0].stride, axes[0].padding


def test_alexnet_and_vgg_as_published_by_araujo_et_al():
    graph, x = start((3, 224, 224))
    pool = MaxPool((3,), (2,))
    x = chain(graph, "", x, Conv(1, (11,), (4,), "valid"), pool, Conv(1, (5,)), pool)
    x = chain(graph, "b", x, Conv(1, (3,)), Conv(1, (3,)), Conv(1, (3,)), pool)
    assert last_field(graph, x) == (195, 32, 64)

    graph, x = start((3, 224, 224))
    for stage, convs in enumerate((2, 2, 3, 3, 3)):
        x = chain(graph, f"s{stage}", x, *[Conv(1, (3,))] * convs, MaxPool((2,)))
    assert last_field(graph, x) == (212, 32, 90)


SIZE = 120
TAIL = 60
"""Where windows that do not fit any more begin to matter."""


def random_layer(choose):
    kernel, stride = choose.randint(1, 4), choose.randint(1, 3)
    pad = choose.choice(["same", "valid"])
    return choose.choice(
        [
            Conv(1, (kernel,), (stride,), pad, (choose.randint(1, 3),), bias=False),
            Conv(1, (kernel,), (1,), pad, bias=False),
            ConvTranspose(1, (kernel + stride,), (stride,), choose.choice(["same", ((1, 2),)])),
            MaxPool((kernel,), (stride,), pad, ceil=choose.random() < 0.5),
            MaxPool((kernel,), (stride,), pad, dilation=(2,)),
            AvgPool((kernel,), (stride,), pad, ceil=choose.random() < 0.5),
            L2Pool((kernel,), (stride,)),
            Upsample((choose.randint(1, 4),)),
            Subsample((stride,)),
            Relu(),
        ]
    )


def seen_by_impulses(graph, node):
    """For each input position, at which positions of a node a one there is not lost."""
    ones = {name: np.ones(parameter.shape) for name, parameter in graph.parameters().items()}
    graph.outputs = {"y": node.name}
    samples = np.vstack([np.eye(SIZE), np.zeros(SIZE)])[:, None]
    response = run_graph(graph, ones, {"image": samples}, "float64")["y"]
    return (response[:-1] != response[-1]).any(1)


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_against_impulses(seed):
    """Every field holds what is seen, and where no border is near, no more."""
    choose = random.Random(seed)
    graph, x = start((1, SIZE), "image")
    for layer in range(choose.randint(1, 5)):
        ops = [random_layer(choose) for _ in range(choose.choice([1, 1, 2]))]
        try:
            nodes = [put(graph, f"{layer}.{i}", op, x) for i, op in enumerate(ops)]
            x = nodes[0] if len(nodes) == 1 else put(graph, f"{layer}.add", Add(), *nodes)
        except OperatorError:
            x = nodes[0]
    seen = seen_by_impulses(graph, x)
    (field,) = receptive_fields(graph)[x.name]
    for position in range(seen.shape[1]):
        first, last = field.at(position)
        (found,) = seen[:, position].nonzero()
        if len(found):
            assert first <= found[0]
            assert found[-1] <= last
        if first >= 0 and last < SIZE - TAIL:
            assert (first, last) == (found[0], found[-1])


@pytest.mark.parametrize(
    ("layers", "size"),
    [
        ((AvgPool((4,)), Upsample((4,)), Conv(1, (3,))), 8),
        ((AvgPool((2,)), Upsample((2,)), Conv(1, (2,), pad="valid")), 4),
        ((Conv(1, (3,), (8,)), ConvTranspose(1, (16,), (8,), ((4, 4),)), Conv(1, (3,))), 19),
    ],
)
def test_sizes_behind_enlarging_layers(layers, size):
    """The last: two neighbours, 8 apart, of the first layer reach all but a few positions."""
    graph, x = start((1, 64))
    x = chain(graph, "", x, *layers)
    (field,) = receptive_fields(graph)[x.name]
    assert field.size == size


def test_a_field_that_hardly_repeats_is_bounded():
    graph, x = start((1, 64))
    x = chain(graph, "", x, Conv(1, (5,)), Upsample((5000,)), Conv(1, (3,)))
    (field,) = receptive_fields(graph)[x.name]
    assert field.size in (6, 7)
    assert field.stride == Fraction(1, 5000)


def test_pooling_and_subsampling_count_as_windows():
    graph, x = start((1, 64, 64))
    x = chain(graph, "", x, AvgPool((2,)), Relu(), Subsample((2,)), Conv(1, (3,)))
    assert last_field(graph, x) == (2 + 2 * 4, 4, 4)


def test_enlarging_divides_the_stride():
    graph, x = start((1, 16))
    up = put(graph, "up", Upsample((2,)), x)
    conv = put(graph, "conv", Conv(1, (3,)), up)
    assert last_field(graph, up)[:2] == (1, 0.5)
    assert last_field(graph, conv)[:2] == (2, 0.5)
    exact = put(graph, "exact", ConvTranspose(1, (2,), (2,)), x)
    overlapping = put(graph, "overlapping", ConvTranspose(1, (4,), (2,)), x)
    assert last_field(graph, exact)[0] == 1
    assert last_field(graph, overlapping)[0] == 2


def test_interpolation_reads_two_positions():
    graph, x = start((1, 8))
    linear = put(graph, "linear", Resize(size=(16,), mode="linear"), x)
    nearest = put(graph, "nearest", Resize(factor=(2.0,)), x)
    huge = put(graph, "huge", Resize(size=(10**9,)), x)
    assert last_field(graph, linear)[:2] == (2, 0.5)
    assert last_field(graph, nearest)[:2] == (1, 0.5)
    assert receptive_fields(graph)[huge.name] is None


def test_a_vector_and_what_it_gates_see_everything():
    graph, x = start((4, 16, 16))
    pooled = put(graph, "pool", GlobalAvgPool(), x)
    gated = put(graph, "mul", Mul(), x, pooled)
    joined = put(graph, "concat", Concat(), gated, x)
    fields = receptive_fields(graph)
    assert fields[pooled.name] is fields[gated.name] is fields[joined.name] is None


def test_axes_are_separate():
    graph, x = start((1, 32, 32))
    x = put(graph, "conv", Conv(1, (1, 7), (1, 2)), x)
    assert [(a.size, a.stride) for a in receptive_fields(graph)[x.name]] == [(1, 1), (7, 2)]


def test_a_shortcut_does_not_widen_a_block():
    sketch = residual()
    sizes = [receptive_fields(sketch.graph)[node][0].size for _, node in sketch.graph.stages]
    assert sizes == [11 + 2 * 8, 27 + 8 + 16]
