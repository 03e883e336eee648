"""Instances of operators, blocks and layers: what a value does where it is a step of a chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from cnndsl.diagnostics import Note, Span
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators.structure import Identity
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.evaluate import Evaluator
from cnndsl.language.messages import Fatal, Problem
from cnndsl.language.paths import Path
from cnndsl.language.signatures import check_complete, definition_signature, signature_of
from cnndsl.language.units import BlockValue, NetworkItem, Unit
from cnndsl.language.values import (
    POISON,
    Applicable,
    Flow,
    Frame,
    Given,
    Layer,
    Poison,
    Settings,
    at_hand,
    kind_of,
)
from cnndsl.language.writer import GraphWriter


@dataclass(frozen=True)
class Instance:
    """How an instance is called: its label, if it has one, and whose weights it uses."""

    label: str | None
    span: Span
    weights: str | None = None

    def name(self, kind: str, path: Path) -> str:
        """Take the instance's name in its path. A layer's names are its own."""
        if self.label is None:
            return path.number(kind, self.span)
        return self.label if self.weights else path.label(self.label, self.span)


@dataclass(frozen=True)
class Called:
    """The place of a call, and the block that is called."""

    span: Span
    block: BlockValue


@dataclass(frozen=True)
class Instances:
    """Makes instances in a graph; `run` follows the statements of a block.

    `calls` tells of each instance of a block, by its path, where it is called.
    """

    graph: Graph
    writer: GraphWriter
    evaluator: Evaluator
    run: Callable[[ast.Body, Frame, Flow], Flow]
    calls: dict[str, Called] = field(default_factory=dict)

    def frame(self, unit: Unit, item: NetworkItem, path: Path) -> Frame:
        """A fresh frame for an item of a file, with the file's defaults above it."""
        frame = Frame(unit, {}, {}, path, items=(item,))
        for default in unit.defaults_at[id(item)]:
            self.default(default, frame)
        return frame

    def default(self, default: ast.Default, frame: Frame) -> None:
        """Let arguments hold in a frame. Raises Problem."""
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

    def use(self, value: Any, label: str | None, span: Span, frame: Frame, flow: Flow) -> Flow:
        """A value as a step of a chain. Raises Problem."""
        if isinstance(value, Applicable):
            return self.apply(value, Instance(label, span), frame, flow)
        kept = isinstance(value, Node) or _several(value)
        if label is not None and (kept or isinstance(value, Layer)):
            message = f"a label names a new instance, not {kind_of(value)}"
            raise Problem("E0212", message, span)
        if kept:
            return value  # type: ignore[no-any-return]
        if isinstance(value, Layer):
            value.uses += 1
            name = value.name if value.uses == 1 else f"{value.name}@{value.uses}"
            instance = Instance(name, span, weights=value.name)
            return self.apply(value.applied, instance, replace(frame, path=value.path), flow)
        raise Problem(
            "E0209",
            f"{kind_of(value)} cannot stand here",
            span,
            hint=_applied_items(value) or "a step is an operator, a block, a join or a kept value",
        )

    def apply(self, applied: Applicable, instance: Instance, frame: Frame, flow: Flow) -> Flow:
        """An operator or block applied to the value at hand. Raises Problem."""
        if isinstance(flow, Poison):
            return POISON
        target = applied.target
        if isinstance(target, BlockValue):
            return self._block(target, applied, instance, frame, flow)
        node = at_hand(flow, instance.span, f" that {target.name} could be applied to")
        if target.operands is None:
            usage = f"{target.name} {{ … | … }}"
            raise Problem("E0206", f"{target.name} joins branches: {usage}", instance.span)
        if target is Identity and instance.label is None:
            return node
        name = instance.name(target.name, frame.path)
        return self.writer.add(applied, [node], frame.path, name, instance.span, instance.weights)

    def _block(
        self,
        block: BlockValue,
        applied: Applicable,
        instance: Instance,
        frame: Frame,
        flow: Flow,
    ) -> Flow:
        definition, span = block.definition, instance.span
        depth = sum(definition is item for item in frame.items)
        nested = len(frame.items) >= limits.NESTING
        if depth >= limits.RECURSION or (depth and nested):
            message = f"block {block.name} contains itself more than {depth} deep"
            hint = f"let a parameter fall and end it: if depth > 0 {{ {block.name}(depth - 1) }}"
            note = Note("the block", definition.name.span)
            raise Fatal("E0504", message, span, hint=hint, notes=[note])
        if nested:
            raise Fatal("E0501", f"blocks are nested more than {limits.NESTING} deep", span)
        path = frame.path.inner(instance.name(block.name, frame.path), instance.weights)
        self.graph.scopes[path.name] = block.name
        self.calls[path.name] = Called(span, block)
        inner = replace(
            self.frame(block.unit, definition, path).reading(flow),
            trail=(*frame.trail, Note(f"block {block.name}", span)),
            items=(*frame.items, definition),
        )
        given = {**applied.defaults.get(block.name, {}), **applied.given}
        self.bind_parameters(definition, given, inner, span)
        self.graph.arguments[path.name] = {
            name.text: value
            for name in (parameter.name for parameter in definition.parameters)
            if isinstance(value := inner.kept(name), int | float | str)
        }
        return self.run(definition.body, inner, flow)


def _applied_items(value: Any) -> str | None:
    """What to write for a list of operators or blocks where their values are meant."""
    if isinstance(value, list) and any(isinstance(item, Applicable) for item in value):
        return "the list holds operators or blocks; identity -> relu in it is what one makes"
    return None


def _several(value: Any) -> bool:
    """Whether a value is a list of values of the network."""
    return isinstance(value, list) and all(isinstance(v, Node | Poison) for v in value)
