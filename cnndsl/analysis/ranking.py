"""What the numbers of outputs are: distances, of which the smallest is the best, probabilities."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Dropout,
    Flatten,
    Identity,
    LeakyRelu,
    LogSoftmax,
    Relu,
    Relu6,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
)

KEEP_ORDER = (
    *(Dropout, Flatten, Identity, LeakyRelu, LogSoftmax, Relu, Relu6, Sigmoid, Softmax, Tanh),
)
"""Operators behind which the order of the channels is what it was."""


def smaller_is_better(graph: Graph) -> list[str]:
    """The outputs whose numbers are distances, or grow with distances."""
    return [name for name, node in graph.outputs.items() if _is_distance(graph, graph[node])]


def _is_distance(graph: Graph, node: Node) -> bool:
    turned = False
    while isinstance(node.op, (*KEEP_ORDER, Scale)):
        if isinstance(node.op, Scale):
            if len({*node.op.factor}) > 1 or len({*node.op.shift}) > 1:
                return False
            turned ^= node.op.factor[0] < 0
        (node,) = graph.producers(node)
    return node.op.smaller_is_better and not turned


KEY = "forms"
"""Where the metadata of artefacts tell it."""

PASSED = (Dropout, Flatten, Identity)
"""Operators behind which the numbers are what they were."""

FORMS: dict[type[Operator], str] = {
    Softmax: "probabilities",
    LogSoftmax: "logarithms",
    Sigmoid: "independent",
}
"""What the last operator makes of scores; `independent`: a probability for each by itself."""


def forms(graph: Graph) -> dict[str, str]:
    """What the numbers of each output are: one of FORMS, `distances` or `scores`."""
    distances = smaller_is_better(graph)
    found = {}
    for name, output in graph.outputs.items():
        node = graph[output]
        while isinstance(node.op, PASSED):
            (node,) = graph.producers(node)
        form = "scores" if node.is_fused else FORMS.get(type(node.op), "scores")
        found[name] = "distances" if name in distances else form
    return found


def forms_to_metadata(graph: Graph) -> dict[str, str]:
    """The entry of artefacts that tells the same."""
    return {KEY: ",".join(f"{name}={form}" for name, form in forms(graph).items())}


def form_of(metadata: Mapping[str, str], output: str) -> str | None:
    """What the numbers of an artefact's output are; None if it does not tell."""
    rows = [row.partition("=") for row in metadata.get(KEY, "").split(",")]
    return next((form for name, _, form in rows if name == output), None)
