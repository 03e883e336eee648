"""What a picture shows: nested boxes, and in each box the edges between its children."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cnndsl.analysis.tree import Block, Leaf, block_tree, result_types
from cnndsl.drawing.labels import block_label, family, leaf_label, tooltip
from cnndsl.ir.graph import Graph

EXPANDED = 80
"""Networks up to this many nodes are shown in full unless a depth is asked for."""


@dataclass(frozen=True)
class Edge:
    """An edge inside one box: from a child (or the box's top) to a child (or its bottom).

    `value` is the key of the box that makes the value; it names the port where the edge enters
    or leaves a box.
    """

    source: str | None
    target: str | None
    value: str


@dataclass
class Box:
    """An operator, closed blocks, or an open block with its children and their edges.

    A box of several equal blocks has the key of the first; `others` are the keys of the rest.
    """

    key: str
    title: str
    subtitle: str
    family: str
    tooltip: str
    others: tuple[str, ...] = ()
    children: list[Box] = field(default_factory=list)
    edges: dict[Edge, None] = field(default_factory=dict)


def scene(graph: Graph, depth: int | None = None) -> Box:
    """The picture's root box; blocks deeper than `depth` levels stay closed."""
    if depth is None:
        depth = len(graph) if len(graph) <= EXPANDED else 2
    root = _open_block(graph, block_tree(graph), max(depth, 1))
    outputs = ends(graph)
    root.children += [end for end, _ in outputs]
    for source, target in _links(graph, root, outputs):
        _connect(source, target)
    return root


def connections(graph: Graph, root: Box) -> dict[tuple[str, str], None]:
    """The keys of all pairs of shown boxes that an edge connects, whatever it passes through."""
    links = _links(graph, root, ends(graph))
    return {(a[-1].key, b[-1].key): None for a, b in links if a[-1] is not b[-1]}


def ends(graph: Graph) -> list[tuple[Box, str]]:
    """A box for each output, with the node that makes it."""
    auxiliaries = {name: auxiliary.node for name, auxiliary in graph.auxiliaries.items()}
    return [
        (Box(f"{kind} {name}", name, kind, kind, f"{kind} {name}: {node}"), node)
        for kind, made in (("output", graph.outputs), ("auxiliary", auxiliaries))
        for name, node in made.items()
    ]


def _links(
    graph: Graph, root: Box, outputs: list[tuple[Box, str]]
) -> Iterator[tuple[list[Box], list[Box]]]:
    """For each edge the boxes around the one that shows its source, and its target."""
    shown = _shown_boxes(root)
    for node in graph.nodes():
        for producer in graph.producers(node):
            yield shown[producer.name], shown[node.name]
    for end, node_name in outputs:
        yield shown[node_name], shown[end.key]


def _open_block(graph: Graph, block: Block, depth: int) -> Box:
    box = Box(block.path, block_label(block), "", "block", tooltip(block))
    if depth > 1:
        box.children = [_box(graph, child, depth - 1) for child in block.children]
    else:
        box.children = [_closed(graph, run) for run in runs(graph, block.children)]
    return box


def runs(graph: Graph, parts: Iterable[Block | Leaf]) -> list[list[Block | Leaf]]:
    """Parts in order; equal blocks, in series or in parallel, are together."""
    found: list[list[Block | Leaf]] = []
    for part in parts:
        if found and _continues(graph, found[-1], part):
            found[-1].append(part)
        else:
            found.append([part])
    return found


def _continues(graph: Graph, run: Sequence[Block | Leaf], part: Block | Leaf) -> bool:
    """Whether a part is drawn as one with those before: equal blocks, in series or in parallel."""
    if _sort(run[-1]) != _sort(part):
        return False
    (before, after), (reads, read_by) = _around(graph, run[-1]), _around(graph, part)
    last = {node.name for node in run[-1].nodes()}
    return reads <= last or (before == reads and after == read_by)


def _around(graph: Graph, part: Block | Leaf) -> tuple[set[str], set[str]]:
    """The nodes outside of a part that it reads, and those that read it."""
    inside = {node.name for node in part.nodes()}
    nodes = list(part.nodes())
    reads = {producer.name for node in nodes for producer in graph.producers(node)}
    read_by = {reader.name for node in nodes for reader, _ in graph.consumers(node)}
    return reads - inside, read_by - inside


def _sort(part: Block | Leaf) -> tuple[str, ...]:
    """What neighbours have in common to be drawn as one: blocks of the same operators."""
    if isinstance(part, Leaf):
        return (part.path,)
    return (part.kind, *(node.op.name for node in part.nodes()))


def _closed(graph: Graph, run: Sequence[Block | Leaf]) -> Box:
    """A part as a box without children; several equal blocks as one box that tells how many."""
    box = _box(graph, run[0], 0)
    if len(run) > 1:
        first, last = run[0], run[-1]
        types = ", ".join(map(str, result_types(graph, last))).replace("x", "×")
        box.title = f"{len(run)} × {first.kind or 'block'}"
        box.subtitle = f"{first.name} to {last.name}, {types}"
        box.others = tuple(f"{part.path}." for part in run[1:])
        box.tooltip = "\n\n".join(map(tooltip, run))
    return box


def _box(graph: Graph, part: Block | Leaf, depth: int) -> Box:
    types = ", ".join(map(str, result_types(graph, part))).replace("x", "×")
    if isinstance(part, Leaf):
        return Box(part.path, leaf_label(part), types, family(part.node.op), tooltip(part))
    if depth < 1:
        nodes = sum(1 for _ in part.nodes())
        subtitle = f"{nodes} node{'s' * (nodes != 1)}, {types}"
        return Box(f"{part.path}.", block_label(part), subtitle, "closed", tooltip(part))
    return _open_block(graph, part, depth)


def _shown_boxes(root: Box) -> dict[str, list[Box]]:
    """For each node of the graph the boxes around it, root first, down to the one that shows it.

    A node of a closed block is shown by the block, whose key ends in a dot.
    """
    shown = _Shown()
    stack = [[root]]
    while stack:
        trail = stack.pop()
        box = trail[-1]
        if box.children:
            stack.extend([*trail, child] for child in box.children)
        else:
            shown.update(dict.fromkeys((box.key, *box.others), trail))
    return shown


class _Shown(dict[str, list[Box]]):
    """Finds the closed block of a node that is not shown itself."""

    def __missing__(self, name: str) -> list[Box]:
        path = name
        while f"{path}." not in self:
            path = path.rpartition(".")[0]
        self[name] = self[f"{path}."]
        return self[name]


def _connect(source: list[Box], target: list[Box]) -> None:
    """Add the edge to every box that it passes through: out of the source's, into the target's."""
    if source[-1] is target[-1]:
        return
    value = source[-1].key
    common = next(i for i, (a, b) in enumerate(zip(source, target, strict=False)) if a is not b)
    for outer, inner in zip(source[common:], source[common + 1 :], strict=False):
        outer.edges[Edge(inner.key, None, value)] = None
    source[common - 1].edges[Edge(source[common].key, target[common].key, value)] = None
    for outer, inner in zip(target[common:], target[common + 1 :], strict=False):
        outer.edges[Edge(None, inner.key, value)] = None
