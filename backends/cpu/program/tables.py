"""What a program tells of itself in the artefact: its steps, and where its tensors lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnndsl.backends.native.packing import FLOAT, INT8, INT16, Weight, packed_size
from cnndsl.ir.quantisation import from_bfloat16
from cnndsl.ir.text import operator_text
from cnndsl.ir.types import BFLOAT16, DTYPES, FLOAT32, UINT8
from cnndsl.runtime.layers import Layer
from cnndsl.runtime.module import Array

if TYPE_CHECKING:
    from cnndsl.backends.cpu.codegen.layout import Layout
    from cnndsl.backends.cpu.kernels.kernel import Call, Kernel
    from cnndsl.backends.cpu.program.lower import Program
    from cnndsl.ir.graph import Graph, Node
    from cnndsl.memory import Plan


@dataclass(frozen=True)
class Stored:
    """Where a node's result lies once the first `after` steps have run.

    It is [batch, blocks, *spatial, block] numbers of a `dtype` from `offset` on, `strides` numbers
    apart; of the blocks only the first `channels` channels count. `region` is the number of the
    block of memory: 0 is the arena, 1 the weights, then come inputs and outputs.
    """

    node: str
    after: int
    offset: int
    channels: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    region: int = 0
    dtype: str = FLOAT32.name

    def require(self, regions: Sequence[int], steps: int) -> None:
        """Raise ValueError unless it lies inside a region of so many floats, after a known step."""
        spans = zip(self.shape, self.strides, strict=True)
        end = self.offset + 1 + sum((size - 1) * stride for size, stride in spans)
        channels = self.shape[1] * self.shape[-1]
        known = 0 <= self.after <= steps and 0 < self.channels <= channels
        if self.dtype not in (FLOAT32.name, BFLOAT16.name, UINT8.name):
            raise ValueError(f"{self.node} has numbers of an unknown format")
        size = DTYPES[self.dtype].bytes
        fits = 0 <= self.region < len(regions) and end * size <= regions[self.region] * FLOAT
        if min(*self.shape, *self.strides, self.offset + 1) < 1 or not fits or not known:
            raise ValueError(f"{self.node} lies where there is nothing")

    def read(self, regions: Sequence[Array]) -> Array:
        """A copy of the result as [batch, channels, *spatial]; bfloat16 becomes float32."""
        size, is_short = DTYPES[self.dtype].bytes, self.dtype == BFLOAT16.name
        strides = [stride * size for stride in self.strides]
        memory, start = regions[self.region].data, self.offset * size
        stored: Array = np.ndarray(
            self.shape, np.uint16 if is_short else self.dtype, memory, start, strides
        )
        stored = from_bfloat16(stored) if is_short else stored
        batch, blocks, *spatial, block = self.shape
        channels = np.moveaxis(stored, -1, 2).reshape(batch, blocks * block, *spatial)
        return channels[:, : self.channels].copy()


def describe(program: Program, symbols: Sequence[str]) -> dict[str, Any]:
    """The arena's bytes, the steps, their symbols and the tensors as values of JSON."""
    layers = [
        layer_of(
            program.graph[step.node],
            step.call,
            step.kernel.family,
            program.layouts[step.node],
            sum(map(packed_size, step.kernel.weights.values())),
            _multiplied(step.kernel),
        )
        for step in program.steps
    ]
    names = [step.node for step in program.steps]
    return {
        "symbols": list(symbols),
        "arena": program.arena * FLOAT,
        "layers": [asdict(layer) for layer in layers],
        "tensors": [
            asdict(tensor)
            for tensor in tensors_of(program.graph, names, program.plan, program.layouts)
        ],
    }


def read_tensors(program: Mapping[str, Any]) -> tuple[Stored, ...]:
    """The tensors in the order in which they are made. Raises KeyError or TypeError."""
    return tuple(
        Stored(**{**row, "shape": tuple(row["shape"]), "strides": tuple(row["strides"])})
        for row in program["tensors"]
    )


def layer_of(
    node: Node,
    call: Call[Any],
    family: str,
    layout: Layout,
    weights: int,
    multiplied: str = FLOAT32.name,
) -> Layer:
    """The step of a node whose result lies like that, and whose kernel has so many weights.

    `multiplied` is the format of its products.
    """
    return Layer(
        node.name,
        operator_text(node),
        family,
        _shape(layout),
        node.macs * call.output.batch,
        sum(map(_bytes, call.inputs)) + weights * FLOAT,
        _bytes(call.output),
        multiplied,
    )


def _multiplied(kernel: Kernel) -> str:
    """The format in which a kernel multiplies, by that of its weights.

    Winograd's transformed weights have 16 bits where codes are multiplied.
    """
    weight = kernel.weights.get("weight")
    dtype = weight.dtype if isinstance(weight, Weight) else FLOAT32
    return INT8.name if dtype == INT16 else dtype.name


def tensors_of(
    graph: Graph, steps: Sequence[str], plan: Plan, layouts: Mapping[str, Layout]
) -> list[Stored]:
    """Where the results lie that some steps make, and those that are views of these."""
    run, done, found = set(steps), 0, []
    ports = [*graph.inputs, *graph.outputs.values()]
    for name in plan.schedule:
        done += name in run
        if name in plan.places or name in run:
            found.append(_stored(name, done, plan, layouts[name], ports))
    return found


def _stored(name: str, after: int, plan: Plan, layout: Layout, ports: Sequence[str]) -> Stored:
    region, start = 0, 0
    if name in plan.places:
        start = plan.address(name) // layout.bytes
    else:
        region = 2 + ports.index(name)
    offset = start + layout.origin
    shape = (layout.batch, layout.blocks, *layout.spatial, layout.block)
    strides = (layout.batch_stride, layout.plane, *layout.strides, 1)
    return Stored(name, after, offset, layout.channels, shape, strides, region, layout.dtype)


def _shape(layout: Layout) -> tuple[int, ...]:
    return (layout.batch, layout.channels, *layout.spatial)


def _bytes(layout: Layout) -> int:
    return math.prod(_shape(layout)) * layout.bytes
