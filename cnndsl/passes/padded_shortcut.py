"""Shortcuts padded with zero channels, added only where they are not zero."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnndsl.ir.algebra import slice_axis
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Add, Concat, Conv, PadChannels
from cnndsl.passes.horizontal import mapped, only_activation
from cnndsl.passes.rewrite import Reject, Report, describe, require_one_reader, rewrite_each


@dataclass(frozen=True)
class PaddedShortcut:
    """Splits the convolution that a zero-padded shortcut is added to, where the zeros begin.

    The zeros are then neither stored nor added: only the first filters take the shortcut (option
    A of He et al. 2016, section 3.3). An activation behind the sum goes to both parts. The parts
    of the result want to be written in place, next to each other.
    """

    name: str = "padded-shortcut"
    algebra: str = "conv(x, w) + pad(y) => concat(conv(x, w[:c]) + y, conv(x, w[c:]))"

    def run(self, graph: Graph) -> Report:
        """Split at each sum that reads a padded value."""
        return rewrite_each(graph, Add, _split)


def _split(graph: Graph, node: Node) -> str | None:
    operands = graph.producers(node)
    padded = [operand for operand in operands if isinstance(operand.op, PadChannels)]
    if not padded:
        return None
    shortcut = padded[0]
    if len(operands) != 2 or len(padded) == 2:
        raise Reject("it does not add one padded value to one other")
    (conv,) = [operand for operand in operands if operand.name != shortcut.name]
    op = conv.op
    if not isinstance(op, Conv) or op.groups > 1 or op.table is not None:
        raise Reject(f"its operand {describe(conv)} is no dense convolution")
    if not conv.type == shortcut.type == node.type:
        raise Reject(f"{conv.name} is {conv.type}, {shortcut.name} {shortcut.type}")
    require_one_reader(graph, conv)
    require_one_reader(graph, shortcut)
    end = only_activation(graph, node)
    if mapped(graph, node) or (end and (end.params or mapped(graph, end))):
        raise Reject("a map of the channels behind it would need a place in both parts")
    (narrow,) = graph.producers(shortcut)
    border, channels = narrow.type.channels, node.type.channels
    if border == channels:
        raise Reject(f"{shortcut.name} pads nothing")
    first = _filters(graph, conv, op, 0, border)
    rest = _filters(graph, conv, op, border, channels)
    parts = [graph.add(f"{node.name}[:{border}]", Add(), [first, narrow], {}, node.spans), rest]
    if end is not None:
        parts = [
            graph.add(f"{part.name}/{end.name}", end.op, [part], {}, end.spans) for part in parts
        ]
        graph.bypass(end, node)
    spans = node.spans | shortcut.spans | (end.spans if end else frozenset())
    graph.redefine(node, Concat(), parts, {}, spans)
    graph.remove(conv)
    graph.remove(shortcut)
    return f"{conv.name} split after {border} of {channels} filters"


def _filters(graph: Graph, conv: Node, op: Conv, start: int, stop: int) -> Node:
    """A convolution with some of the filters of one."""
    params = {role: slice_axis(e, 0, start, stop) for role, e in conv.params.items()}
    part = replace(op, filters=stop - start, weight=None)
    name = f"{conv.name}[{start or ''}:{stop if start == 0 else ''}]"
    return graph.add(name, part, graph.producers(conv), params, conv.spans)
