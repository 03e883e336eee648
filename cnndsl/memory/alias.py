"""Which tensors share bytes: views, concat written in place, elementwise operators in place.

Tensors that share bytes form a group, in which each has a fixed offset. What a node writes into
its group is an extent: its whole result, or the slices that a concat has to copy. Two steps keep
this simple. First views and concats bring extents into one group side by side, so that nothing
can be destroyed. Then, with all lifetimes known, elementwise operators put their extent upon that
of an operand that is not needed any more.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from operator import attrgetter

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Concat
from cnndsl.memory.model import Options, Use
from cnndsl.memory.rules import (
    channel_offset,
    last_block,
    last_lanes,
    overwritable,
    view_offset,
)


@dataclass(eq=False)
class Extent:
    """Bytes that `node` writes, from `low` in its result, needed from step `first` to `last`.

    `over` tells that it writes over bytes that it reads last. `replaced` is the step at which a
    concat writes over them, though tensors that it does not use any more hold them.
    """

    node: str
    low: int
    size: int
    first: int
    last: int
    over: bool = False
    replaced: int | None = None


@dataclass(eq=False)
class Group:
    """Tensors with fixed offsets from one another; extents in the order of their last steps."""

    nodes: list[str]
    extents: list[Extent]


@dataclass
class Aliases:
    """The group of each node, its offset there, and how it gets there, as in `Place`."""

    group: dict[str, Group] = field(default_factory=dict)
    offset: dict[str, int] = field(default_factory=dict)
    uses: dict[str, tuple[Use, tuple[int, ...]]] = field(default_factory=dict)

    def groups(self) -> list[Group]:
        """Each group once."""
        return list({id(group): group for group in self.group.values()}.values())

    def low(self, extent: Extent) -> int:
        """Where an extent starts in its group."""
        return self.offset[extent.node] + extent.low

    def unite(self, moved: Group, group: Group, shift: int) -> None:
        """Make one group of two, the offsets of the first being moved."""
        if len(moved.nodes) > len(group.nodes):
            moved, group, shift = group, moved, -shift
        for name in moved.nodes:
            self.group[name] = group
            self.offset[name] += shift
        group.nodes += moved.nodes
        group.extents = sorted(group.extents + moved.extents, key=attrgetter("last"))

    def meet(self, a: Extent, b: Extent, shift: int) -> bool:
        """Whether two extents share an address once the first is moved."""
        start, other = self.low(a) + shift, self.low(b)
        return _holds(start, a.size, other, other + b.size)


def find_aliases(graph: Graph, options: Options) -> Aliases:
    """All sharing that the options allow, for the order in which the nodes are written."""
    aliases = Aliases()
    last = last_uses(graph)
    for step, node in enumerate(graph.nodes()):
        if node.name not in options.external:
            _add(aliases, graph, node, step, options)
            _append(aliases, graph, node, step, last, options)
    _set_lifetimes(aliases, graph, last, options)
    for step, node in enumerate(graph.nodes()):
        _overwrite(aliases, graph, node, step, options)
    return aliases


def last_uses(graph: Graph) -> dict[str, int]:
    """The step that reads each node's result last; the number of steps for outputs."""
    step_of = {node.name: step for step, node in enumerate(graph.nodes())}
    last = {
        name: max((step_of[reader] for reader in graph.nx.successors(name)), default=step)
        for name, step in step_of.items()
    }
    kept = [*graph.outputs.values(), *(aux.node for aux in graph.auxiliaries.values())]
    return last | dict.fromkeys(kept, len(last))


