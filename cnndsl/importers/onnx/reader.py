"""From the nodes of a model to a graph, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NoReturn

from cnndsl.diagnostics import CnnError, Diagnostic, Note
from cnndsl.importers.onnx.builder import Builder
from cnndsl.importers.onnx.coding import Coding
from cnndsl.importers.onnx.folding import folded, is_folded
from cnndsl.importers.onnx.layout import natural, permuted
from cnndsl.importers.onnx.model import Declared, Model
from cnndsl.importers.onnx.names import identifier
from cnndsl.importers.onnx.operators import REFUSED, reader_of
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.step import Step
from cnndsl.importers.onnx.tensors import FLOATS, FORMATS
from cnndsl.importers.onnx.values import Known, Tensor, Value
from cnndsl.ir.dims import Dim, OpenDim, input_dim
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.operators import Identity, Input

KEEPING_AXES = (
    *("Add", "Cast", "Clip", "DequantizeLinear", "Div", "Identity", "Mul", "Pad"),
    *("QuantizeLinear", "Sub"),
)
"""Operators that networks begin with, which leave axes where they are."""

SHOWN = 5
"""Nodes named beside the first with the same finding."""


class Reader:
    """The graph made so far, and what the tensors of the model are in it."""

    def __init__(self, model: Model, shapes: Mapping[str, tuple[int, ...]]):
        self.model = model
        self.builder = Builder("network")
        self.tensors: dict[str, Tensor | None] = {}
        self.findings: list[Diagnostic] = []
        self._coding = Coding()
        self._shapes = dict(shapes)

    def read(self) -> Builder:
        """The whole model. Raises CnnError with all that cannot be read."""
        for declared in self.model.inputs:
            with self._blaming(f"the input {declared.name!r}"):
                self.tensors[declared.name] = None
                self._keep(declared.name, self._input(declared))
        if self._shapes:
            known = f"inputs: {', '.join(self.builder.graph.inputs)}"
            raise CnnError.of("E0604", f"no input {', '.join(self._shapes)}", hint=known)
        for step in self.model.steps:
            with self._blaming(str(step)):
                self._read(step)
        for name in self.model.outputs:
            with self._blaming(f"the output {name!r}"):
                self._output(name)
        if self.findings:
            raise CnnError(merged(self.findings))
        self.builder.drop_unused()
        return self.builder

    @contextmanager
    def _blaming(self, place: str) -> Iterator[None]:
        """Turns a refusal inside the block into a finding about a place."""
        try:
            yield
        except Refusal as error:
            message = f"{place}: {error.message}"
            self.findings.append(Diagnostic(error.code, message, hint=error.hint))

    # Inputs and outputs

    def _input(self, declared: Declared) -> Value:
        if declared.dtype not in FORMATS:
            raise Refusal("E0802", "it does not hold numbers of a format that is read")
        if declared.shape is None or len(declared.shape) < 2:
            raise Refusal("E0804", "it has no axis beside the batch")
        if len(declared.shape) > 5:
            raise unsupported(f"it has {len(declared.shape)} axes, more than 5")
        batch, *sizes = declared.shape
        self.builder.batch = batch if isinstance(batch, int) else self.builder.batch
        name = self.builder.names.taken(identifier(declared.name) or "input")
        order = self._channels_first(declared)
        given = self._shapes.pop(name, None)
        if given is not None and len(given) != len(sizes):
            raise CnnError.of("E0604", f"the input {name!r} has {len(sizes)} axes")
        dims: tuple[Dim, ...] = given or tuple(
            _open(name, axis, declared.shape[axis]) for axis in order[1:]
        )
        if isinstance(dims[0], OpenDim):
            raise unsupported(
                f"the number of its channels, {dims[0]}, is open",
                f"--input-shape {name}={'x'.join('?' for _ in dims)}, with numbers",
            )
        self.builder.graph.add(name, Input(dims), [])
        self.builder.graph.inputs.append(name)
        self._photo(declared, name)
        back = [order.index(axis) for axis in range(len(order))]
        layout = permuted(natural(dims), back)
        return Value(name, layout, name, integer=declared.dtype not in FLOATS)

    def _photo(self, declared: Declared, name: str) -> None:
        """How a photo becomes the input, if the model tells and it suits the input."""
        photo, graph = self.model.photos.get(declared.name), self.builder.graph
        if photo is not None:
            with suppress(OperatorError):
                graph.photos[name] = photo.fitted(graph[name].type)

    def _channels_first(self, declared: Declared) -> list[int]:
        """The order of an input's axes in the graph: the channels come first.

        An input is channels last if all that is made of it, by elements or by padding, moves the
        last axis to the front.
        """
        assert declared.shape
        rank = len(declared.shape)
        first = [0, rank - 1, *range(1, rank - 1)]
        alike = {declared.name}
        turned = False
        for step in self.model.steps:
            if alike.isdisjoint(step.inputs):
                continue
            if step.kind == "Transpose" and step.attributes.get("perm") == first:
                turned = True
            elif step.kind in KEEPING_AXES:
                alike.update(step.outputs)
            else:
                return list(range(rank))
        is_output = any(name in alike for name in self.model.outputs)
        return first if turned and not is_output else list(range(rank))

    def _output(self, name: str) -> None:
        tensor = self.tensors.get(name)
        if tensor is None:
            return
        if isinstance(tensor, Known):
            raise unsupported("it does not depend on the inputs")
        if name in self._coding:
            raise unsupported("it is on codes", "--outputs NAME of what the codes are made of")
        public = identifier(name) or "output"
        while public in self.builder.graph.outputs:
            public += "_"
        node = self.builder.vector(tensor) or self.builder.plain(tensor)
        if node.name in self.builder.graph.inputs:
            node = self.builder.add(Identity(), [node], f"{public}_copy")
        self.builder.graph.outputs[public] = node.name

    # Nodes of the model

    def _read(self, step: Step) -> None:
        for name in step.outputs:
            self.tensors[name] = None
        operands = [self._operand(name) for name in step.inputs]
        site = Site(self.builder, self.model, step, operands)
        function = reader_of(step)
        if step.kind == "If" and site.is_standard and isinstance(operands[0], Known):
            self._branch(step, site)
            return
        if any(o is None for o, n in zip(operands, step.inputs, strict=True) if n):
            if step.kind in REFUSED or (function is None and not is_folded(step.kind)):
                function(site) if function else _unknown()
            return
        self._coding.follow(site)
        result = folded(site) or (function or _unknown())(site)
        results = result if isinstance(result, list) else [result]
        for name, tensor in zip(step.outputs, results, strict=False):
            if name:
                self._keep(name, tensor)
        for name in step.outputs[len(results) :]:
            if name and self.model.uses[name]:
                raise unsupported(f"its output {name!r} is used")

    def _branch(self, step: Step, site: Site) -> None:
        """The branch of an If whose condition is known, in its place. Raises Refusal."""
        condition = site.array(0)
        if condition.size != 1:
            raise damaged(f"its condition is {list(condition.shape)}")
        body = step.attributes["then_branch" if condition.all() else "else_branch"]
        for inner in body.steps:
            with self._blaming(str(inner)):
                self._read(inner)
        for name, result in zip(step.outputs, body.outputs, strict=False):
            self._keep(name, self._operand(result))

    def _keep(self, name: str, tensor: Tensor | None) -> None:
        self.tensors[name] = tensor
        if isinstance(tensor, Value):
            self.builder.holders.setdefault(tensor.node, set()).add(name)

    def _operand(self, name: str) -> Tensor | None:
        if not name or name in self.tensors:
            return self.tensors.get(name)
        return Known(self.model.tensors[name], name)


def merged(findings: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Findings that differ in the node alone as one, with notes on the other nodes."""
    groups: dict[tuple[str, str], list[Diagnostic]] = {}
    for found in findings:
        place, _, reason = found.message.partition(": ")
        groups.setdefault((place.partition(" ")[0], reason), []).append(found)
    return [_with_others(*group) for group in groups.values()]


def _with_others(first: Diagnostic, *others: Diagnostic) -> Diagnostic:
    if not others:
        return first
    places = [other.message.partition(": ")[0] for other in others]
    shown = ", ".join(places[:SHOWN]) + (", …" if len(places) > SHOWN else "")
    return replace(first, notes=(Note(f"the same of {len(places)} more: {shown}"),))


def _open(name: str, axis: int, size: int | str) -> Dim:
    """A size that is known, or a symbol, or a multiple of one as our models have them: `32*H`."""
    if isinstance(size, int):
        return size
    dim = input_dim(size)
    if str(dim) == size and dim.step > 1:
        return dim
    return OpenDim.symbol(identifier(size) or f"{name}_{axis}")


def _unknown() -> NoReturn:
    hint = "--outputs NAME cuts the model before it; cnndsl list ops shows what there is"
    raise Refusal("E0802", "there is nothing in cnndsl for this operator", hint)
