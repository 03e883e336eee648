"""Which tensor lies in memory how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cnndsl.backends.cpu.codegen.layout import Halo, Layout
from cnndsl.backends.cpu.kernels import has_variants, pooling, read_halo
from cnndsl.backends.cpu.kernels.codes.direct import behind_rows, reads_rows
from cnndsl.backends.cpu.kernels.codes.operators import Coded, Encode
from cnndsl.backends.cpu.kernels.direct.few import gives_plain, is_narrow
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.native.task import is_step
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import (
    Cast,
    Concat,
    ConcatPositions,
    Conv,
    Correlate,
    Fixed,
    Flatten,
    FullyConnected,
    Gathering,
    Identity,
    Resize,
    Slice,
)

KEEPING: tuple[type[Any], ...] = (
    *pooling.FAMILIES,
    *(Cast, Concat, ConcatPositions, Gathering, Identity, Resize),
)
"""Operators whose kernels serve plain tensors as well as blocked ones."""


def assign_layouts(
    graph: Graph, batch: int, machine: Machine, zeros: Mapping[str, int]
) -> dict[str, Layout]:
    """The layout of every node of a prepared graph; `zeros` are the codes for zero.

    Inputs and outputs of the network are plain, and so are maps of few channels where all that
    makes and reads them serves it, with the halo that their readers need. The codes of an image lie
    position by position where convolutions read words of its rows. All else is blocked by the
    vector width; tensors that share memory as parts of another one share its halo.
    """
    borders = {*graph.inputs, *graph.outputs.values()}
    plain, halos = _plain(graph, borders, machine), _halos(graph, batch, machine)

    def layout(node: Node) -> Layout:
        if node.name in borders:
            return Layout.of(node.type, batch)
        block, halo = machine.lanes, halos[node.name]
        if node.name in plain:
            block = 1
        elif _has_rows(graph, node, machine):
            block, halo = node.type.channels, _reached_by_rows(graph, node, halo)
        found = Layout.of(node.type, batch, block, halo)
        return replace(found, zero=zeros[node.name]) if found.is_codes else found

    return {node.name: layout(node) for node in graph.nodes()}


def _plain(graph: Graph, borders: set[str], machine: Machine) -> set[str]:
    """Nodes whose tensors lie channel by channel: blocks would be empty for the most part."""
    plain = {node.name for node in graph.nodes() if _is_narrow(graph, node, machine)} - borders
    given = {name for name in plain if gives_plain(graph[name], machine)}
    changed = True
    while changed:
        unfit = {name for name in plain if not _fits(graph, graph[name], plain, borders, given)}
        plain -= unfit
        changed = bool(unfit)
    return plain


def _is_narrow(graph: Graph, node: Node, machine: Machine) -> bool:
    """Whether at most half a vector is filled, or not all of it by an image for convolutions."""
    if is_narrow(node.type.channels, machine):
        return True
    is_image = any(operand.name in graph.inputs for operand in graph.producers(node))
    few = node.type.channels < machine.lanes and bool(node.type.rank)
    return is_image and few and all(_reads_image(*use) for use in graph.consumers(node))


def _reads_image(reader: Node, index: int) -> bool:
    return isinstance(reader.op, Encode) or _is_dense_conv(reader, index)


def _has_rows(graph: Graph, node: Node, machine: Machine) -> bool:
    """Whether a node's tensor are the codes of an image, whose rows convolutions alone read."""
    return isinstance(node.op, Encode) and all(
        isinstance(reader.op, Coded)
        and reads_rows(reader.op.quantised.op, node.type.channels, machine)
        for reader, _ in graph.consumers(node)
    )


def _reached_by_rows(graph: Graph, node: Node, halo: Halo) -> Halo:
    """A halo, and the positions that the last words of rows reach."""
    readers = [reader.op for reader, _ in graph.consumers(node)]
    convs = [op.quantised.op for op in readers if isinstance(op, Coded)]
    behind = [behind_rows(op, node.type.channels) for op in convs if isinstance(op, Conv)]
    *outer, (before, after) = halo
    return (*outer, (before, after + max(behind)))


def _fits(graph: Graph, node: Node, plain: set[str], borders: set[str], given: set[str]) -> bool:
    """Whether a node's kernel writes a plain tensor, and those of its readers read it.

    Those of `given` read any first operand.
    """
    operands = graph.producers(node)[node.name in given :]
    if not all(x.name in plain | borders for x in operands):
        return False
    if node.name not in given and not _keeps_layout(node):
        return False
    return all(
        _takes_plain(reader, index)
        or reader.name in borders
        or (reader.name in plain and _keeps_layout(reader))
        for reader, index in graph.consumers(node)
    )


def _keeps_layout(node: Node) -> bool:
    """Whether a node's kernel takes operands and result as they are, blocked or plain."""
    return isinstance(node.op, KEEPING) or (is_step(node.op) and not node.prologue)


def _takes_plain(reader: Node, index: int) -> bool:
    """Whether a node's kernel reads a plain operand, whatever its result."""
    return (
        _is_dense_conv(reader, index)
        or isinstance(reader.op, Encode | Fixed)
        or (isinstance(reader.op, FullyConnected | Flatten) and index == 0 and not reader.prologue)
    )


def _is_dense_conv(reader: Node, index: int) -> bool:
    """Whether a node's operand is that of a convolution in one group, without a prologue.

    Or what the gradient by its weights reads.
    """
    is_single = isinstance(reader.op, Conv | Correlate) and reader.op.groups == 1
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
    calls = [Call.blocked(r, batch, machine) for r in readers if has_variants(r)]
    return _union([none, *(read_halo(call) or none for call in calls)])


def _union(halos: list[Halo]) -> Halo:
    """On each side the largest."""
    return tuple(
        (max(side[0] for side in axis), max(side[1] for side in axis))
        for axis in zip(*halos, strict=True)
    )
