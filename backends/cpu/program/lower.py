"""From a graph to a program: kernel calls in order, and where everything they use lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cnndsl.backends.cpu.codegen.extents import (
    Extent,
    Opening,
    SizeNeededError,
    mapped,
    nominal,
    with_own_axes,
)
from cnndsl.backends.cpu.codegen.layout import Layout
from cnndsl.backends.cpu.kernels import choose, family_of, has_variants
from cnndsl.backends.cpu.kernels.codes.words import WORD
from cnndsl.backends.cpu.kernels.direct.few import gives_plain
from cnndsl.backends.cpu.kernels.kernel import Call, Kernel
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.cpu.program.assignment import assign_layouts
from cnndsl.backends.cpu.program.codes import on_bytes
from cnndsl.backends.native.backend import require_room_for
from cnndsl.backends.native.packing import ALIGNMENT, FLOAT
from cnndsl.backends.native.prepare import prepare
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Concat, SqueezeExcite
from cnndsl.ir.types import FLOAT32
from cnndsl.memory import Options, Plan, Use, plan

SOME = Machine("", "scalar", (), 1)
"""A machine for calls that no kernel is chosen for."""


@dataclass(frozen=True)
class Slot:
    """Memory that a kernel is given, so many bytes behind the start of a region.

    `region` is `arena`, or the name of an input or output of the prepared graph.
    """

    region: str
    offset: int


@dataclass(frozen=True)
class Step:
    """One kernel call: the node that it computes, where the result and the operands lie."""

    node: str
    call: Call[Any]
    kernel: Kernel
    output: Slot
    inputs: tuple[Slot, ...]
    sizes: tuple[int, ...] = ()
    """The open dimensions that the call has, by their numbers."""


@dataclass(frozen=True)
class Program:
    """All calls of a network, and the floats that the arena needs, scratch included.

    `graph` is the prepared graph, whose inputs and outputs the caller's arrays stand for.
    `options` are what the memory `plan` was asked for. `scratch` is where scratch memory starts
    in the arena. `dims` are open dimensions, of which steps have some; all else then holds for the
    nominal sizes.
    """

    graph: Graph
    layouts: Mapping[str, Layout]
    options: Options
    plan: Plan
    steps: tuple[Step, ...]
    arena: int
    scratch: int
    dims: tuple[OpenDim, ...] = ()


def models_choose(call: Call[Any]) -> str:
    """No variant is named: the cost models choose."""
    return ""


MOST = 2**31 - 1
"""Numbers of a sample, at open sizes of the whole tensor: indices have 32 bits."""


def require_addressable(sizes: Iterable[int]) -> None:
    """Raises CnnError E0604 for a tensor of more numbers than kernels can address."""
    largest = max(sizes, default=0)
    if largest > MOST:
        message = f"a tensor of {largest:,} numbers is more than kernels can address"
        raise CnnError.of("E0604", message, hint="give a smaller input")


def lower(
    graph: Graph,
    batch: int,
    machine: Machine,
    variant_of: Callable[[Call[Any]], str] = models_choose,
    nominal_sizes: Mapping[str, int] | None = None,
) -> Program:
    """The program of an inference graph; `variant_of` names the kernel for a call.

    Of a graph of open sizes it has kernels for all of them, chosen by the nominal ones. Raises
    ValueError if a size is open without these, SizeNeededError if there are no such kernels, as in
    other formats than float32, CnnError if a sample of a tensor is too large.
    """
    opening = Opening(nominal_sizes or {})
    if nominal_sizes and any(node.type.dtype != FLOAT32 for node in graph.nodes()):
        raise SizeNeededError
    on_floats, zeros = on_bytes(graph, fuses=machine.lanes % WORD == 0)
    prepared = prepare(on_floats, lambda node: takes(opening(node), batch, machine))
    layouts = assign_layouts(_opened(prepared, opening), batch, machine, zeros)
    _drop_copies(prepared, layouts)
    opened = _opened(prepared, opening)
    known = {name: mapped(layout, Extent, nominal) for name, layout in layouts.items()}
    options, memory = memory_plan(prepared, known, batch, machine.lanes)
    require_addressable([layout.batch_stride for layout in known.values()])
    placed = _placed(prepared, layouts, memory)
    steps = [
        _step(opened, opened[name], placed, memory, machine, variant_of)
        for name in run_steps(prepared, memory)
    ]
    planned = planned_floats(memory)
    scratch = max((nominal(step.kernel.scratch) for step in steps), default=0)
    dims, size = tuple(opening.dims), planned + scratch
    return Program(prepared, placed, options, memory, tuple(steps), size, planned, dims)


def _opened(graph: Graph, opening: Opening) -> Graph:
    """A graph with extents in place of open dimensions."""
    if not opening.sizes:
        return graph
    opened = graph.copy()
    for node in graph.nodes():
        opened.nx.nodes[node.name]["node"] = opening(node)
    return opened


def run_steps(graph: Graph, memory: Plan) -> list[str]:
    """The nodes that a kernel computes, in order."""
    return [
        name
        for name in memory.schedule
        if name not in graph.inputs and memory.use(name) is not Use.VIEW
    ]


def planned_floats(memory: Plan) -> int:
    """Where scratch memory starts in the arena."""
    return -(-memory.arena_bytes // ALIGNMENT) * ALIGNMENT // FLOAT


def _drop_copies(graph: Graph, layouts: Mapping[str, Layout]) -> None:
    """Let kernels use the caller's arrays where a copy of them would lie in the same way."""
    for x in [graph[name] for name in graph.inputs]:
        for copied, _ in graph.consumers(x):
            if layouts[copied.name] == layouts[x.name]:
                graph.bypass(copied, x)
    for copied in [graph[name] for name in graph.outputs.values()]:
        (result,) = graph.producers(copied)
        is_own = result.name in {*graph.inputs, *graph.outputs.values()}
        if not is_own and layouts[result.name] == layouts[copied.name]:
            graph.bypass(copied, result)


