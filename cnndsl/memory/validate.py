"""A proof that a plan works: the schedule is replayed on a model of the memory.

Apart from the rules of the operators it shares no code with the planner.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Flatten, Slice
from cnndsl.memory.arena import ALIGNMENT
from cnndsl.memory.contents import Memory, Piece, merged
from cnndsl.memory.model import Options, Plan, Region, Use
from cnndsl.memory.planner import DEFAULT
from cnndsl.memory.rules import last_lanes, overwritable

Span = tuple[int, int]


class PlanError(AssertionError):
    """A plan would destroy a value, or is not what it says."""


def validate(graph: Graph, plan: Plan, options: Options = DEFAULT) -> None:
    """Raise PlanError unless the plan computes what the graph says.

    Every operand must be whole when it is read, and every output at the end. No two regions may
    overlap while both are needed, a result may overlap an operand only where the operator can
    write over it, and what is called a view must be in place without a copy.
    """
    _check_schedule(graph, plan)
    _check_regions(plan)
    Replay(graph, plan, options).run()


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise PlanError(message)


def _check_schedule(graph: Graph, plan: Plan) -> None:
    step = {name: index for index, name in enumerate(plan.schedule)}
    _require(len(plan.schedule) == len(step) == len(graph), "the schedule has not every node once")
    for source, target in graph.nx.edges():
        _require(step[source] < step[target], f"{target} runs before its operand {source}")


def _check_regions(plan: Plan) -> None:
    """No two regions overlap while both are needed, but for a result and what it overwrites."""
    for buffer in plan.buffers:
        _require(buffer.offset % ALIGNMENT == 0, f"{buffer.name} is not aligned")
        end = buffer.offset + buffer.size
        _require(end <= plan.arena_bytes, f"{buffer.name} is outside of the arena")
    active: list[tuple[list[Span], Region]] = []
    for region in sorted(plan.regions, key=lambda region: region.first):
        active = [(taken, other) for taken, other in active if other.last >= region.first]
        over = plan.use(region.node) in (Use.OVER, Use.APPEND)
        spans = _region_spans(plan, region)
        for taken, other in active:
            fine = (over and other.last == region.first) or not any(_overlaps(spans, taken))
            _require(fine, f"{region.node} and {other.node} overlap while both are needed")
        active.append((spans, region))


def _region_spans(plan: Plan, region: Region) -> list[Span]:
    """The addresses of a region in each sample."""
    buffer = region.buffer
    starts = range(buffer.offset, buffer.offset + buffer.size, buffer.size // plan.batch)
    return [(start + region.offset, start + region.offset + region.size) for start in starts]


class Replay:
    """The state of a run: the memory, and what each result has to be made of."""

    def __init__(self, graph: Graph, plan: Plan, options: Options):
        self.graph = graph
        self.plan = plan
        self.options = options
        self.memory = Memory()
        self.contents: dict[tuple[str, int], list[Piece]] = {}

    def run(self) -> None:
        """All inputs, then step by step all other nodes, then the outputs."""
        for name in self.graph.inputs:
            if name not in self.options.external:
                self._compute(self.graph[name])
        for step, name in enumerate(self.plan.schedule):
            node = self.graph[name]
            operands = self.graph.producers(node)
            for operand in operands:
                self._check_whole(operand, f"when {name} reads it")
            if name in self.options.external:
                self._compute_outside(node)
                continue
            if not operands:
                continue
            buffer = self.plan.places[name].buffer
            _require(buffer.first <= step <= buffer.last, f"{name} is made in a dead buffer")
            match self.plan.use(name):
                case Use.VIEW | Use.FILL:
                    self._assemble(node, operands)
                case Use.APPEND:
                    self._append(node, operands)
                case Use.OWN | Use.OVER:
                    self._check_overlap(node, operands)
                    self._compute(node)
        auxiliaries = (auxiliary.node for auxiliary in self.graph.auxiliaries.values())
        for name in (*self.graph.outputs.values(), *auxiliaries):
            self._check_whole(self.graph[name], "at the end")

    def _spans(self, node: Node) -> list[Span]:
        """The addresses of each sample of a result."""
        if node.name in self.options.external:
            return []
        start, stride = self.plan.address(node.name), self.plan.sample_stride(node.name)
        size = self.options.sample_bytes(node)
        return [(start + n * stride, start + n * stride + size) for n in range(self.plan.batch)]

    def _compute(self, node: Node) -> None:
        for sample, (start, end) in enumerate(self._spans(node)):
            content = [Piece(start, end, node.name, sample, 0)]
            self.memory.write(content)
            self.contents[node.name, sample] = content

    def _compute_outside(self, node: Node) -> None:
        size = self.options.sample_bytes(node)
        for sample in range(self.plan.batch):
            self.contents[node.name, sample] = [Piece(0, size, node.name, sample, 0)]

    def _assemble(self, node: Node, operands: list[Node]) -> None:
        """A result made of bytes of the operands: those in place already, and the copies."""
        copies = self.plan.places[node.name].operands
        for sample, (start, end) in enumerate(self._spans(node)):
            pieces: list[Piece] = []
            low = start
            for index, operand in enumerate(operands):
                part = self._selected(node, operand, sample, low)
                _require(
                    index in copies or self._lies_alike(node, operand),
                    f"{node.name} has another layout than {operand.name}, which lies in its place",
                )
                if index in copies:
                    for other in operands:
                        span = part[0].start, part[-1].end
                        _require(
                            not any(_overlap(span, taken) for taken in self._spans(other)),
                            f"{node.name} copies over its operand {other.name}",
                        )
                    self.memory.write(part)
                pieces += part
                low = part[-1].end
            _require(low == end, f"{node.name} has {end - start} bytes, not {low - start}")
            self.contents[node.name, sample] = merged(pieces)
        self._check_whole(node, "as what it is made of")

    def _append(self, node: Node, operands: list[Node]) -> None:
        """A concat from the block on in which its first operand ends; the rest of that is there."""
        first, *others = operands
        _require(self._lies_alike(node, first), f"{node.name} has another layout than {first.name}")
        block = self.options.channel_block
        for sample, (start, end) in enumerate(self._spans(node)):
            kept = first.type.channels // block
            low = start + (end - start) // -(-node.type.channels // block) * kept
            old = self.contents[first.name, sample]
            _require(old[0].start == start, f"{node.name} does not begin with {first.name}")
            for other in others:
                _require(
                    not any(_overlap((low, end), taken) for taken in self._spans(other)),
                    f"{node.name} copies over its operand {other.name}",
                )
            own = Piece(low, end, node.name, sample, low - start)
            before = [piece.part(start, low) for piece in old if piece.start < low]
            alike = self._with_lanes_of(first, sample, low)
            self.memory.write([own])
            self.contents[node.name, sample] = [*before, own]
            for name, span in alike.items():
                self.contents[name, sample] = self.memory.read(*span)
        self._check_whole(node, "as what it is made of")

    def _with_lanes_of(self, first: Node, sample: int, low: int) -> dict[str, Span]:
        """The whole tensors that end where `first` does, with no more channels in that block.

        The block starts at `low`. What is put beside these channels leaves them as they are.
        """
        end = self._spans(first)[sample][1]
        buffer, lanes = self.plan.places[first.name].buffer, last_lanes(first, self.options)
        found = {}
        for name, place in self.plan.places.items():
            if place.buffer is not buffer or (name, sample) not in self.contents:
                continue
            span = self._spans(self.graph[name])[sample]
            fits = low < span[1] == end and last_lanes(self.graph[name], self.options) <= lanes
            if fits and self.memory.read(*span) == self.contents[name, sample]:
                found[name] = span
        return found

    def _lies_alike(self, node: Node, operand: Node) -> bool:
        return isinstance(node.op, Flatten) or self.options.alike(node, operand)

    def _selected(self, node: Node, operand: Node, sample: int, start: int) -> list[Piece]:
        """What a view or a concat takes of an operand, at the address where it has to be."""
        content = self.contents[operand.name, sample]
        low, high = content[0].start, content[-1].end
        if isinstance(node.op, Slice):
            size, channels = self.options.sample_bytes(node), operand.type.channels
            units, start_unit = channels, node.op.start
            if size * channels != (high - low) * node.type.channels:
                units = -(-channels // self.options.channel_block)
                start_unit = node.op.start // self.options.channel_block
            low += (high - low) // units * start_unit
            high = low + size
        parts = [piece.part(low, high) for piece in content if _overlap((low, high), piece.span)]
        return [part.moved(start - low) for part in parts]

    def _check_whole(self, node: Node, moment: str) -> None:
        for sample, (start, end) in enumerate(self._spans(node)):
            held = self.memory.read(start, end)
            _require(held == self.contents[node.name, sample], f"{node.name} is damaged {moment}")

    def _check_overlap(self, node: Node, operands: list[Node]) -> None:
        allowed = overwritable(self.graph, node, self.options)
        for index, operand in enumerate(operands):
            results, taken = self._spans(node), self._spans(operand)
            for sample, other in _overlaps(results, taken):
                same = sample == other and results[sample] == taken[other]
                _require(
                    same and index in allowed,
                    f"{node.name} writes over its operand {operand.name}",
                )


def _overlaps(spans: list[Span], others: list[Span]) -> Iterator[tuple[int, int]]:
    """Which of some spans overlap which of others, whose starts and whose ends ascend."""
    for index, (start, end) in enumerate(spans):
        first = bisect_right(others, start, key=itemgetter(1))
        last = bisect_left(others, end, key=itemgetter(0))
        yield from ((index, other) for other in range(first, last))


def _overlap(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1]
