"""Follows the statements of networks and blocks, which always ends, and builds the graph.

A problem is recorded and its statement given up; what depends on it is skipped silently, so that
one run reports every independent error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from cnndsl.diagnostics import Diagnostic, Note, Span
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Auxiliary, Graph, Node
from cnndsl.ir.operators.structure import Identity, Input
from cnndsl.ir.types import Shape
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.convolutional import Windows
from cnndsl.language.evaluate import AXES, Evaluator
from cnndsl.language.findings import Findings
from cnndsl.language.messages import Consequence, Fatal, Problem
from cnndsl.language.paths import Path
from cnndsl.language.scopes import Local
from cnndsl.language.signatures import check_complete, definition_signature, signature_of
from cnndsl.language.units import BlockValue, NetworkItem, Unit
from cnndsl.language.values import (
    POISON,
    Flow,
    Frame,
    Given,
    Layer,
    Poison,
    Recipe,
    Settings,
    kind_of,
)
from cnndsl.language.writer import GraphWriter

Opened: TypeAlias = Mapping[str, Mapping[str, str]]
"""For each input the names of its open sizes, by axis."""


@dataclass(frozen=True)
class _Instance:
    """How an instance is called: its label, if it has one, and whose weights it uses."""

    label: str | None
    span: Span
    weights: str | None = None

    def name(self, kind: str, path: Path) -> str:
        """Take the instance's name in its path. A layer's names are its own."""
        if self.label is None:
            return path.number(kind, self.span)
        return self.label if self.weights else path.label(self.label, self.span)


class Walk:
    """One elaboration: statements, and what chains are made of.

    Inputs take their shapes out of `shapes`. If sizes are `opened`, training-only heads are left
    out. Fully connected layers slide over maps larger than their `windows`.
    Findings that are `known` from the text alone are not reported again.
    """

    def __init__(
        self,
        name: str,
        shapes: Mapping[str, tuple[int, ...]],
        windows: Windows,
        known: Iterable[Diagnostic],
        opened: Opened,
    ):
        self.graph = Graph(name)
        self.shapes = dict(shapes)
        self.opened = opened
        self.findings = Findings(known)
        self.writer = GraphWriter(self.graph, windows)
        self.evaluator = Evaluator()

    # Statements

    def frame(self, unit: Unit, item: NetworkItem, path: Path) -> Frame:
        """A fresh frame for an item of a file, with the file's defaults above it."""
        frame = Frame(unit, {}, {}, path, items=(item,))
        for default in unit.defaults_at[id(item)]:
            self._default(default, frame)
        return frame

    def bind_parameters(
        self, definition: ast.Definition, given: Settings, frame: Frame, span: Span
    ) -> None:
        """Give the definition's parameters their values. Raises Problem if one is missing."""
        check_complete(definition_signature(definition), set(given), span)
        for parameter in definition.parameters:
            if parameter.name.text in given:
                frame.keep(parameter.name, given[parameter.name.text].value)
            elif parameter.default is not None:
                value = self.evaluator.evaluate(parameter.default, frame)
                frame.keep(parameter.name, value)

    def run_body(self, body: ast.Body, frame: Frame, flow: Flow) -> Flow:
        """Run statements in order; each takes the value that the one before it left."""
        for statement in body.statements:
            self.evaluator.count(statement.span)
            try:
                flow = self._statement(statement, frame.reading(flow), flow)
            except Problem as problem:
                self.findings.report(problem, frame.trail)
                for name in _kept_names(statement):
                    frame.keep(name, POISON)
                if isinstance(statement, ast.Chain | ast.InputDeclaration):
                    flow = POISON
        return flow

    def _statement(self, statement: ast.Statement, frame: Frame, flow: Flow) -> Flow:
        match statement:
            case ast.Chain():
                return self.run_chain(statement, frame, flow)
            case ast.InputDeclaration():
                return self._input(statement, frame)
            case ast.Let() | ast.Assign():
                self._let(statement, frame, flow)
            case ast.LayerDeclaration():
                self._layer(statement, frame)
            case ast.OutputDeclaration() | ast.AuxiliaryDeclaration():
                self._output(statement, frame, flow)
            case ast.Defaults():
                for default in statement.defaults:
                    self._default(default, frame)
        return flow

    def _default(self, default: ast.Default, frame: Frame) -> None:
        name, target = default.name.text, frame.meaning(default.name)
        if not isinstance(target, BlockValue | type):
            return
        given = dict(frame.defaults.get(name, {}))
        known = signature_of(target).parameters
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
        frame.keep(statement.name, node)
        return node

    def _input_shape(self, statement: ast.InputDeclaration, frame: Frame) -> Shape:
        sizes: list[Any] = []
        for item in statement.shape.items:
            if isinstance(item, ast.Name) and not isinstance(frame.meaning(item), Local):
                sizes.append(OpenDim.symbol(item.text))
            else:
                sizes.append(self.evaluator.evaluate(item, frame))
        given = self.shapes.pop(statement.name.text, None)
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

    def _let(self, statement: ast.Let | ast.Assign, frame: Frame, flow: Flow) -> None:
        value = self._value(statement.chain, frame, flow)
        if len(statement.names) == 1:
            frame.keep(statement.names[0], value)
            return
        values = [value] * len(statement.names) if isinstance(value, Poison) else value
        if not isinstance(values, list) or len(values) != len(statement.names):
            length = f" of {len(value)}" if isinstance(value, list) else ""
            names, what = len(statement.names), kind_of(value)
            message = f"there are {names} names, what they are to keep is {what}{length}"
            raise Problem("E0223", message, statement.chain.span)
        for name, item in zip(statement.names, values, strict=True):
            frame.keep(name, item)

    def _value(self, chain: ast.Chain, frame: Frame, flow: Flow) -> Any:
        """A number, string or list is kept as it is; a chain is applied to the value at hand."""
        steps = chain.steps
        element = steps[0].element
        joins = ast.Join | ast.If | ast.For | ast.Repeat | ast.Group
        if len(steps) == 1 and steps[0].label is None and not isinstance(element, joins):
            value = self.evaluator.evaluate(element, frame)
            if not isinstance(value, Recipe | Layer | Node):
                return value
        result = self.run_chain(chain, frame, flow)
        if result is None:
            raise Problem("E0210", "there is no value yet", chain.span)
        return result

    def _layer(self, statement: ast.LayerDeclaration, frame: Frame) -> None:
        value = self.evaluator.evaluate(statement.call, frame)
        if not isinstance(value, Recipe):
            raise Problem(
                "E0209",
                f"a layer is an operator or a block, this is {kind_of(value)}",
                statement.call.span,
            )
        name = frame.path.label(statement.name.text, statement.name.span)
        frame.keep(statement.name, Layer(name, value, frame.path))

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

    # Elements

    def run_chain(self, chain: ast.Chain, frame: Frame, flow: Flow) -> Flow:
        """Run the steps; labelled ones directly in a network are its stages."""
        for step in chain.steps:
            self.evaluator.count(step.span)
            if isinstance(flow, Poison) and not isinstance(frame.kept(step.element), Node):
                return POISON
            label = None
            try:
                label = self._label(step.label, frame) if step.label else None
                flow = self._element(step.element, label, frame, flow)
            except Problem as problem:
                self.findings.report(problem, frame.trail)
                flow = self.writer.stand_in(flow) if isinstance(flow, Node) else POISON
            if label and frame.network and not frame.path.name and isinstance(flow, Node):
                self.graph.stages.append((label, flow.name))
        return flow

    def _label(self, label: ast.Label, frame: Frame) -> str:
        text = ""
        for part in label.parts:
            value = part if isinstance(part, str) else self.evaluator.evaluate(part, frame)
            if isinstance(value, bool) or not isinstance(value, int | str):
                message = f"a label is made of names and whole numbers, not {kind_of(value)}"
                raise Problem("E0212", message, label.span)
            text += str(value)
        if not text.replace("_", "a").isalnum() or not text.isascii() or len(text) > 100:
            raise Problem("E0212", f"{text[:40]!r} cannot be a name", label.span)
        return text

    def _element(self, element: ast.Element, label: str | None, frame: Frame, flow: Flow) -> Flow:
        match element:
            case ast.Join():
                return self._join(element, label, frame, flow)
            case ast.For() | ast.Repeat():
                return self._loop(element, label, frame, flow)
            case ast.If():
                holds = self.evaluator.condition(element.condition, frame)
                body = element.then if holds else element.otherwise
                return flow if body is None else self._group(body, label, "if", frame, flow)
            case ast.Group():
                return self._group(element.body, label, "group", frame, flow)
            case _:
                return self._instance(element, label, frame, flow)

    def _group(
        self, body: ast.Body, label: str | None, kind: str, frame: Frame, flow: Flow
    ) -> Flow:
        """Statements in braces; a label makes them a part of their own."""
        path = frame.path
        if label is not None:
            path = path.inner(path.label(label, body.span))
            self.graph.scopes[path.name] = kind
        return self.run_body(body, frame.inner(path), flow)

    def _join(self, element: ast.Join, label: str | None, frame: Frame, flow: Flow) -> Flow:
        operator, span = frame.meaning(element.operator), element.operator.span
        if not isinstance(operator, type):
            raise Consequence(span)
        if len(element.branches) < 2:
            hint = f"{operator.name} {{ identity | … }}"
            raise Problem("E0206", f"{operator.name} joins two or more branches", span, hint=hint)
        name = frame.path.label(label, span) if label else None
        results = [self.run_body(branch, frame.inner(), flow) for branch in element.branches]
        operands = [result for result in results if isinstance(result, Node)]
        if any(isinstance(result, Poison) for result in results):
            return self.writer.stand_in(operands[0]) if operands else POISON
        if len(operands) < len(results):
            raise Problem("E0210", "a branch has no value yet", span)
        name = name or frame.path.number(operator.name, span)
        recipe = Recipe(operator, {}, frame.defaults)
        return self.writer.add(recipe, operands, frame.path, name, span)

    def _loop(
        self, loop: ast.For | ast.Repeat, label: str | None, frame: Frame, flow: Flow
    ) -> Flow:
        """Iterations of a labelled loop are parts `label.0`, `label.1`, …

        Where the body is a single call, the iteration's name is that of the called instance.
        """
        path = frame.path
        rounds = self._rounds(loop, frame)
        if label is not None:
            path = path.inner(path.label(label, loop.span))
            self.graph.scopes[path.name] = "loop"
        call = _single_call(loop.body) if label is not None else None
        for number, names in enumerate(rounds):
            self.evaluator.count(loop.span)
            inner = frame.inner(path).reading(flow)
            inner.values.update(names)
            if call is not None:
                flow = self._instance(call, str(number), inner, flow)
            elif label is not None:
                part = path.inner(path.label(str(number), loop.span))
                self.graph.scopes[part.name] = "iteration"
                flow = self.run_body(loop.body, replace(inner, path=part), flow)
            else:
                flow = self.run_body(loop.body, inner, flow)
            if isinstance(flow, Poison):
                return POISON
        return flow

    def _rounds(self, loop: ast.For | ast.Repeat, frame: Frame) -> list[dict[Local, Any]]:
        """The names that each iteration sets."""
        if isinstance(loop, ast.Repeat):
            count = self.evaluator.whole(loop.count, frame, "the count of repeat")
            if count > limits.LOOP_COUNT:
                message = f"a loop runs at most {limits.LOOP_COUNT:,} times"
                raise Problem("E0502", message, loop.count.span)
            return [{}] * count
        names = [frame.unit.meanings[id(name)] for name in loop.names]
        rounds = []
        for item in self.evaluator.items(loop.values, frame):
            values = [item] if len(names) == 1 else item
            if not isinstance(values, list) or len(values) != len(names):
                length = f" of {len(item)}" if isinstance(item, list) else ""
                raise Problem(
                    "E0208",
                    f"the loop has {len(names)} names, an item is {kind_of(item)}{length}",
                    loop.values.span,
                    hint="for i, x in enumerate(values) counts the items",
                )
            rounds.append(dict(zip(names, values, strict=True)))
        return rounds

    # Instances

    def _instance(
        self, element: ast.Expression, label: str | None, frame: Frame, flow: Flow
    ) -> Flow:
        if isinstance(frame.kept(element), Poison):
            return POISON
        value = self.evaluator.evaluate(element, frame)
        if isinstance(value, Recipe):
            return self._apply(value, _Instance(label, element.span), frame, flow)
        if isinstance(value, Node | Layer) and label is not None:
            message = f"a label names a new instance, not {kind_of(value)}"
            raise Problem("E0212", message, element.span)
        if isinstance(value, Node):
            return value
        if isinstance(value, Layer):
            value.uses += 1
            name = value.name if value.uses == 1 else f"{value.name}@{value.uses}"
            instance = _Instance(name, element.span, weights=value.name)
            return self._apply(value.recipe, instance, replace(frame, path=value.path), flow)
        raise Problem(
            "E0209",
            f"{kind_of(value)} cannot stand here",
            element.span,
            hint="a step is an operator, a block, a join or a kept value",
        )

    def _apply(self, recipe: Recipe, instance: _Instance, frame: Frame, flow: Flow) -> Flow:
        if isinstance(flow, Poison):
            return POISON
        target = recipe.target
        if isinstance(target, BlockValue):
            return self._apply_block(target, recipe, instance, frame, flow)
        if flow is None:
            raise Problem(
                "E0210",
                f"there is no value yet that {target.name} could be applied to",
                instance.span,
                hint="a network starts with: input image [3, 224, 224]",
            )
        if target.operands is None:
            usage = f"{target.name} {{ … | … }}"
            raise Problem("E0206", f"{target.name} joins branches: {usage}", instance.span)
        if target is Identity and instance.label is None:
            return flow
        name = instance.name(target.name, frame.path)
        return self.writer.add(recipe, [flow], frame.path, name, instance.span, instance.weights)

    def _apply_block(
        self,
        block: BlockValue,
        recipe: Recipe,
        instance: _Instance,
        frame: Frame,
        flow: Node | None,
    ) -> Flow:
        definition, span = block.definition, instance.span
        if any(definition is item for item in frame.items):
            note = Note("the block", definition.name.span)
            message = f"block {block.name} contains itself"
            raise Problem("E0504", message, span, hint="use repeat or for", notes=[note])
        if len(frame.items) >= limits.NESTING:
            raise Fatal("E0501", f"blocks are nested more than {limits.NESTING} deep", span)
        path = frame.path.inner(instance.name(block.name, frame.path), instance.weights)
        self.graph.scopes[path.name] = block.name
        inner = replace(
            self.frame(block.unit, definition, path).reading(flow),
            trail=(*frame.trail, Note(f"block {block.name}", span)),
            items=(*frame.items, definition),
        )
        given = {**recipe.defaults.get(block.name, {}), **recipe.given}
        self.bind_parameters(definition, given, inner, span)
        return self.run_body(definition.body, inner, flow)


def _kept_names(statement: ast.Statement) -> tuple[ast.Name, ...]:
    """The names that a statement gives values to."""
    match statement:
        case ast.Let() | ast.Assign():
            return statement.names
        case ast.LayerDeclaration() | ast.InputDeclaration():
            return (statement.name,)
    return ()


def _single_call(body: ast.Body) -> ast.Expression | None:
    """The call or name that is all of a body, or None."""
    if len(body.statements) != 1 or not isinstance(body.statements[0], ast.Chain):
        return None
    steps = body.statements[0].steps
    if len(steps) != 1 or steps[0].label is not None:
        return None
    element = steps[0].element
    return element if isinstance(element, ast.Call | ast.Name) else None
