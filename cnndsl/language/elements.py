"""Runs what chains are made of: instances of operators, blocks and layers, joins and loops."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from cnndsl.diagnostics import Note, Span
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import BY_NAME
from cnndsl.ir.operators.structure import Identity
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.convolutional import Windows
from cnndsl.language.evaluate import Evaluator
from cnndsl.language.findings import Findings
from cnndsl.language.paths import Path
from cnndsl.language.problem import Fatal, Problem, meant
from cnndsl.language.units import BlockValue, NetworkItem, Unit
from cnndsl.language.values import Frame, Layer, Recipe, Settings, Tensor, kind_of
from cnndsl.language.writer import GraphWriter


class Poison:
    """The result of a statement that failed."""


POISON = Poison()
Flow: TypeAlias = Node | Poison | None
"""The value at hand: a node, the result of a failure, or nothing before the first input."""


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


class Elements(ABC):
    """Elements of chains. A subclass runs statements and sets up the frames of blocks."""

    def __init__(self, graph: Graph, windows: Windows):
        self.graph = graph
        self.findings = Findings()
        self.writer = GraphWriter(graph, windows)
        self.evaluator = Evaluator()

    @abstractmethod
    def run_body(self, body: ast.Body, frame: Frame, flow: Flow) -> Flow:
        """Run statements in order."""

    @abstractmethod
    def frame(self, unit: Unit, item: NetworkItem, path: Path) -> Frame:
        """A fresh frame for an item of a file."""

    @abstractmethod
    def bind_parameters(
        self, definition: ast.Definition, given: Settings, frame: Frame, span: Span
    ) -> None:
        """Give a definition's parameters their values."""

    def run_chain(self, chain: ast.Chain, frame: Frame, flow: Flow) -> Flow:
        """Run the steps; labelled ones directly in a network are its stages."""
        for step in chain.steps:
            self.evaluator.count(step.span)
            if isinstance(flow, Poison) and not _starts_anew(step.element, frame):
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
        operator, span = BY_NAME.get(element.operator.text), element.operator.span
        if operator is None or operator.operands is not None:
            joins = [name for name, op in BY_NAME.items() if op.operands is None]
            hint = meant(element.operator.text, joins) or f"joins: {', '.join(joins)}"
            message = f"{element.operator.text!r} does not join branches"
            raise Problem("E0201", message, span, hint=hint)
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
            inner.names.table.update(names)
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

    def _rounds(self, loop: ast.For | ast.Repeat, frame: Frame) -> list[dict[str, Any]]:
        """The names that each iteration sets."""
        if isinstance(loop, ast.Repeat):
            count = self.evaluator.whole(loop.count, frame, "the count of repeat")
            if count > limits.LOOP_COUNT:
                message = f"a loop runs at most {limits.LOOP_COUNT:,} times"
                raise Problem("E0502", message, loop.count.span)
            return [{}] * count
        names = [name.text for name in loop.names]
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
        value = self.evaluator.evaluate(element, frame)
        if isinstance(value, Recipe):
            return self._apply(value, _Instance(label, element.span), frame, flow)
        if isinstance(value, Tensor | Layer) and label is not None:
            message = f"a label names a new instance, not {kind_of(value)}"
            raise Problem("E0212", message, element.span)
        if isinstance(value, Tensor):
            return value.node or POISON
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


def _single_call(body: ast.Body) -> ast.Expression | None:
    """The call or name that is all of a body, or None."""
    if len(body.statements) != 1 or not isinstance(body.statements[0], ast.Chain):
        return None
    steps = body.statements[0].steps
    if len(steps) != 1 or steps[0].label is not None:
        return None
    element = steps[0].element
    return element if isinstance(element, ast.Call | ast.Name) else None


def _starts_anew(element: ast.Element, frame: Frame) -> bool:
    """Whether an element is a kept value, which does not depend on the value at hand."""
    return isinstance(element, ast.Name) and isinstance(frame.names.find(element.text), Tensor)
