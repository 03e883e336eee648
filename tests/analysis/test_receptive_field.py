"""Fields against published numbers, and against sets of positions followed through each layer."""

import random

import pytest

from cnndsl.analysis.receptive_field import receptive_fields
from cnndsl.ir.operators import (
    Add,
    AvgPool,
    Concat,
    Conv,
    ConvTranspose,
    GlobalAvgPool,
    MaxPool,
    Mul,
    Relu,
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


def windows(op, size):
    """For each output position of a one-dimensional layer the input positions that it reads."""
    k, s, r = op.kernel[0], op.stride[0], getattr(op, "dilation", (1,))[0]
    before, after = op.pads[0]
    count = (size + before + after - (r * (k - 1) + 1)) // s + 1
    return [[j * s + m * r - before for m in range(k)] for j in range(count)]


def follow(graph, x, seen, path, op):
    """Add a layer; `seen` holds for each position the input positions it depends on."""
    node = put(graph, path, op, x)
    reads = windows(node.op, len(seen))
    inside = [[i for i in row if 0 <= i < len(seen)] for row in reads]
    return node, [set().union(*(seen[i] for i in row)) for row in inside]


@pytest.mark.parametrize("seed", range(25))
def test_random_networks_against_sets_of_positions(seed):
    choose = random.Random(seed)
    size = 400
    graph, x = start((1, size))
    seen = [{i} for i in range(size)]
    for layer in range(choose.randint(2, 6)):
        stride = choose.choice([1, 1, 2, 3])
        branches = []
        for branch in range(choose.randint(1, 3)):
            kernel, dilation = choose.choice([1, 3, 5]), choose.randint(1, 2)
            op = Conv(1, (kernel,), (stride,), "same", (dilation,))
            branches.append(follow(graph, x, seen, f"{layer}.{branch}", op))
        x, seen = branches[0]
        if len(branches) > 1:
            x = put(graph, f"{layer}.add", Add(), *(node for node, _ in branches))
            seen = [set().union(*parts) for parts in zip(*(s for _, s in branches), strict=True)]
    (field,) = receptive_fields(graph)[x.name]
    for position, positions in enumerate(seen):
        start_ = -field.padding + position * field.stride
        end = start_ + field.size - 1
        assert start_ <= min(positions)
        assert max(positions) <= end
        if start_ >= 0 and end < size:
            assert (min(positions), max(positions)) == (start_, end)


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
