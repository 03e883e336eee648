"""How a photo becomes the input of a network, as far as the network tells."""

from __future__ import annotations

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Scale
from cnndsl.ir.photo import Photo

FRACTIONS, BYTES = Photo(), Photo(range=255.0)
"""Photos whose pixels go from 0 to 1, and those whose pixels are bytes; else as they are."""


def normalised(graph: Graph) -> dict[str, Photo]:
    """Inputs that the network normalises itself, and the photos that it takes.

    That is an input that only constant scales read: with mean m and standard deviation s each is
    (x - m) / s. Fractions have no mean and no deviation above 1, bytes have one above 16.
    """
    found = {}
    for name in graph.inputs:
        readers = [graph[reader].parts[0].op for reader in graph.nx.successors(name)]
        photos = {_before(op) if isinstance(op, Scale) else None for op in readers}
        photo = photos.pop() if len(photos) == 1 else None
        if photo is not None:
            found[name] = photo
    return found


def _before(op: Scale) -> Photo | None:
    """The photos that a scale takes; None if that is no normalisation of pixels."""
    if not all(op.factor):
        return None
    largest = max(
        max(abs(shift / factor), abs(1 / factor))
        for factor, shift in zip(op.factor, op.shift, strict=True)
    )
    return FRACTIONS if largest <= 1 else BYTES if largest > 16 else None