def _add(aliases: Aliases, graph: Graph, node: Node, step: int, options: Options) -> None:
    """Put a node into the group of the operand that it is a view of, or into one of its own."""
    name, first = node.name, step if graph.nx.in_degree(node.name) else 0
    offset = view_offset(graph, node, options)
    if offset is not None:
        operand = graph.producers(node)[0].name
        if operand in aliases.group:
            aliases.group[name] = aliases.group[operand]
            aliases.group[name].nodes.append(name)
            aliases.offset[name] = aliases.offset[operand] + offset
            aliases.uses[name] = (Use.VIEW, ())
            return
    whole = Extent(name, 0, options.sample_bytes(node), first, first)
    aliases.group[name] = Group([name], [whole])
    aliases.offset[name] = 0
    if isinstance(node.op, Concat):
        _join(aliases, graph, node, whole, options)


def _join(aliases: Aliases, graph: Graph, node: Node, whole: Extent, options: Options) -> None:
    """Let the operands of a concat lie in its slices, as far as they are free to."""
    operands = graph.producers(node)
    starts = list(accumulate((x.type.channels for x in operands), initial=0))
    lows = [channel_offset(x, node, c, options) for x, c in zip(operands, starts, strict=False)]
    in_slices = [low for low in lows if low is not None]
    aliases.uses[node.name] = (Use.OWN, tuple(range(len(operands))))
    if not options.in_place_concat or len(in_slices) < len(operands):
        return
    names = [x.name for x in operands]
    slices = [
        Extent(node.name, low, options.sample_bytes(x), whole.first, whole.last)
        for low, x in zip(in_slices, operands, strict=True)
    ]
    aliases.group[node.name].extents = list(slices)
    for index, name in enumerate(names):
        if name in aliases.group and aliases.group[name] is not aliases.group[node.name]:
            _adopt(aliases, names, slices, index)
    left = aliases.group[node.name].extents
    copied = tuple(i for i, part in enumerate(slices) if part in left)
    if len(copied) < len(operands):
        aliases.uses[node.name] = (Use.FILL if copied else Use.VIEW, copied)


def _adopt(aliases: Aliases, operands: Sequence[str], slices: Sequence[Extent], index: int) -> None:
    """Unite a concat with an operand's group if everything else there leaves its slices free.

    Slices whose operand then lies where it should are not written any more.
    """
    group = aliases.group[operands[index]]
    concat = aliases.group[slices[0].node]
    shift = aliases.offset[operands[index]] - aliases.low(slices[index])
    done = [
        part
        for name, part in zip(operands, slices, strict=True)
        if aliases.group.get(name) is group and aliases.offset[name] == aliases.low(part) + shift
    ]
    rest = [extent for extent in concat.extents if extent not in done]
    if not any(aliases.meet(a, b, shift) for a in rest for b in group.extents):
        concat.extents = rest
        aliases.unite(concat, group, shift)


def _append(
    aliases: Aliases, graph: Graph, node: Node, step: int, last: Mapping[str, int], options: Options
) -> None:
    """Let a concat that copies all its operands begin where the first one lies.

    That one may end inside a block of channels, whose other lanes the concat fills: nothing that
    has channels in these may be needed later.
    """
    name, operands = node.name, graph.producers(node)
    if aliases.uses.get(name) != (Use.OWN, tuple(range(len(operands)))):
        return
    first, *others = operands
    group, shared = aliases.group.get(first.name), last_block(first, node, options)
    if group is None or shared is None:
        return
    size, start = options.sample_bytes(node), aliases.offset[first.name]
    low, high, end = (start + place for place in (*shared, size))
    later = [x for x in _holders(aliases, graph, group, low, high, options) if last[x] > step]
    lanes = last_lanes(first, options)
    if (
        any(_end(aliases, graph[x], options) > (high, lanes) for x in later)
        or any(_holds(aliases.low(x), x.size, high, end) for x in group.extents)
        or {x.name for x in others} & set(_holders(aliases, graph, group, low, end, options))
    ):
        return
    kept = [part for extent in group.extents for part in _cut(aliases, extent, low, high, step)]
    own = [
        Extent(name, shared[0], high - low, step, step, over=True),
        Extent(name, shared[1], end - high, step, step),
    ]
    group.extents = [*kept, *(extent for extent in own if extent.size)]
    group.nodes.append(name)
    aliases.group[name], aliases.offset[name] = group, start
    aliases.uses[name] = (Use.APPEND, tuple(range(1, len(operands))))


