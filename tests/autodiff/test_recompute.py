"""What is computed again gives the same numbers, and takes less memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import cnndsl
from cnndsl.autodiff.recompute import options_for
from cnndsl.backends.numpy import run_graph
from cnndsl.diagnostics import CnnError
from cnndsl.ir.verify import verify
from cnndsl.memory import plan, validate
from cnndsl.passes.pipeline import optimise
from tests.autodiff.test_graphs import TEXT, arrays_for
from tests.memory.replay import float64_bytes
from tests.memory.test_densenet import dense_block
from tests.operators.cases import parameter_values


def peak(graph: cnndsl.Network, batch: int = 1, block: int = 1) -> int:
    """With channels in blocks, as on CPUs."""
    options = replace(
        options_for(graph.graph, batch),
        channel_block=block,
        sample_bytes=lambda node: float64_bytes(node, block) // 2,
    )
    found = plan(graph.graph, options)
    validate(graph.graph, found, options)
    return found.arena_bytes


@pytest.mark.parametrize("level", [0, 3])
def test_the_numbers_are_the_same(level: int) -> None:
    """Passes do not undo it."""
    kept, made = (cnndsl.gradients(TEXT, recompute=r).graph for r in (None, "auto"))
    verify(made)
    optimised, _ = optimise(made, level, verify=True)
    assert sum(node.op.name == "again" for node in optimised.nodes()) > 1
    assert (
        plan(optimised, options_for(optimised, 1)).arena_bytes
        < plan(kept, options_for(kept, 1)).arena_bytes
    )
    values, inputs = parameter_values(kept, 0), arrays_for(kept)
    wanted, found = run_graph(kept, values, inputs), run_graph(optimised, values, inputs)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-14)


def test_the_memory_of_a_dense_block_grows_linearly() -> None:
    """Four maps for each layer, and means and variances, which do not grow with the batch.

    Without it the second differences are constant, not zero.
    """
    depths, area = (2, 4, 6, 8), 4 * 8 * 8 * 12
    nets = [cnndsl.Network(dense_block(depth)) for depth in depths]
    again = [peak(cnndsl.gradients(net, None, recompute="auto")) for net in nets]
    growth = np.diff(again)
    assert all(8 * area <= growth)
    assert all(growth < 8.6 * area)
    kept = [peak(cnndsl.gradients(net, None)) for net in nets]
    assert np.diff(kept, 2).tolist() == [12672] * 2


def test_in_blocks_of_8_channels_it_does_so_too() -> None:
    """Though half of the concats begin with an operand that ends inside a block, and is read later.

    Means and variances grow with the square, 12 numbers each for each layer.
    """
    nets = [cnndsl.Network(dense_block(depth)) for depth in (2, 4, 6, 8)]
    again = [peak(cnndsl.gradients(net, None, recompute="auto"), block=8) for net in nets]
    assert max(np.diff(again, 2)) <= 2 * 4 * 2 * 2 * 12 + 64


def test_no_more_is_computed_again_than_has_to_be() -> None:
    net = cnndsl.Network(dense_block(4))
    kept, again = (peak(cnndsl.gradients(net, None, recompute=r), 3) for r in (None, "auto"))
    some = cnndsl.gradients(net, None, recompute=(kept + again) // 2, batch=3)
    assert again < peak(some, 3) <= (kept + again) // 2
    plenty = cnndsl.gradients(net, None, recompute=kept, batch=3)
    assert not any(node.op.name == "again" for node in plenty.graph.nodes())
    with pytest.raises(CnnError, match=r"E0630.*for a batch of 3, not 1.00 kB"):
        cnndsl.gradients(net, None, recompute=1000, batch=3)
