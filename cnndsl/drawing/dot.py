"""The network in the DOT language of Graphviz, for those who want another layout."""

from __future__ import annotations

from collections.abc import Iterator

from cnndsl.drawing.scene import Box, connections, scene
from cnndsl.drawing.svg import FILLS, OTHER_FILL
from cnndsl.ir.graph import Graph


def dot(graph: Graph, depth: int | None = None) -> bytes:
    """The network as a digraph; blocks are clusters, those deeper than `depth` closed boxes."""
    return ("\n".join(_lines(graph, depth)) + "\n").encode()


def _lines(graph: Graph, depth: int | None) -> Iterator[str]:
    root = scene(graph, depth)
    yield f"digraph {_quoted(graph.name)} {{"
    yield '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11]'
    yield '  graph [style=rounded, color="#b0bec5", fontname="Helvetica", fontsize=10]'
    yield '  edge [color="#78909c"]'
    for child in root.children:
        yield from _box(child, "  ")
    for source, target in connections(graph, root):
        yield f"  {_quoted(source)} -> {_quoted(target)}"
    yield "}"


def _box(box: Box, indent: str) -> Iterator[str]:
    if not box.children:
        label = _quoted(f"{box.title}\n{box.subtitle}")
        fill, tip = FILLS.get(box.family, OTHER_FILL), _quoted(box.tooltip)
        yield f'{indent}{_quoted(box.key)} [label={label}, fillcolor="{fill}", tooltip={tip}]'
        return
    yield f"{indent}subgraph {_quoted(f'cluster {box.key}')} {{"
    yield f"{indent}  label={_quoted(box.title)}"
    for child in box.children:
        yield from _box(child, indent + "  ")
    yield f"{indent}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
