"""The modules of PyTorch that a node was in, as the dynamo exporter says."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
LONGEST = 10_000
"""Characters of a list that is read."""


def modules(node: NodeProto) -> list[tuple[str, str]]:
    """The path and the class of each module around a node, from the outermost; none if unsaid.

    The lists begin with the whole network, whose path is empty, and end with the operation.
    """
    said = {entry.key: entry.value for entry in node.metadata_props}
    scopes, classes = (_texts(said.get(key, "")) for key in (SCOPES, CLASSES))
    if len(scopes) != len(classes):
        return []
    return [pair for pair in zip(scopes[:-1], classes[:-1], strict=True) if pair[0]]


def _texts(text: str) -> list[str]:
    """A list of texts as Python writes it; an empty one if it is something else."""
    try:
        found = ast.literal_eval(text) if len(text) <= LONGEST else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return found
    return []
