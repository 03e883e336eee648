"""What a kernel is: a call to be computed, packed weights, and the code that is written for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import (
    INDICES,
    Expr,
    floats,
    load,
    sizes_buffer,
    vector,
)
from cnndsl.backends.cpu.codegen.extents import Extent, Number, mapped, nominal
from cnndsl.backends.cpu.codegen.gather import gathered
from cnndsl.backends.cpu.codegen.layout import Layout, Place, Tensor, with_lanes_cleared
from cnndsl.backends.cpu.codegen.slabs import Slabs
from cnndsl.backends.cpu.codegen.steps import apply_step
from cnndsl.backends.cpu.codegen.tir import Code, Side, side
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.native.packing import FLOAT, FORMATS, Weight, as_weight
from cnndsl.backends.native.task import Task, parts_of
from cnndsl.ir.expressions import Expression
from cnndsl.ir.formula import keeps_finite
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Cast, Conv, Identity, Shuffle, Subsample
from cnndsl.ir.part import Op, Part
from cnndsl.ir.types import FLOAT32


@dataclass(frozen=True)
class Call(Task[Op, Layout]):
    """One node of the graph, on a CPU.

    With `in_place` the result may lie where an operand of a join lies. `variant` names the kernel
    to take; without a name it is that of the cost models.
    """

    machine: Machine
    in_place: bool = False
    variant: str = ""

    @classmethod
    def of(
        cls, node: Node, inputs: Sequence[Layout], output: Layout, machine: Machine
    ) -> Call[Any]:
        """A node as a call: functions of single elements follow an identity."""
        prologue, core, epilogue = parts_of(node)
        return Call(core, prologue, epilogue, tuple(inputs), output, machine)

    @classmethod
    def blocked(cls, node: Node, batch: int, machine: Machine) -> Call[Any]:
        """A node as long as all is blocked, without a halo; of its operands, the first."""
        types = node.parts[0].inputs[0], node.type
        x, output = (Layout.of(each, batch, machine.lanes) for each in types)
        return cls.of(node, (x,), output, machine)

    @property
    def is_shuffled(self) -> bool:
        """Whether the prologue is a shuffle, which reads several blocks for one."""
        return any(isinstance(part.op, Shuffle) for part in self.prologue)

    @property
    def depthwise(self) -> Conv | None:
        """The depthwise convolution that the prologue starts with, if there is one."""
        first = self.prologue[0].op if self.prologue else None
        return first if isinstance(first, Conv) else None

    @property
    def subsample(self) -> Subsample | None:
        """What thins out the operand, if the prologue starts with that."""
        first = self.prologue[0].op if self.prologue else None
        return first if isinstance(first, Subsample) else None

    @property
    def window(self) -> tuple[int, ...]:
        """Sizes of the windows of which the epilogue keeps the largest element."""
        return self.pool.kernel if self.pool else (1,) * len(self.output.spatial)

    @property
    def is_pooled(self) -> bool:
        """Whether such windows have more than one element."""
        return any(size > 1 for size in self.window)

    @property
    def spatial(self) -> tuple[Number, ...]:
        """Sizes of the core's result."""
        return tuple(n * k for n, k in zip(self.output.spatial, self.window, strict=True))

    @cached_property
    def nominal(self) -> Call[Op]:
        """The call of known sizes by which the kernel is chosen."""
        known: Call[Op] = mapped(self, Extent, nominal)
        return known

    @cached_property
    def is_open(self) -> bool:
        """Whether the code is given sizes when it is called."""
        return self.nominal is not self

    def key(self) -> str:
        """Equal for calls that the same code serves."""
        parts = [
            (label, part.op, sorted((role, e.shape) for role, e in part.params.items()))
            for label, part in self.labelled()
        ]
        return repr((parts, self.inputs, self.output, self.machine, self.in_place, self.variant))


