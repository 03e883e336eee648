"""Follows the statements of networks and blocks, which always ends, and builds the graph.

A problem is recorded and its statement given up; what depends on it is skipped silently, so that
one run reports every independent error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cnndsl.diagnostics import Diagnostic, Span
from cnndsl.ir.graph import Auxiliary, Graph, Node
from cnndsl.ir.operators.structure import Input
from cnndsl.ir.types import Shape
from cnndsl.language import tree as ast
from cnndsl.language.convolutional import Windows
from cnndsl.language.evaluate import Evaluator
from cnndsl.language.findings import Findings
from cnndsl.language.instances import Instances
from cnndsl.language.interface import Opened, input_shape, loss_weight, photo_of
from cnndsl.language.joins import operands
from cnndsl.language.messages import Consequence, Problem
from cnndsl.language.paths import Path
from cnndsl.language.values import (
    POISON,
    Applicable,
    Flow,
    Frame,
    Given,
    Layer,
    Poison,
    at_hand,
    kind_of,
)
from cnndsl.language.writer import GraphWriter


@dataclass(frozen=True)
class Passage:
    """A value that comes to a step, if there is one, and what the step makes of it."""

    before: Node | None
    after: Node


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
        self.outputs: dict[str, Span] = {}
        self.passages: dict[Span, list[Passage]] = {}
        self.findings = Findings(known)
        self.writer = GraphWriter(self.graph, windows)
        self.evaluator = Evaluator(lambda chain, frame: self._value(chain, frame, frame.at))
        self.instances = Instances(self.graph, self.writer, self.evaluator, self.run_body)

    # Statements

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
                if isinstance(statement, ast.Chain | ast.InputDeclaration | ast.Return):
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
            case ast.OutputDeclaration() | ast.AuxiliaryDeclaration() if not frame.network:
                raise Problem("E0211", "an output stands directly in a network", statement.span)
            case ast.OutputDeclaration():
                self._output(statement, frame, flow)
            case ast.AuxiliaryDeclaration():
                self._auxiliary(statement, frame, flow)
            case ast.Return():
                return self._return(statement, frame, flow)
            case ast.Defaults():
                for default in statement.defaults:
                    self.instances.default(default, frame)
        return flow

    def _input(self, statement: ast.InputDeclaration, frame: Frame) -> Node:
        if not frame.network:
            raise Problem("E0211", "an input stands directly in a network", statement.span)
        name = frame.path.label(statement.name.text, statement.name.span)
        given = self.shapes.pop(statement.name.text, None)
        opened = self.opened.get(statement.name.text, {})
        declared = input_shape(statement, frame, self.evaluator, None, {})
        shape = input_shape(statement, frame, self.evaluator, given, opened)
        applied = Applicable(Input, {"shape": Given(shape, statement.shape.span)}, {})
        node = self.writer.add(applied, [], frame.path, name, statement.span)
        self.graph.inputs.append(node.name)
        if statement.photo is not None:
            self._photo(node.name, statement.photo, declared, frame)
        frame.keep(statement.name, node)
        return node

    def _photo(self, name: str, call: ast.Call, declared: Shape, frame: Frame) -> None:
        """How a photo becomes an input, as far as that is no problem."""
        try:
            self.graph.photos[name] = photo_of(call, declared, frame, self.evaluator)
        except Problem as problem:
            self.findings.report(problem, frame.trail)

    def _let(self, statement: ast.Let | ast.Assign, frame: Frame, flow: Flow) -> None:
        value = self._value(statement.chain, frame, flow)
        values = _apart(value, statement.names, statement.chain.span)
        for name, item in zip(statement.names, values, strict=True):
            frame.keep(name, item)

    def _value(self, chain: ast.Chain, frame: Frame, flow: Flow) -> Any:
        """A number, string or list is kept as it is; a chain is applied to the value at hand."""
        only = chain.steps[0]
        if len(chain.steps) > 1 or only.label or not isinstance(only.element, ast.Expression):
            result = self.run_chain(chain, frame, flow)
        else:
            value = self.evaluator.evaluate(only.element, frame)
            if not isinstance(value, Applicable | Layer):
                return value
            use = partial(self.instances.use, value, None, only.span, frame, flow)
            result = self._attempt(use, frame, flow)
        return at_hand(result, chain.span) if result is None else result

    def _return(self, statement: ast.Return, frame: Frame, flow: Flow) -> Flow:
        values = [self._value(chain, frame, flow) for chain in statement.chains]
        for value, chain in zip(values, statement.chains, strict=True):
            if not isinstance(value, Node | Poison | list):
                message = f"a block leaves values of the network, not {kind_of(value)}"
                raise Problem("E0209", message, chain.span)
        return values[0] if len(values) == 1 else values

    def _layer(self, statement: ast.LayerDeclaration, frame: Frame) -> None:
        value = self.evaluator.evaluate(statement.call, frame)
        if not isinstance(value, Applicable):
            raise Problem(
                "E0209",
                f"a layer is an operator or a block, this is {kind_of(value)}",
                statement.call.span,
            )
        name = frame.path.label(statement.name.text, statement.name.span)
        frame.keep(statement.name, Layer(name, value, frame.path))

    def _output(self, statement: ast.OutputDeclaration, frame: Frame, flow: Flow) -> None:
        names = [self._output_name(name, frame) for name in statement.names]
        value = self.run_chain(statement.chain, frame, flow)
        values = _apart(value, statement.names, statement.chain.span)
        for name, item, place in zip(names, values, statement.names, strict=True):
            if not isinstance(item, Poison):
                node = at_hand(item, statement.chain.span)
                self.graph.outputs[name] = node.name
            if isinstance(place, ast.Name):
                frame.keep(place, item)

    def _output_name(self, name: ast.Name | ast.Label, frame: Frame) -> str:
        """The name of an output, taken. Raises Problem."""
        text = name.text if isinstance(name, ast.Name) else self.evaluator.text(name, frame)
        if text in self.outputs:
            hint = None
            if self.outputs[text] == name.span:
                hint = "in a loop, put the counter into the name: output name{i} = …"
            message = f"the output {text!r} is declared twice"
            raise Problem("E0202", message, name.span, hint=hint)
        self.outputs[text] = name.span
        return text

    def _auxiliary(self, statement: ast.AuxiliaryDeclaration, frame: Frame, flow: Flow) -> None:
        name = self._output_name(statement.name, frame)
        weight = loss_weight(statement, frame, self.evaluator)
        if self.opened:
            return
        path = self._part(name, "auxiliary", statement.name.span, frame)
        result = self.run_chain(statement.chain, frame.inner(path), flow)
        if not isinstance(result, Poison):
            node = at_hand(result, statement.chain.span)
            self.graph.auxiliaries[name] = Auxiliary(node.name, weight)
            self.graph.stages.append((name, node.name))

    # Elements

    def run_chain(self, chain: ast.Chain, frame: Frame, flow: Flow) -> Flow:
        """Run the parts of a chain; labelled ones directly in a network are its stages."""
        for part in ast.parts(chain):
            label = self._label(part[0].label, frame)
            name, inner = label, frame
            if label is not None and len(part) > 1:
                name, inner = None, self._named(label, part[0], frame)
            for step in part:
                self.evaluator.count(step.span)
                if isinstance(flow, Poison) and not isinstance(frame.kept(step.element), Node):
                    return POISON
                element = partial(self._element, step.element, name, inner, flow)
                flow = self._passed(step, flow, self._attempt(element, frame, flow))
            if label and frame.network and not frame.path.name and isinstance(flow, Node):
                self.graph.stages.append((label, flow.name))
        return flow

    def _passed(self, step: ast.Step, before: Flow, after: Flow) -> Flow:
        """What a step has made of a value, which is noted."""
        if isinstance(after, Node):
            passage = Passage(before if isinstance(before, Node) else None, after)
            self.passages.setdefault(step.span, []).append(passage)
        return after

    def _label(self, label: ast.Label | None, frame: Frame) -> str | None:
        """The text of a label; none if it is wrong."""
        try:
            return self.evaluator.text(label, frame) if label else None
        except Problem as problem:
            self.findings.report(problem, frame.trail)
            return None

    def _named(self, label: str, first: ast.Step, frame: Frame) -> Frame:
        """The frame of the steps that a label names together; the same one if it is taken."""
        try:
            return frame.inner(self._part(label, "chain", first.element.span, frame))
        except Problem as problem:
            self.findings.report(problem, frame.trail)
            return frame

    def _part(self, label: str, kind: str, span: Span, frame: Frame) -> Path:
        """The path of a labelled part. Raises Problem."""
        path = frame.path.inner(frame.path.label(label, span))
        self.graph.scopes[path.name] = kind
        return path

    def _attempt(self, make: Callable[[], Flow], frame: Frame, flow: Flow) -> Flow:
        """What is made of a value; where that fails, a stand-in for it."""
        try:
            return make()
        except Problem as problem:
            self.findings.report(problem, frame.trail)
            return self.writer.stand_in(flow) if isinstance(flow, Node) else POISON

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
                return self._use(element, label, frame, flow)

    def _use(self, element: ast.Expression, label: str | None, frame: Frame, flow: Flow) -> Flow:
        if isinstance(frame.kept(element), Poison):
            return POISON
        value = self.evaluator.evaluate(element, frame)
        return self.instances.use(value, label, element.span, frame, flow)

    def _group(
        self, body: ast.Body, label: str | None, kind: str, frame: Frame, flow: Flow
    ) -> Flow:
        """Statements in braces; a label makes them a part of their own."""
        path = self._part(label, kind, body.span, frame) if label is not None else None
        return self.run_body(body, frame.inner(path), flow)

    def _join(self, element: ast.Join, label: str | None, frame: Frame, flow: Flow) -> Flow:
        operator, span = frame.meaning(element.operator), element.operator.span
        if not isinstance(operator, type):
            raise Consequence(span)
        name = frame.path.label(label, span) if label else None
        results = list(self._branches(element, frame, flow))
        only = results[0] if len(results) == len(element.branches) == 1 else None
        if isinstance(only, Node) and only.name in self.writer.doubtful:
            return only
        found = operands(element, operator, results)
        nodes = [value for value in found if isinstance(value, Node)]
        if len(nodes) < len(found):
            return self.writer.stand_in(nodes[0]) if nodes else POISON
        if len(nodes) == 1:
            return nodes[0]
        name = name or frame.path.number(operator.name, span)
        applied = Applicable(operator, {}, frame.defaults)
        return self.writer.add(applied, nodes, frame.path, name, span)

    def _branches(self, join: ast.Join, frame: Frame, flow: Flow) -> Iterator[Flow]:
        """What the branches make of the value at hand; a loop makes several."""
        for branch in join.branches:
            inner = frame.inner().reading(flow)
            if isinstance(branch, ast.Each):
                assert isinstance(branch.what, ast.Chain)
                for _ in self.evaluator.each(branch.rounds, inner):
                    yield self.run_chain(branch.what, inner, flow)
            elif len(join.branches) == 1 and (loop := ast.only_loop(branch)):
                for run in self._rounds(loop[1], self._label(loop[0], inner), inner):
                    yield run(flow)
            else:
                yield self.run_body(branch, inner, flow)

    def _loop(
        self, loop: ast.For | ast.Repeat, label: str | None, frame: Frame, flow: Flow
    ) -> Flow:
        for run in self._rounds(loop, label, frame):
            flow = run(flow)
            if isinstance(flow, Poison):
                return POISON
        return flow

    def _rounds(
        self, loop: ast.For | ast.Repeat, label: str | None, frame: Frame
    ) -> Iterator[Callable[[Flow], Flow]]:
        """What each round does with a value, to be done before the next one is asked for.

        Rounds of a labelled loop are parts `label.0`, `label.1`, … Where the body is a single
        call, the round's name is that of the called instance.
        """
        rounds = self.evaluator.rounds(loop, frame)
        path = self._part(label, "loop", loop.span, frame) if label is not None else None
        step = ast.only_step(loop.body)
        call = step.element if step and not step.label else None
        for number, names in enumerate(rounds):
            self.evaluator.count(loop.span)
            frame.values.update(names)
            inner = frame.inner(path)
            if step and label is not None and isinstance(call, ast.Call | ast.Name):
                yield partial(self._named_round, step, call, str(number), inner)
                continue
            if label is not None:
                part = self._part(str(number), "iteration", loop.span, inner)
                inner = replace(inner, path=part)
            yield partial(self.run_body, loop.body, inner)

    def _named_round(
        self, step: ast.Step, call: ast.Expression, name: str, frame: Frame, flow: Flow
    ) -> Flow:
        return self._passed(step, flow, self._use(call, name, frame.reading(flow), flow))


def _kept_names(statement: ast.Statement) -> tuple[ast.Name, ...]:
    """The names that a statement gives values to."""
    match statement:
        case ast.Let() | ast.Assign():
            return statement.names
        case ast.LayerDeclaration() | ast.InputDeclaration():
            return (statement.name,)
    return ()


def _apart(value: Any, names: Sequence[ast.Tree], span: Span) -> Sequence[Any]:
    """A value for each of the names: for one the value itself, for several its items."""
    if len(names) == 1 or isinstance(value, Poison):
        return [value] * len(names)
    if not isinstance(value, list) or len(value) != len(names):
        length = f" of {len(value)}" if isinstance(value, list) else ""
        message = f"there are {len(names)} names, what they are to keep is {kind_of(value)}{length}"
        raise Problem("E0223", message, span)
    return value
