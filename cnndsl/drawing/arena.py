"""The arena over time as an SVG file: steps to the right, addresses upwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, groupby
from xml.etree.ElementTree import Element, SubElement

from cnndsl.diagnostics.units import exact, si
from cnndsl.drawing.elements import canvas, clean, element, encode, number, text
from cnndsl.ir.graph import Graph
from cnndsl.memory import Plan, Region, Use

WIDTH, HEIGHT = 1160, 560
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 64, 74
CHARACTER = 5.6
"""Width of a letter of size 10, in pixels."""

COLOURS = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f",
    "#86bcb6", "#ff9da7",
)  # fmt: skip
PALE, NEEDED, BOUND = "#607d8b", "#263238", "#c62828"


@dataclass(frozen=True)
class Frame:
    """The plot: pixels of a step and of an address."""

    steps: int
    top: int

    def x(self, step: float) -> float:
        """Where a step begins."""
        return LEFT + step / max(self.steps, 1) * (WIDTH - LEFT - RIGHT)

    def y(self, address: float) -> float:
        """The height of an address."""
        return HEIGHT - BOTTOM - address / max(self.top, 1) * (HEIGHT - TOP - BOTTOM)


def arena_svg(graph: Graph, plan: Plan) -> bytes:
    """Every region as a rectangle in the colour of its block; hovering tells what it is.

    Paler ones are written over an operand, from the step after that on. For a batch over 1 the
    regions are drawn as if the samples of each buffer did not interleave.
    """
    frame = Frame(len(plan.schedule) + 1, max(plan.arena_bytes, 1))
    colours = block_colours(plan)
    picture = canvas(WIDTH, HEIGHT)
    _heading(picture, graph.name, plan)
    _legend(picture)
    _axis(picture, frame)
    for region in plan.regions:
        _region(picture, frame, graph, plan, region, colours[block_of(region.node)])
    _live(picture, frame, plan)
    _blocks(picture, frame, plan, colours)
    return encode(picture)


def block_of(name: str) -> str:
    """The outermost block that a node is in."""
    return name.partition(".")[0]


def block_colours(plan: Plan) -> dict[str, str]:
    """A colour for each outermost block; those of one node are grey."""
    blocks = [block_of(name) for name in plan.schedule]
    palette = cycle(COLOURS)
    colours = {}
    for block in dict.fromkeys(blocks):
        colours[block] = next(palette) if blocks.count(block) > 1 else "#b0bec5"
    return colours


def _heading(picture: Element, name: str, plan: Plan) -> None:
    text(picture, LEFT, 26, name, size=16, weight="bold", anchor="start")
    facts = (
        f"arena {si(plan.arena_bytes, 'B')}, lower bound {si(plan.lower_bound_bytes, 'B')}, "
        f"all tensors {si(plan.sum_bytes, 'B')}; in place {si(plan.in_place_bytes, 'B')}, "
        f"copies of concat {si(plan.concat_copy_bytes, 'B')}; batch {plan.batch}"
    )
    text(picture, LEFT, 45, facts, size=11, anchor="start", fill=PALE)


def _axis(picture: Element, frame: Frame) -> None:
    for address in _ticks(frame.top):
        y = frame.y(address)
        element(picture, "path", d=f"M{LEFT} {number(y)} H{WIDTH - RIGHT}", stroke="#eceff1")
        text(picture, LEFT - 8, y + 4, si(address, "B"), size=10, anchor="end", fill=PALE)


def _ticks(top: int) -> range:
    """Round numbers of bytes, at most ten."""
    step = 1
    for factor in cycle((2, 2.5, 2)):
        if top / step <= 10:
            break
        step = int(step * factor)
    return range(0, top + 1, step)


def _region(
    picture: Element, frame: Frame, graph: Graph, plan: Plan, region: Region, colour: str
) -> None:
    low = region.buffer.offset + plan.batch * region.offset
    start = region.first + region.over
    left, right = frame.x(start), frame.x(max(start, region.last + 1))
    upper, lower = frame.y(low + plan.batch * region.size), frame.y(low)
    group = element(picture, "g")
    SubElement(group, "title").text = clean("\n".join(_facts(graph, plan, region)))
    element(
        group, "rect", x=left, y=upper, width=right - left, height=lower - upper, fill=colour,
        fill_opacity="0.55" if region.over else "0.85", stroke="white",
        stroke_width="0.5",
    )  # fmt: skip
    label = region.node
    if len(label) * CHARACTER < right - left - 6 and lower - upper > 13:
        text(group, (left + right) / 2, (upper + lower) / 2 + 3.5, label, size=10)


def _facts(graph: Graph, plan: Plan, region: Region) -> Iterator[str]:
    node = graph[region.node]
    yield f"{node.name}: {node.op.name} {node.type}"
    last = plan.schedule[region.last] if region.last < len(plan.schedule) else "the end"
    yield f"{exact(plan.batch * region.size)} B, steps {region.first} to {region.last} ({last})"
    yield f"address {exact(plan.address(node.name))}, buffer {region.buffer.name}"
    place = plan.places[node.name]
    if place.use is Use.OVER:
        yield f"written over {graph.producers(node)[place.operands[0]].name}"
    if place.copies:
        yield "copied"


def _live(picture: Element, frame: Frame, plan: Plan) -> None:
    """The line of needed bytes, and the lower bound."""
    path = "".join(
        f"V{number(frame.y(size))} H{number(frame.x(step + 1))} "
        for step, size in enumerate(plan.live_bytes)
    )
    start = f"M{number(frame.x(0))} {number(frame.y(0))} "
    element(picture, "path", d=start + path, fill="none", stroke=NEEDED, stroke_width="1.2")
    y = number(frame.y(plan.lower_bound_bytes))
    _dashes(picture, f"M{LEFT} {y} H{WIDTH - RIGHT}")


def _legend(picture: Element) -> None:
    x, y = WIDTH - RIGHT - 170, 41
    element(picture, "path", d=f"M{x} {y} h18", stroke=NEEDED, stroke_width="1.2")
    text(picture, x + 23, y + 4, "needed", size=10, anchor="start", fill=PALE)
    _dashes(picture, f"M{x + 78} {y} h18")
    text(picture, x + 101, y + 4, "lower bound", size=10, anchor="start", fill=PALE)


def _dashes(picture: Element, path: str) -> None:
    element(picture, "path", d=path, stroke=BOUND, stroke_width="1", stroke_dasharray="5 4")


def _blocks(picture: Element, frame: Frame, plan: Plan, colours: dict[str, str]) -> None:
    """A strip under the plot that names the blocks of the steps."""
    y = HEIGHT - BOTTOM + 10
    step = 0
    for block, run in groupby(map(block_of, plan.schedule)):
        end = step + len(list(run))
        left, right = frame.x(step), frame.x(end)
        strip = element(picture, "g")
        SubElement(strip, "title").text = clean(f"{block}: steps {step} to {end - 1}")
        element(strip, "rect", x=left, y=y, width=right - left, height=16, fill=colours[block])
        if len(block) * CHARACTER < right - left - 4:
            text(strip, (left + right) / 2, y + 12, block, size=10)
        step = end
    middle = (LEFT + WIDTH - RIGHT) / 2
    text(picture, middle, HEIGHT - 18, f"{len(plan.schedule)} steps", size=11, fill=PALE)