def _cut(aliases: Aliases, extent: Extent, low: int, high: int, step: int) -> list[Extent]:
    """An extent, or its parts before, in and behind some bytes that a step replaces."""
    at = aliases.low(extent)
    if extent.replaced is not None or not _holds(at, extent.size, low, high):
        return [extent]
    ends = (0, max(low - at, 0), min(high - at, extent.size), extent.size)
    parts = [
        replace(extent, low=extent.low + start, size=stop - start, replaced=replaced)
        for (start, stop), replaced in zip(pairwise(ends), (None, step, None), strict=True)
    ]
    return [part for part in parts if part.size]


def _holds(at: int, size: int, low: int, high: int) -> bool:
    """Whether bytes from a place on are some of those between two others."""
    return low < high and at < high and low < at + size


def _end(aliases: Aliases, node: Node, options: Options) -> tuple[int, int]:
    """Where a tensor ends in its group, and in how many lanes of its last block it is."""
    end = aliases.offset[node.name] + options.sample_bytes(node)
    return end, last_lanes(node, options)


def _holders(
    aliases: Aliases, graph: Graph, group: Group, low: int, high: int, options: Options
) -> list[str]:
    """The tensors of a group that hold some of the bytes between two places."""
    return [
        name
        for name in group.nodes
        if _holds(aliases.offset[name], options.sample_bytes(graph[name]), low, high)
    ]


def _set_lifetimes(
    aliases: Aliases, graph: Graph, last: Mapping[str, int], options: Options
) -> None:
    """Extents last as long as any tensor that holds a byte of theirs, unless they are replaced."""
    for group in aliases.groups():
        for extent in group.extents:
            low = aliases.low(extent)
            holders = _holders(aliases, graph, group, low, low + extent.size, options)
            extent.last = max(last[name] for name in holders)
            if extent.replaced is not None:
                extent.last = extent.replaced
        group.extents.sort(key=attrgetter("last"))


def _overwrite(aliases: Aliases, graph: Graph, node: Node, step: int, options: Options) -> None:
    """Let an elementwise operator write over the first operand that allows it."""
    if node.name not in aliases.group:
        return
    operands = graph.producers(node)
    candidates = overwritable(graph, node, options)
    for index in candidates:
        target = operands[index].name
        others = [x for i, x in enumerate(operands) if x.name != target or i not in candidates]
        if target in aliases.group and _is_free(aliases, node, target, others, step, options):
            shift = aliases.offset[target] - aliases.offset[node.name]
            aliases.unite(aliases.group[node.name], aliases.group[target], shift)
            aliases.uses[node.name] = (Use.OVER, (index,))
            for extent in aliases.group[node.name].extents:
                extent.over = extent.over or extent.node == node.name
            return


def _is_free(
    aliases: Aliases, node: Node, target: str, others: Sequence[Node], step: int, options: Options
) -> bool:
    """Whether a node's group can be united with that of `target` so that both lie in one place.

    Extents that meet must not be needed at one time, but for those that the node reads last.
    None of the node's other operands may lie partly in its way.
    """
    moved, group = aliases.group[node.name], aliases.group[target]
    if moved is group:
        return False
    start, size = aliases.offset[target], options.sample_bytes(node)
    for other in others:
        if aliases.group.get(other.name) is group:
            low = aliases.offset[other.name]
            if _holds(low, options.sample_bytes(other), start, start + size):
                return False
    shift = start - aliases.offset[node.name]
    earliest = min(extent.first for extent in moved.extents)
    rivals = group.extents[bisect_left(group.extents, earliest, key=attrgetter("last")) :]
    return not any(
        aliases.meet(a, b, shift)
        and a.first <= b.last
        and b.first <= a.last
        and not (a.node == node.name and b.last == step)
        for a in moved.extents
        for b in rivals
    )
