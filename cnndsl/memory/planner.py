"""From a graph to a plan: aliases, and one arena."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.sizes import example_sizes
from cnndsl.memory.alias import Aliases, Group, find_aliases
from cnndsl.memory.arena import Rectangle, Shape, arena_bytes, arrange, live_bytes
from cnndsl.memory.model import Buffer, Options, Place, Plan, Region, Use

DEFAULT = Options()


def plan(graph: Graph, options: Options = DEFAULT) -> Plan:
    """Where and when every tensor of the graph lives, if it runs in the order that it is written.

    Raises ValueError if a size is open.
    """
    aliases = find_aliases(graph, options)
    shapes = _shapes(aliases, options)
    offsets = arrange(shapes)
    buffers, places, regions = [], {}, []
    for group, shape in zip(aliases.groups(), shapes, strict=True):
        base = _base(aliases, group)
        buffer = Buffer(shape.name, offsets[shape.name], shape.size, shape.first, shape.last)
        buffers.append(buffer)
        for name in group.nodes:
            size, use = options.sample_bytes(graph[name]), aliases.uses.get(name, (Use.OWN, ()))
            places[name] = Place(buffer, aliases.offset[name] - base, size, *use)
        for extent in group.extents:
            low = aliases.low(extent) - base
            steps = extent.first, extent.last
            regions.append(Region(extent.node, buffer, low, extent.size, *steps, extent.over))
    return Plan(
        schedule=tuple(node.name for node in graph.nodes()),
        batch=options.batch,
        buffers=tuple(buffers),
        places=places,
        regions=tuple(regions),
        arena_bytes=arena_bytes(shapes, offsets),
        live_bytes=tuple(live_bytes(shapes)),
    )


def peak_bytes(graph: Graph, options: Options = DEFAULT) -> int:
    """The bytes needed at the fullest step, as in a plan, without arranging them.

    Raises ValueError if a size is open.
    """
    return max(live_bytes(_shapes(find_aliases(graph, options), options)), default=0)


def require_known_sizes(graph: Graph) -> None:
    """Raise CnnError (E0611) if the size of an input is open."""
    for name in graph.inputs:
        size = graph[name].type
        if size.is_open:
            raise CnnError.of(
                "E0611",
                f"no plan of the memory for the open size of {name}, {size}",
                hint=f"give the size, such as {example_sizes(graph)}",
            )


def _shapes(aliases: Aliases, options: Options) -> list[Shape]:
    """The shape of each group; its outline where the slices of samples or positions interleave."""
    return [_shape(aliases, group, options) for group in aliases.groups()]


def _shape(aliases: Aliases, group: Group, options: Options) -> Shape:
    base = _base(aliases, group)
    name = min(group.extents, key=lambda extent: extent.first).node
    parts = _joined(_rectangles(aliases, group, base))
    if options.batch == 1 and not options.interleaved:
        return Shape(name, tuple(parts))
    outline = Rectangle(
        0,
        options.batch * max(part.high for part in parts),
        min(part.first for part in parts),
        max(part.last for part in parts),
    )
    return Shape(name, (outline,))


def _rectangles(aliases: Aliases, group: Group, base: int) -> Iterator[Rectangle]:
    """The extents; while a node overwrites an operand, the bytes count as the operand's."""
    for extent in group.extents:
        low, first = aliases.low(extent) - base, extent.first + extent.over
        if first <= extent.last:
            yield Rectangle(low, low + extent.size, first, extent.last)


def _joined(parts: Iterable[Rectangle]) -> list[Rectangle]:
    """Rectangles of the same bytes that follow one another become one."""
    result: list[Rectangle] = []
    for part in sorted(parts, key=lambda r: (r.low, r.high, r.first)):
        if result and (result[-1].low, result[-1].high) == (part.low, part.high):
            before = result[-1]
            if part.first <= before.last + 1:
                result[-1] = Rectangle(part.low, part.high, before.first, part.last)
                continue
        result.append(part)
    return result


def _base(aliases: Aliases, group: Group) -> int:
    return min(map(aliases.low, group.extents))
