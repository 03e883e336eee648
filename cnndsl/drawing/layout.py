"""Where everything stands: each open box is laid out by itself, from the inside out.

The children of a box and the ports on its top and bottom are the vertices of a small layered
drawing (Sugiyama, Tagawa and Toda 1981), made by igraph. Its horizontal order and alignment are
kept; the distances are stretched until boxes of all widths fit, and each layer gets the height
of its tallest box. Edges bend only between layers, so they cross no box.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import networkx as nx

from cnndsl.drawing.scene import Box, Edge

Point: TypeAlias = tuple[float, float]
Vertex: TypeAlias = tuple[str, str]
"""("box", key of a child), ("top", value) or ("bottom", value)."""

CHARACTER = 6.9
"""Estimated width of a letter in pixels, at the size in which titles are set."""
SHORT = 24
"""A title of one word and a subtitle share a line if they have no more letters in all."""
PADDING = 14
GAP_X = 22
GAP_Y = 26
STEEP, TALLEST_GAP = 1 / 8, 160
"""Height of a gap between layers for each pixel that an edge goes sideways there, and at most."""
HEADER = 28
LINE_HEIGHT = 17
LANE = 6
"""Half the width that an edge takes when it passes a layer."""


@dataclass
class Placed:
    """A box with its size, its place within its parent, and what is in it.

    `tops` and `bottoms` are the horizontal places of its ports by value; `routes` the points of
    its edges, relative to the box, and whether an arrow ends them. `label` is where the title
    of an open box starts.
    """

    box: Box
    width: float
    height: float
    x: float = 0
    y: float = 0
    tops: dict[str, float] = field(default_factory=dict)
    bottoms: dict[str, float] = field(default_factory=dict)
    children: list[Placed] = field(default_factory=list)
    routes: list[tuple[list[Point], bool]] = field(default_factory=list)
    label: float = 10

    def top(self, value: str) -> float:
        """Where the edge with that value enters."""
        return self.tops.get(value, self.width / 2)

    def bottom(self, value: str) -> float:
        """Where the edge with that value leaves."""
        return self.bottoms.get(value, self.width / 2)

    @property
    def axis(self) -> float:
        """The vertical line that is aligned with its neighbours above and below."""
        return next(iter(self.tops.values()), self.width / 2)


@dataclass(frozen=True)
class _Slot:
    """What takes up room in a layer: a vertex, or an edge that passes; `unit` is igraph's x."""

    unit: float
    left: float
    right: float


def lay_out(box: Box) -> Placed:
    """The box with everything in it placed. Takes time about linear in the number of boxes."""
    if not box.children:
        letters = max(len(box.title), 0.9 * len(box.subtitle))
        if on_one_line(box):
            letters = len(box.title) + 1 + 0.9 * len(box.subtitle)
        lines = 1 if on_one_line(box) else 2
        return Placed(box, 2 * PADDING + CHARACTER * letters, 8 + lines * LINE_HEIGHT)
    children = {child.key: lay_out(child) for child in box.children}
    return _Layers(box, children).place()


def on_one_line(box: Box) -> bool:
    """Whether the title and the subtitle of a closed box stand side by side."""
    return " " not in box.title and len(box.title) + len(box.subtitle) <= SHORT


