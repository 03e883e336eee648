"""A placed scene as an SVG file: the same graph gives the same bytes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

from cnndsl.analysis.cost import graph_cost
from cnndsl.diagnostics.units import exact, si
from cnndsl.drawing.elements import canvas, clean, element, encode, number, text
from cnndsl.drawing.layout import CHARACTER, PADDING, Placed, Point, lay_out, on_one_line
from cnndsl.drawing.scene import scene
from cnndsl.ir.graph import Graph

CAPTION = 44
"""Height of the caption above the drawing."""

FILLS = {
    "structure": "#cfd8dc",
    "convolution": "#90caf9",
    "transposed": "#81d4fa",
    "local": "#9fa8da",
    "dense": "#b39ddb",
    "pooling": "#a5d6a7",
    "normalisation": "#ffe082",
    "constant": "#ffecb3",
    "activation": "#ffab91",
    "join": "#f48fb1",
    "shape": "#bcaaa4",
    "training": "#e6ee9c",
    "closed": "#ffffff",
    "output": "#37474f",
    "auxiliary": "#78909c",
}
OTHER_FILL = "#eeeeee"
BLOCK_FILLS = ("#ffffff", "#f4f7fa", "#e9eef3")
"""Backgrounds of open blocks by level, repeating after the first."""


def svg(graph: Graph, depth: int | None = None) -> bytes:
    """The network as a picture; blocks deeper than `depth` levels are closed boxes."""
    root = lay_out(scene(graph, depth))
    cost = graph_cost(graph)
    caption = f"{exact(cost.params)} parameters, {si(cost.macs)} MACs"
    width = max(root.width, 7 * len(caption) + 2 * PADDING)
    height = root.height + CAPTION
    picture = canvas(width, height)
    _arrow(picture)
    text(picture, width / 2, 22, graph.name, size=16, weight="bold")
    text(picture, width / 2, 38, caption, size=11, fill="#607d8b")
    _box(picture, root, (width - root.width) / 2, CAPTION, level=0)
    return encode(picture)


def _arrow(picture: Element) -> None:
    marker = element(
        SubElement(picture, "defs"), "marker", id="arrow", viewBox="0 0 8 8", refX=7, refY=4,
        markerWidth=7, markerHeight=7, orient="auto",
    )  # fmt: skip
    element(marker, "path", d="M0.5 1 L7.5 4 L0.5 7 z", fill="#78909c")


def _box(parent: Element, placed: Placed, x: float, y: float, level: int) -> None:
    box = placed.box
    group = element(parent, "g", transform=f"translate({number(x)} {number(y)})")
    SubElement(group, "title").text = clean(box.tooltip)
    if not box.children:
        _closed(group, placed)
        return
    if level:
        fill = BLOCK_FILLS[level % len(BLOCK_FILLS)]
        _frame(group, placed, 10, fill=fill, stroke="#b0bec5")
    for points, arrow in placed.routes:
        _edge(group, points, arrow)
    for child in placed.children:
        _box(group, child, child.x, child.y, level + 1)
    if level:
        text(group, placed.label, 18, box.title, size=11, anchor="start", fill="#546e7a")


def _closed(group: Element, placed: Placed) -> None:
    """An operator, a closed block, or an end of the network."""
    box = placed.box
    ends = box.family in ("output", "auxiliary")
    fill = FILLS.get(box.family, OTHER_FILL)
    if box.family == "closed":
        _frame(group, placed, 6, fill=fill, stroke="#90a4ae", offset=3)
    radius = placed.height / 2 if ends or box.family == "structure" else 6
    _frame(group, placed, radius, fill=fill, stroke="#607d8b")
    middle, ink = placed.width / 2, "white" if ends else "#102027"
    pale = "#cfd8dc" if ends else "#37474f"
    if on_one_line(box):
        split = PADDING + CHARACTER * len(box.title)
        text(group, split, 17, box.title, size=12, anchor="end", weight="bold", fill=ink)
        text(group, split + CHARACTER, 17, box.subtitle, size=11, anchor="start", fill=pale)
    else:
        text(group, middle, 17, box.title, size=12, weight="bold", fill=ink)
        text(group, middle, 33, box.subtitle, size=11, fill=pale)


def _frame(group: Element, placed: Placed, radius: float, offset: float = 0, **paint: str) -> None:
    element(
        group, "rect", x=offset, y=offset, width=placed.width, height=placed.height, rx=radius,
        **paint,
    )  # fmt: skip


def _edge(group: Element, route: Sequence[Point], arrow: bool) -> None:
    """A line that is vertical beside boxes and curved between layers."""
    x, y = route[0]
    path = [f"M{number(x)} {number(y)}"]
    for step, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(route)):
        if step % 2 and x0 != x1:
            middle = number((y0 + y1) / 2)
            path.append(f"C{number(x0)} {middle} {number(x1)} {middle}")
            path.append(f"{number(x1)} {number(y1)}")
        elif (x0, y0) != (x1, y1):
            path.append(f"L{number(x1)} {number(y1)}")
    line = element(group, "path", d=" ".join(path), fill="none", stroke="#78909c")
    line.set("stroke-width", "1.3")
    if arrow:
        line.set("marker-end", "url(#arrow)")
