"""Graphs built by hand, with parameters named after their nodes, and networks around them."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.diagnostics import Diagnostic
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    FullyConnected,
    GlobalAvgPool,
    Input,
    MaxPool,
    Relu,
    Softmax,
)


@dataclass(frozen=True)
class Sketch:
    """What the analysis reads of a `cnndsl.api.Network`."""

    name: str
    graph: Graph
    source_hash: str = "0" * 64
    file: str | None = None
    warnings: tuple[Diagnostic, ...] = ()
    declared: Graph | None = None


def start(shape, name="sketch"):
    graph = Graph(name)
    graph.inputs.append("image")
    return graph, graph.add("image", Input(tuple(shape)), [])


def put(graph: Graph, name: str, op: Operator, *operands: Node, spans=frozenset()) -> Node:
    types = [operand.type for operand in operands]
    params = {
        role: Parameter(f"{name}.{role}", spec.shape, spec.init, spec.learned)
        for role, spec in op.bind(types).parameters(types).items()
    }
    return graph.add(name, op, operands, params, spans)


def chain(graph: Graph, prefix: str, x: Node, *ops: Operator) -> Node:
    """The operators one after the other, named by operator and position."""
    for index, op in enumerate(ops):
        x = put(graph, f"{prefix}{op.name}{index}", op, x)
    return x


def residual(stages=(2, 2), width=16) -> Sketch:
    """A small network of bottlenecks, with a shortcut convolution in each first one."""
    graph, x = start((3, 64, 64), "residual")
    x = chain(graph, "", x, Conv(width, (7,), (2,), bias=False), BatchNorm(), Relu())
    x = put(graph, "pool", MaxPool((3,), (2,), ((1, 1),)), x)
    for s, count in enumerate(stages):
        graph.scopes[f"stage{s + 1}"] = "repeat"
        for i in range(count):
            path = f"stage{s + 1}.{i}"
            graph.scopes[path] = "bottleneck"
            inner, stride = width * 2**s, (2 if s and not i else 1,)
            y = chain(
                graph, f"{path}.a_", x,
                Conv(inner, (1,), bias=False), BatchNorm(), Relu(),
                Conv(inner, (3,), stride, bias=False), BatchNorm(), Relu(),
                Conv(4 * inner, (1,), bias=False), BatchNorm(),
            )  # fmt: skip
            if not i:
                x = chain(
                    graph, f"{path}.b_", x, Conv(4 * inner, (1,), stride, bias=False), BatchNorm()
                )
            x = put(graph, f"{path}.relu", Relu(), put(graph, f"{path}.add", Add(), y, x))
        graph.stages.append((f"stage{s + 1}", x.name))
    x = put(graph, "fc", FullyConnected(10), put(graph, "global", GlobalAvgPool(), x))
    x = put(graph, "softmax", Softmax(), x)
    graph.outputs["probabilities"] = x.name
    return Sketch("residual", graph)


def inception() -> Sketch:
    """Two modules of four parallel branches."""
    graph, x = start((3, 32, 32), "inception")
    x = chain(graph, "stem_", x, Conv(32, (3,), (2,)), Relu())
    for m in range(2):
        path = f"mixed{m}"
        graph.scopes[path] = "inception"
        branches = [
            chain(graph, f"{path}.one_", x, Conv(16, (1,)), Relu()),
            chain(graph, f"{path}.three_", x, Conv(16, (1,)), Relu(), Conv(24, (3,)), Relu()),
            chain(graph, f"{path}.five_", x, Conv(8, (1,)), Relu(), Conv(12, (5,)), Relu()),
            chain(
                graph, f"{path}.pool_", x, MaxPool((3,), (1,), ((1, 1),)), Conv(12, (1,)), Relu()
            ),
        ]
        x = put(graph, f"{path}.concat", Concat(), *branches)
    graph.outputs["features"] = put(graph, "global", GlobalAvgPool(), x).name
    return Sketch("inception", graph)


def dense(layers=4) -> Sketch:
    """One block whose layers read everything before them, and a transition."""
    graph, x = start((3, 32, 32), "dense")
    x = put(graph, "stem", Conv(16, (3,)), x)
    graph.scopes["dense1"] = "repeat"
    for i in range(layers):
        path = f"dense1.{i}"
        graph.scopes[path] = "dense_layer"
        y = chain(
            graph, f"{path}.", x,
            BatchNorm(), Relu(), Conv(32, (1,), bias=False),
            BatchNorm(), Relu(), Conv(8, (3,), bias=False),
        )  # fmt: skip
        x = put(graph, f"{path}.concat", Concat(), x, y)
    graph.scopes["transition"] = "transition"
    ops = BatchNorm(), Relu(), Conv(24, (1,), bias=False), AvgPool((2,))
    graph.outputs["features"] = chain(graph, "transition.", x, *ops).name
    return Sketch("dense", graph)