class _Layers:
    """The layered drawing of one open box."""

    def __init__(self, box: Box, children: dict[str, Placed]):
        self.box = box
        self.children = children
        self.ends = {edge: (_source(edge), _target(edge)) for edge in box.edges}
        vertices = [("box", key) for key in children]
        ends = [vertex for pair in self.ends.values() for vertex in pair]
        self.vertices = list(dict.fromkeys([*vertices, *ends]))
        self.layers = _assign_layers(self.vertices, self.ends.values())
        self.fans_out = sum(kind == "top" for (kind, _), _ in self.ends.values()) > 1

    def place(self) -> Placed:
        """Sizes, positions, ports and routes of the box."""
        units, bends = self._sugiyama()
        slots = self._slots(units, bends)
        scale = _scale(slots.values())
        left = min(slot.unit * scale - slot.left for layer in slots.values() for slot in layer)
        right = max(slot.unit * scale + slot.right for layer in slots.values() for slot in layer)
        ports = [x * scale - left for (kind, _), x in units.items() if kind == "top"]
        label, missing = _label(self.box, ports, right - left)
        shift = PADDING + missing - left
        xs = {vertex: unit * scale + shift for vertex, unit in units.items()}
        lanes = {e: [unit * scale + shift for unit in passed] for e, passed in bends.items()}
        bands, height = self._bands(self._gaps(xs, lanes))
        placed = Placed(self.box, right - left + missing + 2 * PADDING, height, label=label)
        for (kind, name), x in xs.items():
            if kind == "box":
                child = self.children[name]
                top, bottom = bands[self.layers[kind, name]]
                child.x, child.y = x - child.axis, (top + bottom - child.height) / 2
                placed.children.append(child)
            else:
                (placed.tops if kind == "top" else placed.bottoms)[name] = x
        for edge, lane in lanes.items():
            arrow = edge.target is not None and not self.children[edge.target].children
            placed.routes.append((self._route(edge, placed, bands, lane), arrow))
        return placed

    def _sugiyama(self) -> tuple[dict[Vertex, float], dict[Edge, list[float]]]:
        """Horizontal places of the vertices, and of each edge in the layers that it passes."""
        import igraph

        index = {vertex: i for i, vertex in enumerate(self.vertices)}
        layers = [self.layers[vertex] for vertex in self.vertices]
        # igraph mixes up the bends of graphs that are not connected: bends are vertices here.
        passed: dict[Edge, list[int]] = {edge: [] for edge in self.ends}
        pairs: list[tuple[int, int]] = []
        for edge, (source, target) in self.ends.items():
            first, last = self.layers[source], self.layers[target]
            if first < last:
                passed[edge] = list(range(len(layers), len(layers) + last - first - 1))
                layers += range(first + 1, last)
                pairs += itertools.pairwise([index[source], *passed[edge], index[target]])
        graph = igraph.Graph(n=len(layers), edges=pairs, directed=True)
        layout = graph.layout_sugiyama(layers=layers)
        units = {vertex: layout[i][0] for vertex, i in index.items()}
        return units, {edge: [layout[i][0] for i in bends] for edge, bends in passed.items()}

    def _slots(
        self, units: dict[Vertex, float], bends: dict[Edge, list[float]]
    ) -> dict[int, list[_Slot]]:
        slots: dict[int, list[_Slot]] = {}
        for (kind, name), unit in units.items():
            left = right = float(LANE)
            if kind == "box":
                left = self.children[name].axis
                right = self.children[name].width - left
            slots.setdefault(self.layers[kind, name], []).append(_Slot(unit, left, right))
        for edge, xs in bends.items():
            first = self.layers[self.ends[edge][0]] + 1
            for layer, unit in enumerate(xs, first):
                slots.setdefault(layer, []).append(_Slot(unit, LANE, LANE))
        return slots

    def _gaps(self, xs: dict[Vertex, float], lanes: dict[Edge, list[float]]) -> dict[int, float]:
        """The height of the gap below each layer: edges that go far sideways lie apart there."""
        farthest: dict[int, float] = {}
        for edge, (source, target) in self.ends.items():
            start, end = xs[source], xs[target]
            if source[0] == "box":
                child = self.children[source[1]]
                start += child.bottom(edge.value) - child.axis
            if target[0] == "box":
                child = self.children[target[1]]
                end += child.top(edge.value) - child.axis
            for layer, (a, b) in enumerate(
                itertools.pairwise([start, *lanes[edge], end]), self.layers[source]
            ):
                farthest[layer] = max(farthest.get(layer, 0.0), abs(b - a))
        return {n: round(min(max(GAP_Y, STEEP * far), TALLEST_GAP)) for n, far in farthest.items()}

    def _bands(self, gaps: dict[int, float]) -> tuple[dict[int, tuple[float, float]], float]:
        """Top and bottom of each layer, and the height of the box."""
        tallest = dict.fromkeys(sorted(set(self.layers.values())), 0.0)
        for (kind, name), layer in self.layers.items():
            if kind == "box":
                tallest[layer] = max(tallest[layer], self.children[name].height)
        tops = any(kind == "top" for kind, _ in self.vertices)
        headroom = PADDING if not self.box.key else HEADER + (GAP_Y if self.fans_out else 0)
        y = float(headroom - GAP_Y if tops else headroom)
        bands, gap = {}, 0.0
        for layer, extent in tallest.items():
            bands[layer] = (y, y + extent)
            gap = gaps.get(layer, GAP_Y)
            y += extent + gap
        ports_below = any(kind == "bottom" for kind, _ in self.vertices)
        return bands, y - gap + (0 if ports_below else PADDING)

    def _route(
        self, edge: Edge, placed: Placed, bands: dict[int, tuple[float, float]], lane: list[float]
    ) -> list[Point]:
        """Points between which the edge is alternately vertical and curved."""
        (above, source), (below, target) = self.ends[edge]
        if above == "box":
            child = self.children[source]
            x, layer = child.x + child.bottom(edge.value), self.layers[above, source]
            points = [(x, child.y + child.height), (x, bands[layer][1])]
        else:
            layer = self.layers[above, source]
            x = placed.tops[source]
            points = [(x, 0.0), (x, HEADER if self.fans_out else 0.0)]
        for number, x in enumerate(lane, layer + 1):
            points += [(x, bands[number][0]), (x, bands[number][1])]
        if below == "box":
            child = self.children[target]
            x = child.x + child.top(edge.value)
            return [*points, (x, bands[self.layers[below, target]][0]), (x, child.y)]
        x = placed.bottoms[target]
        return [*points, (x, placed.height), (x, placed.height)]