def takes(node: Node, batch: int, machine: Machine) -> bool:
    """Whether the kernels that are best for a node's core compute what is fused with it too."""
    is_open = any(isinstance(size, Extent) for size in node.type.shape)
    if not has_variants(node):
        return not node.pool and not (is_open and isinstance(node.op, SqueezeExcite))
    core = replace(node, prologue=(), epilogue=())
    if node.prologue and gives_plain(core, machine):
        return False
    whole, best = (family_of(Call.blocked(each, batch, machine)) for each in (node, core))
    return whole is not None and whole is best


def memory_plan(
    graph: Graph, layouts: Mapping[str, Layout], batch: int, lanes: int
) -> tuple[Options, Plan]:
    """The memory plan, and what was asked for.

    Raises CnnError (E0711) if a tensor with the zeros around it is larger than any memory.
    """
    for name, layout in layouts.items():
        require_room_for(name, batch * _sample_bytes(layout))
    options = Options(
        batch=batch,
        sample_bytes=lambda node: _sample_bytes(layouts[node.name]),
        layout=lambda node: _kind(layouts[node.name]),
        channel_block=lanes,
        external=frozenset({*graph.inputs, *graph.outputs.values()}),
    )
    return options, plan(graph, options)


def _sample_bytes(layout: Layout) -> int:
    return int(layout.batch_stride * layout.bytes)


def _kind(layout: Layout) -> tuple[object, ...]:
    """What tensors have in common that lie in the same way."""
    return layout.block, layout.halo, layout.dtype


def _placed(graph: Graph, layouts: Mapping[str, Layout], memory: Plan) -> dict[str, Layout]:
    """The layouts with the distances of samples that follow from the plan."""
    placed = dict(layouts)
    if memory.batch > 1:
        for name in memory.places:
            stride = memory.sample_stride(name) // placed[name].bytes
            placed[name] = replace(placed[name], batch_stride=stride)
    return placed


def _step(
    graph: Graph,
    node: Node,
    layouts: Mapping[str, Layout],
    memory: Plan,
    machine: Machine,
    variant_of: Callable[[Call[Any]], str],
) -> Step:
    call, output, inputs = located(graph, node, layouts, memory, machine)
    call, sizes = with_own_axes(call)
    if has_variants(call):
        call = replace(call, variant=variant_of(call))
    return Step(node.name, call, choose(call), output, tuple(inputs), sizes)


def located(
    graph: Graph,
    node: Node,
    layouts: Mapping[str, Layout],
    memory: Plan,
    machine: Machine = SOME,
) -> tuple[Call[Any], Slot, list[Slot]]:
    """A node as a call, and where its result and its operands lie."""
    operands = graph.producers(node)
    call = Call.of(node, [layouts[x.name] for x in operands], layouts[node.name], machine)
    call = replace(call, in_place=memory.use(node.name) in (Use.OVER, Use.APPEND))

    def slot(name: str) -> Slot:
        if name in memory.places:
            return Slot("arena", memory.address(name))
        return Slot(name, 0)

    output, *inputs = (slot(x.name) for x in (node, *operands))
    if isinstance(node.op, Concat) and call.in_place:
        call, output, inputs = _appended(call, output, inputs)
    return call, output, inputs


def _appended(
    call: Call[Any], output: Slot, inputs: list[Slot]
) -> tuple[Call[Any], Slot, list[Slot]]:
    """A concat that begins with its first operand, from the block on that it writes first.

    The operand is what it has of that block; nothing if it ends with the block before.
    """
    blocks = call.x.channels // call.x.block
    channels = blocks * call.x.block
    distance = blocks * nominal(call.x.plane) * call.x.bytes
    output, first = (Slot(s.region, s.offset + distance) for s in (output, inputs[0]))
    layouts, slots = [*call.inputs[1:]], inputs[1:]
    if channels < call.x.channels:
        layouts, slots = [_behind(call.x, channels), *layouts], [first, *slots]
    whole = _behind(call.output, channels)
    return replace(call, inputs=tuple(layouts), output=whole), output, slots


def _behind(layout: Layout, channels: int) -> Layout:
    """The layout of the channels behind some blocks of a tensor."""
    rest = replace(layout, channels=layout.channels - channels)
    return rest if layout.batch > 1 else replace(rest, batch_stride=rest.blocks * rest.plane)
