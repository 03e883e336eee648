"""Locally connected layers, which ONNX has not: products of patches, found before a model is read.

The patches of all output positions are gathered from the positions of a map in one row, and each
is multiplied with a matrix of its own. The last step of that becomes one of our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnndsl.importers.onnx.step import OWN, STANDARD, Step

BY_POSITION, BACK = [2, 0, 1, 3], [1, 2, 0]
"""The axes of patches [batch, channels, positions, kernel], and of products, when they move."""


def with_local_layers(steps: Sequence[Step]) -> list[Step]:
    """The steps, with `LocallyConnected` in the place of the last one of each such layer.

    Its operands are a map with its positions in one row, those of the patches, the matrices
    [positions, patch, filters], and perhaps a bias.
    """
    makers = {name: step for step in steps for name in step.outputs if name}

    def made(name: str, kind: str, count: int) -> Step | None:
        step = makers.get(name)
        fits = step and step.domain in STANDARD and step.kind == kind
        return step if step and fits and len(step.inputs) == count else None

    def layer(step: Step) -> Step:
        if step.kind != "Transpose" or step.attributes.get("perm") != BACK or len(step.inputs) != 1:
            return step
        biased = made(step.inputs[0], "Add", 2)
        product = made(biased.inputs[0] if biased else step.inputs[0], "MatMul", 2)
        rows = made(product.inputs[0], "Reshape", 2) if product else None
        ordered = made(rows.inputs[0], "Transpose", 1) if rows else None
        patches = made(ordered.inputs[0], "Gather", 2) if ordered else None
        if not (product and ordered and patches) or patches.attributes.get("axis") != 2:
            return step
        if ordered.attributes.get("perm") != BY_POSITION:
            return step
        bias = biased.inputs[1:] if biased else ()
        inputs = (*patches.inputs, product.inputs[1], *bias)
        return replace(step, kind="LocallyConnected", domain=OWN, inputs=inputs, attributes={})

    return [layer(step) for step in steps]
