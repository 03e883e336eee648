"""The graph of a page: a tree of parts that fold, and the edges between its leaves.

The tree is that of the blocks, where equal neighbours stand in one part that tells how many they
are, and where neighbours are put together so that no part has more than `MOST` of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cnndsl.analysis.cost import Cost, total
from cnndsl.analysis.receptive_field import Fields, receptive_fields
from cnndsl.analysis.summary import short
from cnndsl.analysis.tree import Block, Leaf, block_tree, result_types
from cnndsl.diagnostics import Source
from cnndsl.drawing.labels import block_label, family, leaf_label
from cnndsl.drawing.scene import ends, runs
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.text import operators_text

MOST = 50
"""Children of a part: more would not be read, nor laid out at once (ELK: 40 ms for 50)."""

Row: TypeAlias = dict[str, Any]


@dataclass
class Parts:
    """Rows of parts, each behind the one that holds it, and pairs of rows for edges.

    A row has `in`, the index of the row that holds it; `title`, `path`, `kind` (an operator, or
    `block`, `repeat`, `part`, `output`, `auxiliary`), `family` (for its colour), `shape`, `nodes`,
    `params`, `macs`, `bytes` (the last two null if a size is open), and `lines`, pairs of the index
    of a text and a line of it, from 1. Of an operator, `call` has all attributes, `inputs` the
    shapes of what it reads, and `field` what it sees.
    """

    graph: Graph
    texts: list[Source]
    rows: list[Row] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fields = receptive_fields(self.graph)
        self._index: dict[str, int] = {}
        self._part(block_tree(self.graph), 0)
        for node in self.graph.nodes():
            here = self._index[node.name]
            self.edges += [(self._index[p.name], here) for p in self.graph.producers(node)]
        for box, name in ends(self.graph):
            self.edges.append((self._index[name], len(self.rows)))
            shape = _types([self.graph[name]])
            self._row(0, box.title, box.key, box.family, box.family, shape, 0, Cost())

    def _row(
        self, parent: int, title: str, path: str, kind: str, colour: str, shape: str, nodes: int,
        cost: Cost,
    ) -> int:  # fmt: skip
        self.rows.append(
            {
                "in": parent, "title": title, "path": path, "kind": kind, "family": colour,
                "shape": shape, "nodes": nodes, "params": cost.params, "macs": cost.macs,
                "bytes": cost.bytes, "call": "", "inputs": "", "field": "", "lines": [],
            }
        )  # fmt: skip
        return len(self.rows) - 1

    def _part(self, part: Block | Leaf, parent: int) -> None:
        if isinstance(part, Leaf):
            self._leaf(part, parent)
            return
        shape, count = _shape(self.graph, part), sum(1 for _ in part.nodes())
        title = block_label(part) if part.path else self.graph.name
        here = self._row(parent, title, part.path, "block", "block", shape, count, part.cost)
        self._children(runs(self.graph, part.children), here)

    def _leaf(self, leaf: Leaf, parent: int) -> None:
        node, op = leaf.node, leaf.node.op
        title, shape = leaf_label(leaf), _types([node])
        here = self._row(parent, title, leaf.path, op.name, family(op), shape, 1, leaf.cost)
        self._index[node.name] = here
        self.rows[here]["call"] = operators_text(node)
        self.rows[here]["inputs"] = _types(self.graph.producers(node))
        self.rows[here]["field"] = _field(self._fields[node.name])
        self.rows[here]["lines"] = self._lines(node)

    def _lines(self, node: Node) -> list[tuple[int, int]]:
        found: dict[tuple[int, int], None] = {}
        for span in node.spans:
            if span.source not in self.texts:
                self.texts.append(span.source)
            found[self.texts.index(span.source), span.line] = None
        return list(found)

    def _children(self, found: Sequence[Sequence[Block | Leaf]], parent: int) -> None:
        """Rows for runs of equal parts; for too many of them, rows that hold some each."""
        if len(found) <= MOST:
            for run in found:
                self._run(run, parent)
            return
        size = MOST
        while size * MOST < len(found):
            size *= MOST
        for start in range(0, len(found), size):
            some = found[start : start + size]
            parts = [part for run in some for part in run]
            first, last = parts[0], parts[-1]
            title, path = f"{first.name} to {last.name}", f"{first.path}..{last.path}"
            self._children(some, self._several(parts, parent, title, path, "part"))

    def _run(self, run: Sequence[Block | Leaf], parent: int) -> None:
        if len(run) > 1:
            title = f"{len(run)} × {run[0].kind or 'block'}"
            path = f"{run[0].path}..{run[-1].path}"
            parent = self._several(run, parent, title, path, "repeat")
            self._children([[part] for part in run], parent)
        else:
            self._part(run[0], parent)

    def _several(
        self, parts: Sequence[Block | Leaf], parent: int, title: str, path: str, kind: str
    ) -> int:
        cost = total(part.cost for part in parts)
        nodes = sum(1 for part in parts for _ in part.nodes())
        shape = _shape(self.graph, parts[-1])
        return self._row(parent, title, path, kind, kind, shape, nodes, cost)


def _shape(graph: Graph, part: Block | Leaf) -> str:
    return ", ".join(str(kind) for kind in result_types(graph, part)).replace("x", "×")


def _types(nodes: Sequence[Node]) -> str:
    return ", ".join(str(node.type) for node in nodes).replace("x", "×")


def _field(axes: Fields) -> str:
    """Size and stride of a receptive field."""
    if axes is None:
        return "the whole input"
    size, stride = short([str(a.size) for a in axes]), short([str(a.stride) for a in axes])
    return f"{size}, stride {stride}"
