"""From a graph to a program: kernel launches in order, and where everything they use lies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from cnndsl.backends.cuda.kernel import Call, Kernel, kernel_text
from cnndsl.backends.cuda.kernels import choose
from cnndsl.backends.cuda.layout import Layout
from cnndsl.backends.cuda.machine import Machine
from cnndsl.backends.native.prepare import prepare
from cnndsl.backends.native.task import parts_of
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import AvgPool, Concat, GlobalAvgPool, Identity, SoftmaxSum, SqueezeExcite
from cnndsl.ir.part import Part
from cnndsl.memory import Options, Plan, Use, plan


@dataclass(frozen=True)
class Slot:
    """Memory that a kernel is given: bytes behind the start of a region.

    `region` is `arena`, or the name of an input or output of the prepared graph.
    """

    region: str
    offset: int


@dataclass(frozen=True)
class Step:
    """One launch: the node that it computes, its kernel, where result and operands lie.

    `symbol` names the kernel: equal for steps that the same code serves.
    """

    node: str
    call: Call[Any]
    kernel: Kernel
    symbol: str
    text: str
    output: Slot
    inputs: tuple[Slot, ...]


@dataclass(frozen=True)
class Program:
    """All launches of a network.

    `graph` is the prepared graph, whose inputs and outputs the caller's arrays stand for.
    `options` are what the memory `plan` was asked for.
    """

    graph: Graph
    options: Options
    plan: Plan
    steps: tuple[Step, ...]


def model_chooses(call: Call[Any]) -> None:
    """No variant is named: the first kernel for a call is taken."""


def lower(
    graph: Graph,
    batch: int,
    machine: Machine,
    variant_of: Callable[[Call[Any]], str | None] = model_chooses,
) -> Program:
    """The program of an inference graph; `variant_of` names the kernel for a call.

    Raises ValueError if a size is open, CnnError (E0711) for more positions than kernels count.
    """
    prepared = prepare(graph, takes)
    _require_countable(prepared, batch)
    lowering = _Lowering(prepared, batch, machine, variant_of)
    return Program(prepared, lowering.options, lowering.plan, tuple(lowering.steps()))


MOST_POSITIONS = 2**31 - 2**16
"""Kernels count those of all samples with 32 bits, up to a tile beyond the last."""


def _require_countable(graph: Graph, batch: int) -> None:
    for node in graph.nodes():
        sizes = (size for size in node.type.spatial if isinstance(size, int))
        positions = batch * math.prod(sizes)
        if positions > MOST_POSITIONS:
            raise CnnError.of(
                "E0711",
                f"{node.name} has {positions:,} positions in all samples, kernels of the target"
                f" cuda count {MOST_POSITIONS:,}",
                hint="use a smaller batch or input",
            )


def takes(node: Node) -> bool:
    """Whether one kernel computes a node: prologues those of average pools do, max pools none."""
    if node.pool or isinstance(node.op, SqueezeExcite):
        return False
    return not node.prologue or isinstance(node.op, AvgPool | GlobalAvgPool)


class _Lowering:
    """Where the tensors of a prepared graph lie, and the launches that compute them."""

    def __init__(
        self,
        graph: Graph,
        batch: int,
        machine: Machine,
        variant_of: Callable[[Call[Any]], str | None],
    ):
        self.graph = graph
        self.variant_of = variant_of
        self.machine = machine
        borders = {*graph.inputs, *graph.outputs.values()}
        dense = {
            node.name: Layout.border(node.type, batch)
            if node.name in borders
            else Layout.inner(node.type, batch, machine.precision)
            for node in graph.nodes()
        }
        self.options = Options(
            batch=batch,
            sample_bytes=lambda node: dense[node.name].sample_bytes,
            channel_block=machine.precision.block,
            interleaved=True,
            external=frozenset(borders),
        )
        self.plan = plan(graph, self.options)
        self.layouts = {name: self._placed(name, layout) for name, layout in dense.items()}

    def _placed(self, name: str, layout: Layout) -> Layout:
        """The distances of pixels and samples that follow from the plan.

        A plan knows a sample as [channels, positions]. Here channels lie innermost: bytes
        [low, high) of a sample are, at each position, those from low to high over the positions.
        """
        if name not in self.plan.places:
            return layout
        sample = self.plan.sample_stride(name) // layout.dtype.bytes
        return layout.placed(sample // layout.positions, sample)

    def _slot(self, name: str) -> Slot:
        if name not in self.plan.places:
            return Slot(name, 0)
        place = self.plan.places[name]
        return Slot("arena", place.buffer.offset + place.offset // self.layouts[name].positions)

    def steps(self) -> Iterator[Step]:
        """All launches, in order."""
        for name in self.plan.schedule:
            if name in self.graph.inputs or self.plan.use(name) is Use.VIEW:
                continue
            if isinstance(self.graph[name].op, Concat):
                yield from self._copies(name)
            else:
                operands = [x.name for x in self.graph.producers(self.graph[name])]
                yield self._step(name, operands, self.layouts[name], self._slot(name))

    def _copies(self, name: str) -> Iterator[Step]:
        """Copies of those operands of a concat that do not lie in their slices already.

        The last one also fills up the last vector with zeros.
        """
        node = self.graph[name]
        operands = self.graph.producers(node)
        starts = accumulate((x.type.channels for x in operands), initial=0)
        output, slot = self.layouts[name], self._slot(name)
        for index, (x, start) in enumerate(zip(operands, starts, strict=False)):
            if index in self.plan.places[name].operands:
                last = index == len(operands) - 1
                channels = output.padded - start if last else x.type.channels
                offset = slot.offset + start * output.dtype.bytes
                identity = Node(name, Part.of(Identity(), [x.type]))
                part = output.part(channels)
                yield self._step(name, [x.name], part, Slot(slot.region, offset), identity)

    def _step(
        self, name: str, operands: list[str], output: Layout, slot: Slot, node: Node | None = None
    ) -> Step:
        layouts = [self.layouts[operand] for operand in operands]
        call = make_call(node or self.graph[name], layouts, output, self.machine)
        kernel = choose(call, self.variant_of(call))
        symbol, text = kernel_text(call, kernel)
        return Step(name, call, kernel, symbol, text, slot, tuple(map(self._slot, operands)))


def make_call(node: Node, inputs: list[Layout], output: Layout, machine: Machine) -> Call[Any]:
    """A node as a task for a kernel: functions of single elements follow an identity."""
    prologue, core, epilogue = parts_of(node)
    channels = node.type.channels
    own = 0 if isinstance(core.op, Identity | SoftmaxSum) else len(core.inputs)
    operands = (*inputs[:own], *(x.repeated(channels, output.sizes) for x in inputs[own:]))
    return Call(core, prologue, epilogue, operands, output, machine)
