"""Runs the statements of networks and blocks, which always ends.

A problem is recorded and its statement given up; what depends on it is skipped silently, so that
one run reports every independent error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnndsl.diagnostics import Span
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Auxiliary, Graph, Node
from cnndsl.ir.operators import BY_NAME
from cnndsl.ir.operators.structure import Input
from cnndsl.ir.types import Shape
from cnndsl.language import tree as ast
from cnndsl.language.arguments import check_complete, definition_signature, signature_of
from cnndsl.language.convolutional import Windows
from cnndsl.language.elements import POISON, Elements, Flow, Poison
from cnndsl.language.evaluate import AXES
from cnndsl.language.paths import Path
from cnndsl.language.problem import Problem
from cnndsl.language.units import NetworkItem, Unit
from cnndsl.language.values import Frame, Given, Layer, Names, Recipe, Settings, Tensor, kind_of


class Interpreter(Elements):
    """Statements; what a chain is made of is run by its base class.

    Inputs take their shapes out of `input_shapes`, or leave their spatial sizes open.
    """

    def __init__(
        self,
        graph: Graph,
        input_shapes: dict[str, tuple[int, ...]],
        windows: Windows,
        *,
        opened: Mapping[str, Mapping[str, str]],
    ):
        super().__init__(graph, windows)
        self.input_shapes = input_shapes
        self.opened = opened

    def frame(self, unit: Unit, item: NetworkItem, path: Path) -> Frame:
        """A fresh frame for an item of a file, with the file's defaults above it."""
        frame = Frame(unit, Names(), {}, path, items=(item,))
        for default in unit.defaults_at[id(item)]:
            self._default(default, frame)
        return frame

    def bind_parameters(
        self, definition: ast.Definition, given: Settings, frame: Frame, span: Span
    ) -> None:
        """Give the definition's parameters their values. Raises Problem if one is missing."""
        check_complete(definition_signature(definition), set(given), span)
        for parameter in definition.parameters:
            name = parameter.name.text
            if name in given:
                frame.names.table[name] = given[name].value
            elif parameter.default is not None:
                frame.names.table[name] = self.evaluator.evaluate(parameter.default, frame)

    def run_body(self, body: ast.Body, frame: Frame, flow: Flow) -> Flow:
        """Run statements in order; each takes the value that the one before it left."""
        for statement in body.statements:
            self.evaluator.count(statement.span)
            try:
                flow = self._statement(statement, frame.reading(flow), flow)
            except Problem as problem:
                self.findings.report(problem, frame.trail)
                if isinstance(statement, ast.Let | ast.LayerDeclaration):
                    frame.names.table[statement.name.text] = Tensor(None)
                elif isinstance(statement, ast.Chain | ast.InputDeclaration):
                    flow = POISON
        return flow

    def _statement(self, statement: ast.Statement, frame: Frame, flow: Flow) -> Flow:
        match statement:
            case ast.Chain():
                return self.run_chain(statement, frame, flow)
            case ast.InputDeclaration():
                return self._input(statement, frame)
            case ast.Let():
                frame.names.table[statement.name.text] = self._let(statement, frame, flow)
            case ast.LayerDeclaration():
                self._layer(statement, frame)
            case ast.OutputDeclaration() | ast.AuxiliaryDeclaration():
                self._output(statement, frame, flow)
            case ast.Defaults():
                for default in statement.defaults:
                    self._default(default, frame)
        return flow

    def _default(self, default: ast.Default, frame: Frame) -> None:
        name = default.name.text
        if name not in frame.unit.blocks and name not in BY_NAME:
            return
        given = dict(frame.defaults.get(name, {}))
        known = signature_of(frame.unit.blocks.get(name) or BY_NAME[name]).parameters
        for argument in default.arguments:
            if argument.name is not None and argument.name.text in known:
                value = self.evaluator.evaluate(argument.value, frame)
                given[argument.name.text] = Given(value, argument.span)
        frame.defaults[name] = given

    def _input(self, statement: ast.InputDeclaration, frame: Frame) -> Node:
        if not frame.network:
            raise Problem("E0211", "an input stands directly in a network", statement.span)
        name = frame.path.label(statement.name.text, statement.name.span)
        shape = self._input_shape(statement, frame)
        recipe = Recipe(Input, {"shape": Given(shape, statement.shape.span)}, {})
        node = self.writer.add(recipe, [], frame.path, name, statement.span)
        self.graph.inputs.append(node.name)
        frame.names.table[name] = Tensor(node)
        return node

    def _input_shape(self, statement: ast.InputDeclaration, frame: Frame) -> Shape:
        sizes: list[Any] = []
        for item in statement.shape.items:
            if isinstance(item, ast.Name) and frame.names.find(item.text) is None:
                sizes.append(OpenDim.symbol(item.text))
            else:
                sizes.append(self.evaluator.evaluate(item, frame))
        given = self.input_shapes.pop(statement.name.text, None)
        if given is not None and len(given) != len(sizes):
            name, shape = statement.name.text, "x".join(map(str, given))
            raise Problem(
                "E0220",
                f"input {name!r} has {len(sizes)} sizes, the shape {shape} that is given for it "
                f"{len(given)}",
                statement.shape.span,
                hint=f"give it as {name}={'x'.join(map(str, sizes))}",
            )
        if given is not None:
            sizes = list(given)
        if not 1 <= len(sizes) <= 4:
            raise Problem(
                "E0220",
                f"an input has channels and up to 3 spatial sizes, not {len(sizes)} sizes",
                statement.shape.span,
                hint="[channels, height, width]",
            )
        opened = self.opened.get(statement.name.text, {})
        for position, axis in enumerate(AXES.get(len(sizes) - 1, ()), 1):
            if axis in opened:
                sizes[position] = OpenDim.symbol(opened[axis])
        for position, size in enumerate(sizes):
            whole = type(size) is int and 1 <= size < 2**31
            if not whole and not (position > 0 and isinstance(size, OpenDim)):
                raise Problem(
                    "E0220",
                    "an input's sizes are whole numbers from 1, or names for open ones; "
                    "the channels are never open",
                    statement.shape.span,
                )
        return tuple(sizes)

    def _let(self, statement: ast.Let, frame: Frame, flow: Flow) -> Any:
        """A number, string or list is kept as it is; a chain is applied to the value at hand."""
        steps = statement.chain.steps
        element = steps[0].element
        joins = ast.Join | ast.If | ast.For | ast.Repeat | ast.Group
        if len(steps) == 1 and steps[0].label is None and not isinstance(element, joins):
            value = self.evaluator.evaluate(element, frame)
            if not isinstance(value, Recipe | Layer | Tensor):
                return value
        result = self.run_chain(statement.chain, frame, flow)
        return Tensor(result if isinstance(result, Node) else None)

    def _layer(self, statement: ast.LayerDeclaration, frame: Frame) -> None:
        value = self.evaluator.evaluate(statement.call, frame)
        if not isinstance(value, Recipe):
            raise Problem(
                "E0209",
                f"a layer is an operator or a block, this is {kind_of(value)}",
                statement.call.span,
            )
        name = frame.path.label(statement.name.text, statement.name.span)
        frame.names.table[name] = Layer(name, value, frame.path)

    def _output(
        self,
        statement: ast.OutputDeclaration | ast.AuxiliaryDeclaration,
        frame: Frame,
        flow: Flow,
    ) -> None:
        if not frame.network:
            raise Problem("E0211", "an output stands directly in a network", statement.span)
        name = statement.name.text
        if name in self.graph.outputs or name in self.graph.auxiliaries:
            raise Problem("E0202", f"the output {name!r} is declared twice", statement.name.span)
        if isinstance(statement, ast.OutputDeclaration):
            node = self.run_chain(statement.chain, frame, flow)
            if isinstance(node, Node):
                self.graph.outputs[name] = node.name
            elif node is None:
                raise Problem("E0210", "there is no value yet", statement.span)
            return
        weight = self._loss_weight(statement, frame)
        path = frame.path.inner(frame.path.label(name, statement.name.span))
        if self.opened:
            return
        self.graph.scopes[path.name] = "auxiliary"
        node = self.run_chain(statement.chain, frame.inner(path), flow)
        if not isinstance(node, Poison) and node is not None:
            self.graph.auxiliaries[name] = Auxiliary(node.name, weight)
            self.graph.stages.append((name, node.name))

    def _loss_weight(self, statement: ast.AuxiliaryDeclaration, frame: Frame) -> float:
        names = [a.name.text if a.name else "weight" for a in statement.arguments]
        if names != ["weight"]:
            raise Problem(
                "E0204",
                "an auxiliary output has a loss weight",
                statement.name.span,
                hint="auxiliary head(weight=0.3) = …",
            )
        argument = statement.arguments[0]
        value = self.evaluator.evaluate(argument.value, frame)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            message = f"the loss weight is a number from 0, not {kind_of(value)}"
            raise Problem("E0309", message, argument.span)
        return float(value)
