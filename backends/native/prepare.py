"""The graph in a form that kernels can compute: canonical operators, copies at the borders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cnndsl.ir.algebra import broadcast, constant
from cnndsl.ir.formula import X, parameter, sqrt
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import (
    Add,
    Affine,
    Average,
    BatchNormalise,
    Cast,
    ChannelMap,
    Conv,
    Dropout,
    Function,
    Identity,
    MaxPool,
    Mul,
    Shuffle,
    SqueezeExcite,
    Subtract,
)
from cnndsl.ir.part import Part
from cnndsl.passes.channel_affine import ChannelAffine

REPLACED = (ChannelMap, Dropout, Average)
"""Operators that a prepared graph has no nodes of, but for affine."""


def prepare(graph: Graph, takes: Callable[[Node], bool]) -> Graph:
    """A copy of an inference graph with fewer operators that computes the same.

    Per-channel maps become affine, the mean of several operands a sum and a map. `takes` says
    whether one kernel computes a node with a prologue, with a max pool at the end of its epilogue,
    or of squeeze-and-excitation. If not, the prologue becomes a node of its own: an operator with
    an epilogue; so does the pool; and the block is taken apart. Each input is followed and each
    output preceded by an identity, which moves it between the caller's layout and that of the
    kernels.
    """
    result = graph.copy()
    order: list[str] = []
    for node in list(result.nodes()):
        count = len(result)
        _simplify(result, node)
        if node.prologue and not takes(replace(node, epilogue=())):
            _split_prologue(result, node)
        node = result[node.name]
        if node.pool and not takes(node):
            _split_pool(result, node, node.pool)
        node = result[node.name]
        if isinstance(node.op, SqueezeExcite) and not takes(node):
            _take_apart(result, node, node.op)
        if isinstance(node.op, BatchNormalise):
            _normalise(result, node, node.op)
        added = [*result.nx][count:] if len(result) > count else []
        order += [*added, node.name]
    result.reorder(order)
    _move_between_layouts(result)
    result.auxiliaries = {}
    return result


def _move_between_layouts(graph: Graph) -> None:
    """An identity before the first reader of each input, and right after each output."""
    written = [node.name for node in graph.nodes()]
    before = set()
    after: dict[str, list[str]] = {}
    for name in list(graph.inputs):
        before.add(graph.insert_after(graph[name], _free(graph, f"{name}.in"), Identity()).name)
    for output, name in list(graph.outputs.items()):
        copied = graph.add(_free(graph, f"{output}.out"), Identity(), [graph[name]])
        after.setdefault(name, []).append(copied.name)
        graph.outputs[output] = copied.name
    order: dict[str, None] = {}
    for node in map(graph.__getitem__, written):
        late = (x.name for x in graph.producers(node) if x.name in before)
        for name in (*late, node.name):
            order |= dict.fromkeys((name, *after.get(name, ())))
    graph.reorder(dict.fromkeys((*order, *graph.nx)))


def _normalise(graph: Graph, node: Node, op: BatchNormalise) -> None:
    """Compute the scale of each channel by a node of its own, and the rest element by element."""
    x, mean, variance, *others = graph.producers(node)
    scale = graph.add(
        _free(graph, f"{node.name}.scale"),
        Function(parameter("weight") / sqrt(X + op.eps)),
        [variance],
        {"weight": node.params["weight"]},
        node.spans,
    )
    steps = (
        Part.of(Subtract(), [x.type, mean.type]),
        Part.of(Mul(), [x.type, scale.type]),
        Part.of(Function(X + parameter("bias")), [x.type], {"bias": node.params["bias"]}),
    )
    core = Part.of(Identity(), [x.type])
    fused = Node(node.name, core, (), (*steps, *node.epilogue), node.spans)
    graph.put(fused, [x, mean, scale, *others])


def _free(graph: Graph, name: str) -> str:
    """The name, or if a node of the network has it, one with strokes behind it."""
    while name in graph:
        name += "'"
    return name


def _simplify(graph: Graph, node: Node) -> None:
    operands = graph.producers(node)
    if isinstance(node.op, ChannelMap):
        params = ChannelAffine.of(node).params()
        graph.redefine(node, Affine(), operands, params, node.spans)
    elif node.op.formula == X and not isinstance(node.op, Identity | Cast):
        graph.redefine(node, Identity(), operands, {}, node.spans)
    elif isinstance(node.op, Average):
        total = graph.add(_free(graph, f"{node.name}.sum"), Add(), operands, spans=node.spans)
        factor, shift = (
            broadcast(constant(value), (node.type.channels,)) for value in (1 / len(operands), 0.0)
        )
        graph.redefine(node, Affine(), [total], {"weight": factor, "bias": shift}, node.spans)


def _split_prologue(graph: Graph, node: Node) -> None:
    """Give the prologue a node of its own."""
    first, *others = graph.producers(node)
    core, *steps = node.prologue
    if not isinstance(core.op, Conv | Shuffle):
        core, steps = Part.of(Identity(), [first.type]), [*node.prologue]
    before = Node(_free(graph, f"{node.name}.prologue"), core, (), tuple(steps), node.spans)
    operand = graph.put(before, [first])
    graph.put(replace(node, prologue=()), [operand, *others])


def _split_pool(graph: Graph, node: Node, pool: MaxPool) -> None:
    """Give the pool at the end of the epilogue a node of its own."""
    name = _free(graph, f"{node.name}.unpooled")
    rest = replace(node, name=name, epilogue=node.epilogue[:-1])
    whole = graph.put(rest, graph.producers(node))
    graph.redefine(node, pool, [whole], {}, node.spans)


def _take_apart(graph: Graph, node: Node, block: SqueezeExcite) -> None:
    """Compute the factors of a squeeze-and-excitation block by nodes of their own."""
    x, *others = graph.producers(node)
    factors = x
    for step in block.factor_parts(x.type.channels):
        own = {role: node.params[name] for role, name in step.roles.items()}
        name = _free(graph, f"{node.name}.{step.label}")
        factors = graph.add(name, step.op, [factors], own, node.spans)
    product = Part.of(Mul(), [x.type, factors.type])
    core = Part.of(Identity(), [x.type])
    fused = Node(node.name, core, (), (product, *node.epilogue), node.spans)
    graph.put(fused, [x, factors, *others])
