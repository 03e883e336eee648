"""From a network and its roundings to a graph on codes.

Roundings are steps of their own while passes run, so that nothing is folded across them. Then
an operator whose operands are all rounded, and whose result is rounded for all that read it, is
computed on codes; everything else is computed in float32 of what codes stand for, as the model
says. So it gives what the model gives, whichever of its operators are computed on codes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from cnndsl.ir.algebra import constant
from cnndsl.ir.attributes import Kind, attribute
from cnndsl.ir.expressions import Apply, Expression, Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Reads, Sign
from cnndsl.ir.operators import (
    Conv,
    Dequantise,
    Input,
    Meaning,
    Pointwise,
    Quantise,
    Quantised,
    Scale,
)
from cnndsl.ir.operators.formats import QUANTISATION
from cnndsl.ir.quantisation import HIGHEST, Quantisation
from cnndsl.quantise.clamps import clip_codes
from cnndsl.quantise.convert import is_able, meaning
from cnndsl.quantise.explicit import OUTPUT, Explicit, Rounding
from cnndsl.quantise.layers import Scales, layer_params, map_params, plain_layer
from cnndsl.quantise.prepare import prepare
from cnndsl.quantise.scales import is_moved

Codes: TypeAlias = tuple[Quantisation, tuple[float, ...]]


@dataclass(frozen=True)
class Rounded(Pointwise):
    """The numbers that the codes of the operand stand for, see `Rounding`."""

    name: ClassVar[str] = "rounded"
    internal = True
    gradient = Reads.NOTHING

    result: Quantisation = attribute(QUANTISATION)
    shares: tuple[float, ...] = attribute(Kind("numbers", tuple), ())

    @property
    def codes(self) -> Codes:
        """The codes, and the share of the scale that each channel has, if there are several."""
        return self.result, self.shares

    @property
    def sign(self) -> Sign:
        """Nothing is below the number of code 0."""
        return Sign.KEPT if self.result.zero else Sign.NONNEGATIVE


def with_roundings(graph: Graph, found: Explicit) -> Graph:
    """A copy of a graph, in which a node `NAME/rounded` stands for each rounding."""
    result = graph.copy()
    for name, roundings in found.tensors.items():
        for index, rounding in enumerate(roundings):
            end = f"/rounded{index or ''}"
            step = result.add(
                f"{name}{end}", Rounded(rounding.quantisation, rounding.shares), [result[name]]
            )
            _redirect(result, result[name], step, rounding)
    return result


def _redirect(graph: Graph, node: Node, step: Node, rounding: Rounding) -> None:
    """Let the readers that see a tensor rounded read the rounding."""
    wanted = rounding.readers
    for name in {reader.name for reader, _ in graph.consumers(node)} - {step.name}:
        reader = graph[name]
        if isinstance(reader.op, Rounded) or not (wanted is None or name in wanted):
            continue
        operands = [step if x.name == node.name else x for x in graph.producers(reader)]
        graph.put(reader, operands)
    for name, maker in graph.outputs.items():
        if maker == node.name and (wanted is None or OUTPUT + name in wanted):
            graph.outputs[name] = step.name


def on_explicit_codes(
    graph: Graph,
    found: Explicit,
    *,
    level: int,
    disable: Collection[str],
    keep_float: Collection[str],
) -> tuple[Graph, Graph]:
    """The prepared graph without any rounding, and the same on codes, nodes of the same names.

    `found` must be of the graph, see `Explicit.require`.
    """
    prepared = prepare(with_roundings(graph, found), level, disable)
    result = _Conversion(prepared, found.weights, keep_float).result
    for node in list(prepared.nodes()):
        if isinstance(node.op, Rounded):
            prepared.bypass(node, prepared.producers(node)[0])
    return prepared, result


class _Conversion:
    """Builds the graph; `result` is it."""

    def __init__(
        self, graph: Graph, scales: Mapping[str, Sequence[float]], keep_float: Collection[str]
    ):
        self._graph, self._scales, self._keep_float = graph, scales, keep_float
        self._made: dict[str, Node] = {}
        self._shares: dict[str, tuple[float, ...]] = {}
        self.result = Graph(graph.name)
        for node in graph.nodes():
            self._made[node.name] = self._add(node)
        self.result.inputs = list(graph.inputs)
        self.result.photos = dict(graph.photos)
        self.result.outputs = {n: self._numbers(x).name for n, x in graph.outputs.items()}
        known = {name for name in self._made if name in self.result}
        self.result.stages = [stage for stage in graph.stages if stage[1] in known]
        self.result.scopes = dict(graph.scopes)

    def _add(self, node: Node) -> Node:
        """The node that has the codes, or the numbers, of a node of the graph."""
        operands = self._graph.producers(node)
        if isinstance(node.op, Input):
            return self.result.put(node, [])
        if isinstance(node.op, Rounded):
            return self._rounded(node, operands[0])
        able = self._is_able(node, operands)
        codes = self._codes(node) or (self._moved(node, operands) if able else None)
        if able and codes is not None:
            return self._on_codes(node, operands, *codes)
        if able and meaning(node) is Meaning.LINEAR:
            return self._sums(node, operands)
        return self.result.put(node, [self._numbers(operand.name) for operand in operands])

    def _rounded(self, node: Node, operand: Node) -> Node:
        """The codes of an operand, which may have them already."""
        assert isinstance(node.op, Rounded)
        made = self._made[operand.name]
        if (made.type.quantisation, self._shares.get(made.name, ())) == node.op.codes:
            return made
        numbers = self._numbers(operand.name)
        if node.op.shares:
            factors = [1 / share for share in node.op.shares]
            numbers = self._scaled(f"{node.name}/scaled", numbers, factors)
        codes = self.result.add(f"{node.name}/codes", Quantise(node.op.result), [numbers])
        self._shares[codes.name] = node.op.shares
        return codes

    def _is_able(self, node: Node, operands: Sequence[Node]) -> bool:
        """Whether the node can be computed of codes."""
        made = {x.name: self._made[x.name].type.quantisation for x in operands}
        own = {name: codes for name, codes in made.items() if codes is not None}
        if node.name in self._keep_float or node.prologue or not own:
            return False
        if len(own) < len(made) or not is_able(self._graph, node, own):
            return False
        if any(map(self._shares_of, operands)) and not _is_depthwise(node):
            return False
        return meaning(node) is not Meaning.LINEAR or self._weight_scale(node) is not None

    def _codes(self, node: Node) -> Codes | None:
        """To what all that reads a node sees it rounded; None if something sees its numbers.

        Channels have scales of their own in results of layers alone, and only where no clamp would
        cut off other codes in each.
        """
        steps = [reader.op for reader, _ in self._graph.consumers(node)]
        found = {step.codes if isinstance(step, Rounded) else None for step in steps}
        if len(found) != 1 or self._graph.output_names(node):
            return None
        codes = found.pop()
        if codes and codes[1]:
            quantisation, shares = codes
            finest = Quantisation(quantisation.scale * min(shares), quantisation.zero)
            alike = clip_codes(node, quantisation) == clip_codes(node, finest)
            return codes if alike and meaning(node) is Meaning.LINEAR else None
        return codes

    def _moved(self, node: Node, operands: Sequence[Node]) -> Codes | None:
        """The codes of all operands, if those of the node are some of them."""
        if not is_moved(node) or node.epilogue:
            return None
        found = {self._made[operand.name].type.quantisation for operand in operands}
        codes = found.pop()
        return (codes, ()) if codes and not found else None

    def _shares_of(self, node: Node) -> tuple[float, ...]:
        return self._shares.get(self._made[node.name].name, ())

    def _weight_scale(self, node: Node) -> Sequence[float] | None:
        """The scale of each filter, if the weights are whole numbers of one and as they were."""
        weight: Expression | None = node.params.get("weight")
        while isinstance(weight, Apply) and weight.function == "reshape":
            (weight,) = weight.arguments
        if not isinstance(weight, Parameter) or weight.name not in self._scales:
            return None
        filters, scales = node.core.output.channels, [*self._scales[weight.name]]
        scales = scales * filters if len(scales) == 1 else scales
        return scales if len(scales) == filters else None

    def _on_codes(
        self,
        node: Node,
        operands: Sequence[Node],
        result: Quantisation,
        shares: tuple[float, ...],
    ) -> Node:
        limits = clip_codes(node, result)
        self._shares[node.name] = shares
        return self._quantised(node.name, node, operands, result, limits)

    def _sums(self, node: Node, operands: Sequence[Node]) -> Node:
        """A linear layer of codes with float32 results, and what is fused with it."""
        name = f"{node.name}/sums" if node.epilogue else node.name
        made = self._quantised(name, node, operands, None, (0, HIGHEST))
        for index, part in enumerate(node.epilogue, 1):
            name = node.name if index == len(node.epilogue) else f"{node.name}/sums{index}"
            made = self.result.add(name, part.op, [made], part.params, node.spans)
        return made

    def _quantised(
        self,
        name: str,
        node: Node,
        operands: Sequence[Node],
        result: Quantisation | None,
        limits: tuple[int, int],
    ) -> Node:
        makers = [self._made[operand.name] for operand in operands]
        source = makers[0].type.quantisation
        assert source is not None
        op, params = node.core.op, dict(node.core.params)
        if meaning(node) is Meaning.LINEAR:
            op = plain_layer(op)
            scales = self._weight_scale(node)
            assert scales is not None
            own = Scales(scales, self._shares_of(operands[0]), self._shares.get(name, ()))
            params = layer_params(node.core, source, result, None, own)
        elif meaning(node) is Meaning.MAP:
            assert result is not None
            params = map_params(params, source, result)
        return self.result.add(name, Quantised(op, result, *limits), makers, params, node.spans)

    def _numbers(self, name: str) -> Node:
        """The node that has the numbers of a node of the graph."""
        node = self._made[name]
        if node.type.quantisation is None:
            return node
        numbers = f"{node.name}/float"
        if numbers in self.result:
            return self.result[numbers]
        shares = self._shares.get(node.name, ())
        if not shares:
            return self.result.add(numbers, Dequantise(), [node], spans=node.spans)
        whole = self.result.add(f"{node.name}/whole", Dequantise(), [node], spans=node.spans)
        return self._scaled(numbers, whole, shares)

    def _scaled(self, name: str, numbers: Node, factors: Sequence[float]) -> Node:
        """The numbers times a factor for each channel."""
        op = Scale(tuple(factors)).bind([numbers.type])
        params = {role: constant(values) for role, values in op.constants().items()}
        return self.result.add(name, op, [numbers], params, numbers.spans)


def _is_depthwise(node: Node) -> bool:
    channels = node.core.inputs[0].channels
    return isinstance(node.op, Conv) and node.op.groups == node.op.filters == channels
