"""Known figures of DenseNets: memory of DenseNet-121, growth with the depth, training."""

from __future__ import annotations

import pytest

import cnndsl
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BatchNorm, Conv, Relu
from cnndsl.memory import Options, Plan, plan, validate
from cnndsl.memory.training import training_memory
from cnndsl.passes.pipeline import inference_graph, optimise

DENSE_BLOCK = """
block dense_layer(growth) {{ concat {{ identity | bn -> relu -> conv(growth, 3, bias=false) }} }}
network block_alone {{ input x [{growth}, {size}, {size}]
    repeat {depth} {{ dense_layer({growth}) }} }}
"""


def dense_block(depth: int, growth: int = 12, size: int = 8) -> Graph:
    """`depth` layers bn, relu, conv, each with a concat, behind an input of `growth` channels."""
    return cnndsl.parse(DENSE_BLOCK.format(depth=depth, growth=growth, size=size)).graph


def checked(graph: Graph, **options: bool) -> Plan:
    chosen = Options(**options)
    found = plan(graph, chosen)
    validate(graph, found, chosen)
    return found


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    network = cnndsl.parse("densenet121").graph
    return {"written": inference_graph(network), "fused": optimise(network, 2)[0]}


@pytest.mark.parametrize(
    ("graph", "in_place_concat", "megabytes"),
    [("written", False, 7.23), ("fused", False, 6.42), ("fused", True, 4.82)],
)
def test_live_peak_of_densenet121(
    graphs: dict[str, Graph], graph: str, in_place_concat: bool, megabytes: float
) -> None:
    found = checked(graphs[graph], in_place_concat=in_place_concat)
    assert round(found.lower_bound_bytes / 1e6, 2) == megabytes
    assert found.arena_bytes <= 1.05 * found.lower_bound_bytes


def test_concats_in_place_cost_no_more_than_copies(graphs: dict[str, Graph]) -> None:
    """7.63 MB if buffers were rectangles of time and address; their slices begin one by one."""
    found = checked(graphs["written"])
    assert round(found.arena_bytes / 1e6, 2) == 7.23
    outlines = plan(graphs["written"], Options(batch=2))
    assert round(outlines.lower_bound_bytes / 2e6, 2) == 7.63


def test_sums_and_copies_of_densenet121(graphs: dict[str, Graph]) -> None:
    """Copies read and write 81 MB. The sum counts conv-bn-relu and bn-relu as one tensor each."""
    graph = graphs["written"]
    found, copying = checked(graph), checked(graph, in_place_concat=False)
    assert found.concat_copy_bytes == 0
    assert round(2 * copying.concat_copy_bytes / 1e6) == 81
    merged = [
        node.name
        for node in graph.nodes()
        if isinstance(node.op, Relu)
        or (isinstance(node.op, BatchNorm) and isinstance(graph.producers(node)[0].op, Conv))
    ]
    own = found.sum_bytes - sum(found.places[name].size for name in merged)
    assert round(own / 1e6, 1) == 112.6


def test_the_arena_of_a_dense_block_grows_linearly() -> None:
    depths = (10, 20, 30, 40)
    fused = [optimise(dense_block(depth), 2)[0] for depth in depths]
    arenas = [checked(graph).arena_bytes for graph in fused]
    area = 4 * 8 * 8 * 12
    assert arenas == [area * (depth + 1) for depth in depths]
    sums = [checked(graph, in_place_concat=False).sum_bytes for graph in fused]
    second = [a - 2 * b + c for a, b, c in zip(sums, sums[1:], sums[2:], strict=False)]
    assert second == [area * 100] * 2


@pytest.mark.parametrize(("depth", "growth", "size"), [(1, 5, 3), (2, 12, 8), (12, 32, 7)])
def test_temporaries_of_a_dense_block_in_training(depth: int, growth: int, size: int) -> None:
    """W*H*k*(1+L)*L without shared areas, 2*W*H*k*L with them."""
    found = training_memory(dense_block(depth, growth, size))
    area = 4 * size * size * growth
    assert found.kept == area * (1 + depth) * depth
    assert found.features == area * depth
    expected = 2 * depth if depth > 1 else 1
    assert found.shared == area * expected
    assert training_memory(dense_block(depth, growth, size), batch=3).kept == 3 * found.kept
