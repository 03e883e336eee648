"""Which tensor lies in memory how."""

from __future__ import annotations

from cnndsl.backends.cpu.codegen.layout import Halo, Layout
from cnndsl.backends.cpu.kernels import read_halo
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.machine import Machine
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Concat, Conv, Slice


def assign_layouts(graph: Graph, batch: int, machine: Machine) -> dict[str, Layout]:
    """The layout of every node of a prepared graph.

    Inputs and outputs of the network are plain. All else is blocked by the vector width, but
    images of few channels, with the halo that its readers need; tensors that share memory as
    parts of another one share its halo.
    """
    borders = {*graph.inputs, *graph.outputs.values()}
    halos = _halos(graph, batch, machine)
    return {
        node.name: Layout.of(node.type, batch)
        if node.name in borders
        else Layout.of(node.type, batch, _block(graph, node, machine), halos[node.name])
        for node in graph.nodes()
    }


def _block(graph: Graph, node: Node, machine: Machine) -> int:
    """Channels side by side: one in an image that convolutions alone read, else a vector."""
    is_image = any(operand.name in graph.inputs for operand in graph.producers(node))
    few = node.type.channels < machine.lanes and bool(node.type.rank)
    plain = is_image and few and all(_takes_plain(*reading) for reading in graph.consumers(node))
    return 1 if plain else machine.lanes


def _takes_plain(reader: Node, index: int) -> bool:
    """Whether a node's operand is that of a convolution in one group, without a prologue."""
    is_single = isinstance(reader.op, Conv) and reader.op.groups == 1
    return is_single and index == 0 and not reader.prologue


def _halos(graph: Graph, batch: int, machine: Machine) -> dict[str, Halo]:
    halos = {node.name: _needed(graph, node, batch, machine) for node in graph.nodes()}
    changed = True
    while changed:
        changed = False
        for node in graph.nodes():
            if isinstance(node.op, Concat | Slice):
                group = [node, *graph.producers(node)]
                joint = _union([halos[member.name] for member in group])
                for member in group:
                    changed |= halos[member.name] != joint
                    halos[member.name] = joint
    return halos


def _needed(graph: Graph, node: Node, batch: int, machine: Machine) -> Halo:
    """The zeros that the readers of a node's tensor need around it."""
    none = ((0, 0),) * node.type.rank
    readers = [reader for reader, index in graph.consumers(node) if index == 0]
    calls = [Call.blocked(reader, batch, machine) for reader in readers]
    return _union([none, *(read_halo(call) or none for call in calls)])


def _union(halos: list[Halo]) -> Halo:
    """On each side the largest."""
    return tuple(
        (max(side[0] for side in axis), max(side[1] for side in axis))
        for axis in zip(*halos, strict=True)
    )
