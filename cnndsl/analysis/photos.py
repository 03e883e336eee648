"""How a photo becomes the input of a network, as far as the network tells."""

from __future__ import annotations

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Scale

WHITE, BYTE = 1.0, 255.0
"""What white is where pixels are fractions, and where they are bytes."""


def normalised(graph: Graph) -> dict[str, float]:
    """Inputs that the network normalises itself, and what it takes white to be, 1 or 255.

    That is an input that only constant scales read: with mean m and standard deviation s each is
    (x - m) / s. Fractions have no mean and no deviation above 1, bytes have one above 16.
    """
    found = {}
    for name in graph.inputs:
        readers = [graph[reader].parts[0].op for reader in graph.nx.successors(name)]
        whites = {_white(op) if isinstance(op, Scale) else None for op in readers}
        white = whites.pop() if len(whites) == 1 else None
        if white is not None:
            found[name] = white
    return found


def _white(op: Scale) -> float | None:
    """What white is before a scale; None if that is no normalisation of pixels."""
    if not all(op.factor):
        return None
    largest = max(
        max(abs(shift / factor), abs(1 / factor))
        for factor, shift in zip(op.factor, op.shift, strict=True)
    )
    return WHITE if largest <= 1 else BYTE if largest > 16 else None