def _label(box: Box, ports: list[float], width: float) -> tuple[float, float]:
    """Where the title starts, beside the edges that enter, and the width missing on the left."""
    needed = 0.9 * CHARACTER * len(box.title) + LANE
    first, last = min(ports, default=width), max(ports, default=width)
    if first < needed <= width - last:
        return PADDING + last + LANE, 0.0
    return PADDING, max(0.0, needed - first)


def _scale(layers: Iterable[list[_Slot]]) -> float:
    """Pixels for a unit of igraph's, such that no neighbours in a layer come too close."""
    scale = float(GAP_X)
    for layer in layers:
        ordered = sorted(layer, key=lambda slot: slot.unit)
        for a, b in itertools.pairwise(ordered):
            scale = max(scale, (a.right + GAP_X + b.left) / max(b.unit - a.unit, 0.1))
    return scale


def _source(edge: Edge) -> Vertex:
    return ("top", edge.value) if edge.source is None else ("box", edge.source)


def _target(edge: Edge) -> Vertex:
    return ("bottom", edge.value) if edge.target is None else ("box", edge.target)


def _assign_layers(
    vertices: Sequence[Vertex], edges: Iterable[tuple[Vertex, Vertex]]
) -> dict[Vertex, int]:
    """The longest path from the top to each vertex; bottom ports all in the last layer.

    Blocks that feed each other form a cycle; there the vertices' own order decides.
    """
    graph: nx.DiGraph[Vertex] = nx.DiGraph()
    graph.add_nodes_from(vertices)
    graph.add_edges_from(edges)
    acyclic = nx.is_directed_acyclic_graph(graph)
    order = list(nx.topological_sort(graph)) if acyclic else list(vertices)
    first = int(any(kind == "top" for kind, _ in vertices))
    layers: dict[Vertex, int] = {}
    for vertex in order:
        above = [layers[v] + 1 for v in graph.predecessors(vertex) if v in layers]
        layers[vertex] = max(above, default=0 if vertex[0] == "top" else first)
    last = max(layers[vertex] for vertex in vertices if vertex[0] == "box") + 1
    return {v: last if v[0] == "bottom" else layer for v, layer in layers.items()}