@dataclass(frozen=True)
class Kernel:
    """A way to compute a call: the weights in the form that the code reads, and the code.

    `scratch` is the memory that it needs besides, while it runs, in floats; it holds numbers of the
    format `scratch_dtype`. `tables` are those of its arrays that follow from open sizes. `needs`
    are features of the CPU that other kernels do without, though the machine has them.
    """

    family: str
    weights: Mapping[str, Weight | Expression]
    write: Callable[[Body], None]
    scratch: Number = 0
    scratch_dtype: str = FLOAT32.name
    tables: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


ZERO = "zero"
"""The packed weight that holds the code for zero in the result."""


class Body:
    """The code of a kernel while it is written, and the buffers that it may use."""

    def __init__(self, call: Call[Any], kernel: Kernel, prefix: str = ""):
        self.call = call
        self.code = Code(prefix=prefix, rounds=call.machine.multiplies_bf16)
        self.weights = {
            name: _packed(name.replace(".", "_"), as_weight(weight))
            for name, weight in kernel.weights.items()
        }
        y = call.output
        zero = load(self.weights[ZERO], 0) if ZERO in self.weights else 0.0
        self.output = Tensor(floats("y", y.size, y.dtype), y, zero)
        self.inputs = [
            Tensor(floats(f"x{index}", layout.size, layout.dtype), layout)
            for index, layout in enumerate(call.inputs)
        ]
        self.weights |= {name: floats(name, 1) for name in kernel.tables}
        self.scratch = None
        if kernel.scratch != 0:
            numbers = kernel.scratch * (FLOAT // FORMATS[kernel.scratch_dtype].bytes)
            self.scratch = floats("scratch", numbers, kernel.scratch_dtype)
        self.sizes = sizes_buffer() if call.is_open else None

    def computing(self, call: Call[Any]) -> Body:
        """The same for a call that is put another way, with the same operands and parameters."""
        body = copy(self)
        body.call = call
        return body

    def function(self, name: str) -> Any:
        """The finished function of (y, inputs, weights, scratch, open sizes)."""
        buffers = [self.output.buffer, *(x.buffer for x in self.inputs), *self.weights.values()]
        if self.scratch is not None:
            buffers.append(self.scratch)
        if self.sizes is not None:
            buffers.append(self.sizes)
        return self.code.function(name, buffers, noalias=not self.call.in_place)

    def read(self, place: Place) -> Expr:
        """What the core reads from its first operand at a place: the prologue is applied.

        If the prologue is a shuffle, the place's block must be a number, or its lane given.
        """
        if self.call.is_shuffled:
            return self._shuffled(place)
        source = place
        if self.call.subsample:
            stride = self.call.subsample.stride
            position = [i * s for i, s in zip(place.position, stride, strict=True)]
            source = replace(place, position=tuple(position))
        load = self.repeated if isinstance(self.call.op, Cast | Identity) else Tensor.load
        return self.started(load(self.inputs[0], source), place)

    def repeated(self, x: Tensor, place: Place) -> Expr:
        """An operand of a join at a place of the core's result."""
        return x.repeated(place, self.call.output)

    def _shuffled(self, place: Place) -> Expr:
        (part,) = self.call.prologue
        assert isinstance(part.op, Shuffle)
        x, block, channels = self.inputs[0], self.call.x.block, self.call.x.channels
        source = part.op.source(part.inputs[0])[0]
        if place.lane is not None or block == 1:
            channel = place.block * block + (place.lane or 0)
            return x.channel(place.n, source.compute([channel], INDICES), place.position)
        sources = [(0, source.compute([c])) for c in range(channels)]
        return gathered([x], place, sources, x.zeros(block))

    def started(self, value: Expr, place: Place, begun: int = 0) -> Expr:
        """A value of the first operand after the prologue, of which `begun` steps are done."""
        return self._steps("prologue", self.call.prologue, self.call.x, value, place, begun)

    def finished(self, value: Expr, place: Place, begun: int = 0) -> Expr:
        """A value of the core after the epilogue, of which the first `begun` steps are done."""
        return self._steps("epilogue", self.call.epilogue, self.call.output, value, place, begun)

    def write(self, place: Place, value: Expr) -> None:
        """Apply the epilogue to a value of the core and store it."""
        self.output.store(self.code, place, self.finished(value, place))

    def _steps(
        self,
        label: str,
        steps: tuple[Part[Operator], ...],
        layout: Layout,
        value: Expr,
        place: Place,
        begun: int = 0,
    ) -> Expr:
        lanes = place.lanes(layout)
        others = iter(self.inputs[len(self.inputs) - self.call.joins :])

        def parameter(name: str) -> Expr:
            index = place.block * layout.block + (0 if place.lane is None else place.lane)
            if place.width > 1:
                return vector(load(self.weights[name], index), lanes)
            return load(self.weights[name], index, lanes)

        for index, part in enumerate(steps):
            other = self.repeated(next(others), place) if len(part.inputs) > 1 else None
            if index < begun:
                continue
            value = apply_step(part.op, value, lanes, f"{label}{index}", parameter, other)
            if part.op.formula and not keeps_finite(part.op.formula):
                value = with_lanes_cleared(value, place, layout)
        return value

    def vectors(self, inner: range | Side | None = None) -> Iterator[Place]:
        """Every place of the output, in parallel; its halo is cleared on the way.

        In a plain output vectors are of columns, of those in `inner`; all unless it is given.
        What follows is written once for each kind of place.
        """
        layout = self.output.layout
        with self.rows(layout) as (n, block, outer):
            self.clear_halo(n, block, outer)
            for column, width in self.pieces((layout.spatial or (1,))[-1], inner):
                position = (*outer, column) if layout.spatial else ()
                yield Place(n, block, position, width=width)

    def pieces(
        self, columns: Number, inner: range | Side | None = None
    ) -> Iterator[tuple[Expr, int]]:
        """The first and the number of the columns that are computed together, in loops.

        One, but in a plain output a vector of those in `inner`, all unless it is given.
        """
        lanes = self.call.machine.lanes if self.output.layout.block == 1 else 1
        inner = side(0, columns) if inner is None or lanes == 1 else inner
        start, count = (
            (inner.start, len(inner)) if isinstance(inner, range) else (inner.start, inner.count)
        )
        vectors = count // lanes
        end = start + vectors * lanes
        for first, count, width in (
            (0, start, 1),
            (start, vectors, lanes),
            *([(end, columns - end, 1)] if lanes > 1 or start != 0 else []),
        ):
            if count != 0:
                with self.code.loop(count) as index:
                    yield first + index * width, width

    @contextmanager
    def rows(self, layout: Layout) -> Iterator[tuple[Expr, Expr, list[Expr]]]:
        """Sample, channel block and all but the last index of every row, in parallel."""
        slabs = Slabs(layout, self.call.machine.cores)
        with (
            self.code.parallel(*slabs.tasks) as (n, slab, block),
            slabs.rows(self.code, slab) as row,
        ):
            yield n, block, row

    @contextmanager
    def scalars(self) -> Iterator[tuple[Place, Expr]]:
        """Every channel at every place of the output, and the number of the channel."""
        layout, code = self.output.layout, self.code
        columns = (layout.spatial or (1,))[-1]
        with self.rows(layout) as (n, block, outer):
            self.clear_halo(n, block, outer)
            with code.loop(columns) as column:
                place = Place(n, block, (*outer, column) if layout.spatial else ())
                if layout.channels % layout.block:
                    self.output.store(code, place, self.output.zeros(layout.block))
                with code.loop(layout.block) as lane:
                    channel = code.name(place.block * layout.block + lane)
                    inside = layout.channels % layout.block == 0 or channel < layout.channels
                    with code.when(inside):
                        yield replace(place, lane=lane), channel

    def clear_halo(self, n: Expr, block: Expr, outer: list[Expr]) -> None:
        """Clear the halo of a channel block if `outer` is its first row."""
        self.output.clear_halo_once(self.code, n, block, outer)


def _packed(name: str, weight: Weight) -> Any:
    """The buffer of a packed weight."""
    return floats(name, weight.bytes // weight.dtype.bytes, weight.dtype.name)
