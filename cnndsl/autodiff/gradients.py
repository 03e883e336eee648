"""The gradient graph of a network: a graph like any other, which every backend can be given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from cnndsl.autodiff.backward import gradients_by
from cnndsl.autodiff.builder import Builder
from cnndsl.autodiff.losses import add_loss
from cnndsl.autodiff.meaning import SUFFIX as UPDATED
from cnndsl.autodiff.meaning import add_running_statistics, training_graph
from cnndsl.autodiff.recompute import cheap, within
from cnndsl.diagnostics import CnnError
from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Input
from cnndsl.ir.sizes import is_open
from cnndsl.passes.common_subexpressions import CommonSubexpressions
from cnndsl.passes.dead_code import DeadCode

SUFFIX = ".gradient"
"""What the name of a gradient ends in."""


def gradient_graph(
    graph: Graph,
    loss: str | None,
    by: Sequence[str] | None,
    *,
    training: bool,
    recompute: str | int | None = None,
    batch: int = 1,
) -> Graph:
    """See `cnndsl.gradients`."""
    if is_open(graph):
        shown = ", ".join(
            f"{n!r} is {graph[n].type}" for n in graph.inputs if graph[n].type.is_open
        )
        hint = "give the input numbers, as by --input-shape"
        raise CnnError.of("E0630", f"gradients need known sizes: input {shown}", hint=hint)
    parameters, inputs = _chosen(graph, by)
    forward = training_graph(graph) if training else graph.copy()
    source = graph if training and by is None else None

    def made(again: Collection[str]) -> Graph:
        return _differentiated(forward.copy(), loss, parameters, inputs, again, source)

    if recompute is None:
        return made(())
    names = cheap(forward)
    if recompute == "auto":
        return made(names)
    if isinstance(recompute, str) or recompute < 1:
        raise CnnError.of("E0615", f"recompute is auto, or a number of bytes, not {recompute!r}")
    return within(recompute, batch, names, made)


def _differentiated(
    result: Graph,
    loss: str | None,
    parameters: Sequence[str],
    inputs: Sequence[str],
    again: Collection[str],
    source: Graph | None,
) -> Graph:
    """The graph as it goes forth, with the way back behind it.

    And the updated statistics of the bn of `source`, if that is given.
    """
    updated = add_running_statistics(result, source) if source else {}
    if loss is None:
        outputs = {}
        seeds = seeds_of(result)
    else:
        node = add_loss(result, loss)
        outputs = {"loss": node.name}
        seeds = {node.name: Builder(result, node.name).ones(node)}
    found = gradients_by(result, seeds, parameters, inputs, again)
    names = [name for name in (*parameters, *inputs) if name in found]
    if not names:
        raise CnnError.of("E0630", "nothing that the outputs depend on is asked for")
    result.outputs = outputs | {f"{name}{SUFFIX}": found[name].name for name in names}
    result.outputs |= {f"{name}{UPDATED}": node.name for name, node in updated.items()}
    result.auxiliaries = {}
    for step in (CommonSubexpressions(), DeadCode()):
        step.run(result)
    return result


def _chosen(graph: Graph, by: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The parameters and the inputs whose names fit."""
    learned = [name for name, parameter in graph.parameters().items() if parameter.learned]
    if by is None:
        return learned, []
    for pattern in by:
        if not any(fnmatchcase(name, pattern) for name in (*learned, *graph.inputs)):
            hint = did_you_mean(pattern, [*learned, *graph.inputs])
            raise CnnError.of("E0615", f"no input or parameter is called {pattern!r}", hint=hint)

    def fits(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in by)

    return list(filter(fits, learned)), list(filter(fits, graph.inputs))


def seeds_of(graph: Graph) -> dict[str, Node]:
    """Inputs for the gradients of some loss by the outputs, by the nodes that make these."""
    nodes = dict(graph.outputs) | {name: aux.node for name, aux in graph.auxiliaries.items()}
    terms: dict[str, list[Node]] = {}
    for name, maker in nodes.items():
        seed = graph.add(f"{name}{SUFFIX}", Input(graph[maker].type.shape), [])
        graph.inputs.append(seed.name)
        terms.setdefault(maker, []).append(seed)
    return {maker: Builder(graph, maker).total(parts) for maker, parts in terms.items()}
