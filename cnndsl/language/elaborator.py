"""Syntax tree to graph: runs the statements of a network, which always ends.

A problem is recorded and its statement given up; what depends on it is skipped silently, so that
one run reports every independent error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from cnndsl.diagnostics import Diagnostic, Note, Span
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Auxiliary, Graph, Node
from cnndsl.ir.operators import BY_NAME
from cnndsl.ir.operators.structure import Identity, Input
from cnndsl.ir.types import Shape
from cnndsl.language import limits
from cnndsl.language import syntax as ast
from cnndsl.language.arguments import check_complete, definition_signature, match_arguments
from cnndsl.language.evaluate import Evaluator
from cnndsl.language.loader import NetworkItem, Unit
from cnndsl.language.problem import Fatal, Problem, did_you_mean
from cnndsl.language.values import (
    BlockValue,
    Frame,
    Given,
    Layer,
    Names,
    Recipe,
    Settings,
    Tensor,
    kind_of,
)
from cnndsl.language.writer import GraphWriter, Path


class Poison:
    """The result of a statement that failed."""


POISON = Poison()
Flow: TypeAlias = Node | Poison | None
"""The value at hand: a node, the result of a failure, or nothing before the first input."""


class Elaborator:
    """Builds the graph of one network.

    `input_shapes` replaces declared shapes by input name. With `open_sizes` every spatial size
    is left open. The findings are in `diagnostics` afterwards.
    """

    def __init__(
        self,
        name: str,
        input_shapes: Mapping[str, tuple[int, ...]] | None = None,
        *,
        open_sizes: bool = False,
    ):
        self.graph = Graph(name)
        self.input_shapes = dict(input_shapes or {})
        self.open_sizes = open_sizes
        self.diagnostics: list[Diagnostic] = []
        self.writer = GraphWriter(self.graph)
        self.evaluator = Evaluator()
        self.failed_inputs = False

    def run(self, unit: Unit, item: NetworkItem, settings: Settings) -> None:
        """Elaborate a network of a unit with settings for its parameters."""
        try:
            definition_unit, definition, given = self._resolve(unit, item, settings)
            frame = self._frame(definition_unit, definition, (), ())
            frame = replace(frame, network=True)
            self._bind_parameters(definition, given, frame, None, definition.name.span)
            trail = (Note(f"in network {item.name.text}", item.name.span),)
            frame = replace(frame, trail=trail)
            end = self._statements(definition.body, frame, Path(), None)
            self._finish(end, definition)
        except Problem as problem:
            self._report(problem, ())
        except RecursionError:
            message = "the network is nested too deeply"
            self.diagnostics.append(Diagnostic("E0501", message, item.name.span))

    def _resolve(
        self, unit: Unit, item: NetworkItem, settings: Settings
    ) -> tuple[Unit, ast.Definition, Settings]:
        """Follow `network a = b(…)` to the definition, collecting arguments."""
        given = dict(settings)
        seen: list[NetworkItem] = []
        while isinstance(item, ast.Alias):
            if item in seen:
                raise Problem("E0216", f"{item.name.text!r} is defined by itself", item.name.span)
            seen.append(item)
            callee, arguments = _call_parts(item.call)
            if callee.text not in unit.networks:
                raise Problem(
                    "E0201",
                    f"unknown network {callee.text!r}",
                    callee.span,
                    hint=did_you_mean(callee.text, unit.networks),
                )
            frame = Frame(unit, Names(), {})
            other_unit, other = unit.networks[callee.text]
            if arguments and isinstance(other, ast.Alias):
                raise Problem(
                    "E0206",
                    f"{callee.text} is defined by a call already",
                    item.call.span,
                    hint="call the network that it calls",
                )
            if isinstance(other, ast.Definition):
                signature = definition_signature(other)
                matched = match_arguments(signature, arguments, item.call.span, set())
                for name, argument in matched.items():
                    value = self.evaluator.evaluate(argument.value, frame, None)
                    given.setdefault(name, Given(value, argument.span))
            unit, item = other_unit, other
        signature = definition_signature(item)
        for name, setting in settings.items():
            if name not in signature.parameters:
                raise Problem(
                    "E0205",
                    f"network {signature.name} has no parameter {name!r}",
                    setting.span,
                    hint=did_you_mean(name, signature.parameters)
                    or f"it has: {', '.join(signature.parameters) or 'none'}",
                )
        return unit, item, given

    # Findings

    def _report(self, problem: Problem, trail: tuple[Note, ...]) -> None:
        diagnostic = replace(problem.diagnostic, trail=trail)
        self._add(diagnostic)
        if isinstance(problem, Fatal):
            raise problem

    def _add(self, diagnostic: Diagnostic) -> None:
        known = {(d.code, d.message, d.span) for d in self.diagnostics}
        if (diagnostic.code, diagnostic.message, diagnostic.span) not in known:
            self.diagnostics.append(diagnostic)

    def _finish(self, end: Flow, definition: ast.Definition) -> None:
        """Name the output, and report values that nothing uses."""
        failed = isinstance(end, Poison) or bool(self.diagnostics)
        if isinstance(end, Node) and not self.graph.outputs:
            self.graph.outputs["output"] = end.name
        if failed:
            return
        if not self.graph.outputs:
            message = f"network {definition.name.text} has no output"
            hint = "a network starts with: input image [3, 224, 224]"
            raise Problem("E0213", message, definition.name.span, hint=hint)
        for node in self.graph.nodes():
            used = self.graph.consumers(node) or self.graph.output_names(node)
            if not used and node.spans:
                what = "input" if isinstance(node.op, Input) else "value"
                message = f"the {what} {node.name!r} is never used"
                self._add(Diagnostic("W0202", message, min(node.spans, key=lambda s: s.start)))

    # Frames

    def _frame(
        self,
        unit: Unit,
        definition: ast.Definition,
        trail: tuple[Note, ...],
        blocks: tuple[ast.Definition, ...],
    ) -> Frame:
        frame = Frame(unit, Names(), {}, trail, (*blocks, definition))
        for default in unit.defaults_at[id(definition)]:
            self._default(default, frame, None)
        return frame

    def _default(self, default: ast.Default, frame: Frame, at: Node | None) -> None:
        target = frame.unit.blocks.get(default.name.text) or BY_NAME.get(default.name.text)
        if target is None:
            return
        given = dict(frame.defaults.get(default.name.text, {}))
        for argument in default.arguments:
            if argument.name is not None:
                value = self.evaluator.evaluate(argument.value, frame, at)
                given[argument.name.text] = Given(value, argument.span)
        frame.defaults[default.name.text] = given

    def _bind_parameters(
        self,
        definition: ast.Definition,
        given: Settings,
        frame: Frame,
        at: Node | None,
        span: Span,
    ) -> None:
        check_complete(definition_signature(definition), set(given), span)
        for parameter in definition.parameters:
            name = parameter.name.text
            if name in given:
                frame.names.table[name] = given[name].value
            elif parameter.default is not None:
                value = self.evaluator.evaluate(parameter.default, frame, at)
                frame.names.table[name] = value

    # Statements

    def _statements(self, body: ast.Body, frame: Frame, path: Path, flow: Flow) -> Flow:
        for statement in body.statements:
            flow = self._statement(statement, frame, path, flow)
        return flow

    def _statement(self, statement: ast.Statement, frame: Frame, path: Path, flow: Flow) -> Flow:
        self.evaluator.count(statement.span)
        try:
            match statement:
                case ast.Chain():
                    return self._chain(statement, frame, path, flow)
                case ast.InputDeclaration():
                    return self._input(statement, frame, path)
                case ast.Let():
                    value = self._let(statement, frame, path, flow)
                    frame.names.table[statement.name.text] = value
                case ast.LayerDeclaration():
                    self._layer(statement, frame, path, flow)
                case ast.OutputDeclaration() | ast.AuxiliaryDeclaration():
                    self._output(statement, frame, path, flow)
                case ast.Defaults():
                    at = flow if isinstance(flow, Node) else None
                    for default in statement.defaults:
                        self._default(default, frame, at)
        except Problem as problem:
            self._report(problem, frame.trail)
            if isinstance(statement, ast.Let | ast.LayerDeclaration):
                frame.names.table[statement.name.text] = Tensor(None)
            elif isinstance(statement, ast.Chain | ast.InputDeclaration):
                return POISON
        return flow

    def _input(self, statement: ast.InputDeclaration, frame: Frame, path: Path) -> Node:
        if not frame.network:
            raise Problem("E0211", "an input stands directly in a network", statement.span)
        name = path.label(statement.name.text, statement.name.span)
        shape = self._input_shape(statement, frame)
        recipe = Recipe(Input, {"shape": Given(shape, statement.shape.span)}, {})
        node = self.writer.add(recipe, [], path, name, statement.span)
        self.graph.inputs.append(node.name)
        frame.names.table[name] = Tensor(node)
        return node

    def _input_shape(self, statement: ast.InputDeclaration, frame: Frame) -> Shape:
        sizes: list[Any] = []
        for item in statement.shape.items:
            is_symbol = isinstance(item, ast.Name) and frame.names.find(item.text) is None
            if is_symbol and isinstance(item, ast.Name):
                sizes.append(OpenDim.symbol(item.text))
            else:
                sizes.append(self.evaluator.evaluate(item, frame, None))
        given = self.input_shapes.pop(statement.name.text, None)
        if given is not None:
            sizes = list(given)
        elif self.open_sizes:
            axes = {1: "L", 2: "HW", 3: "DHW"}.get(len(sizes) - 1, "")
            sizes[1:] = [OpenDim.symbol(axis) for axis in axes]
        for position, size in enumerate(sizes):
            whole = type(size) is int and 1 <= size <= limits.MAGNITUDE
            if not whole and not (position > 0 and isinstance(size, OpenDim)):
                raise Problem(
                    "E0304",
                    "an input's sizes are whole numbers from 1, or names for open ones; "
                    "the channels are never open",
                    statement.shape.span,
                )
        if not 1 <= len(sizes) <= 4:
            raise Problem(
                "E0304",
                f"an input has channels and up to 3 spatial sizes, not {len(sizes)} sizes",
                statement.shape.span,
                hint="[channels, height, width]",
            )
        return tuple(sizes)

    def _let(self, statement: ast.Let, frame: Frame, path: Path, flow: Flow) -> Any:
        """A number, string, list, block or operator stays one; a chain is applied."""
        steps = statement.chain.steps
        element = steps[0].element
        if len(steps) == 1 and steps[0].label is None and _is_expression(element):
            at = flow if isinstance(flow, Node) else None
            value = self.evaluator.evaluate(element, frame, at)  # type: ignore[arg-type]
            if not isinstance(value, Recipe | Layer | Tensor):
                return value
        result = self._chain(statement.chain, frame, path, flow)
        return Tensor(result if isinstance(result, Node) else None)

    def _layer(self, statement: ast.LayerDeclaration, frame: Frame, path: Path, flow: Flow) -> None:
        at = flow if isinstance(flow, Node) else None
        value = self.evaluator.evaluate(statement.call, frame, at)
        if not isinstance(value, Recipe):
            raise Problem(
                "E0209",
                f"a layer is an operator or a block, this is {kind_of(value)}",
                statement.call.span,
            )
        name = path.label(statement.name.text, statement.name.span)
        frame.names.table[name] = Layer(name, value, statement.span)

    def _output(
        self,
        statement: ast.OutputDeclaration | ast.AuxiliaryDeclaration,
        frame: Frame,
        path: Path,
        flow: Flow,
    ) -> None:
        if not frame.network:
            raise Problem("E0211", "an output stands directly in a network", statement.span)
        name = statement.name.text
        if name in self.graph.outputs or name in self.graph.auxiliaries:
            raise Problem("E0202", f"the output {name!r} is declared twice", statement.name.span)
        weight = 1.0
        if isinstance(statement, ast.AuxiliaryDeclaration):
            weight = self._loss_weight(statement, frame)
        before = len(self.graph.stages)
        node = self._chain(statement.chain, frame, path, flow)
        if isinstance(node, Poison):
            return
        if node is None:
            raise Problem("E0210", "there is no value yet", statement.span)
        if isinstance(statement, ast.OutputDeclaration):
            self.graph.outputs[name] = node.name
        else:
            self.graph.auxiliaries[name] = Auxiliary(node.name, weight)
            del self.graph.stages[before:]
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
        value = self.evaluator.evaluate(statement.arguments[0].value, frame, None)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise Problem(
                "E0309",
                f"the loss weight is a number from 0, not {kind_of(value)}",
                statement.arguments[0].span,
            )
        return float(value)

    # Elements

    def _chain(self, chain: ast.Chain, frame: Frame, path: Path, flow: Flow) -> Flow:
        for step in chain.steps:
            self.evaluator.count(step.span)
            if isinstance(flow, Poison) and not _starts_anew(step.element, frame):
                return POISON
            label = self._label(step.label, frame, flow) if step.label else None
            flow = self._element(step.element, label, step, frame, path, flow)
            if label and frame.network and not path.name and isinstance(flow, Node):
                self.graph.stages.append((label, flow.name))
        return flow

    def _label(self, label: ast.Label, frame: Frame, flow: Flow) -> str:
        at = flow if isinstance(flow, Node) else None
        text = ""
        for part in label.parts:
            value = part if isinstance(part, str) else self.evaluator.evaluate(part, frame, at)
            if isinstance(value, bool) or not isinstance(value, int | str):
                raise Problem(
                    "E0212",
                    f"a label is made of names and whole numbers, not {kind_of(value)}",
                    label.span,
                )
            text += str(value)
        if not text.replace("_", "a").isalnum() or len(text) > 100:
            raise Problem("E0212", f"{text[:40]!r} cannot be a name", label.span)
        return text

    def _element(
        self,
        element: ast.Element,
        label: str | None,
        step: ast.Step,
        frame: Frame,
        path: Path,
        flow: Flow,
    ) -> Flow:
        match element:
            case ast.Join():
                return self._join(element, label, frame, path, flow)
            case ast.For() | ast.Repeat():
                return self._loop(element, label, frame, path, flow)
            case ast.If():
                at = flow if isinstance(flow, Node) else None
                holds = self.evaluator.condition(element.condition, frame, at)
                body = element.then if holds else element.otherwise
                return flow if body is None else self._group(body, label, "if", frame, path, flow)
            case ast.Group():
                return self._group(element.body, label, "group", frame, path, flow)
            case _:
                return self._apply_expression(element, label, step, frame, path, flow)

    def _group(
        self, body: ast.Body, label: str | None, kind: str, frame: Frame, path: Path, flow: Flow
    ) -> Flow:
        if label is not None:
            path = path.inner(path.label(label, body.span))
            self.graph.scopes[path.name] = kind
        return self._statements(body, frame.inner(), path, flow)

    def _join(
        self, join_: ast.Join, label: str | None, frame: Frame, path: Path, flow: Flow
    ) -> Flow:
        operator = BY_NAME.get(join_.operator.text)
        joins = [name for name, op in BY_NAME.items() if op.operands is None]
        if operator is None or operator.operands is not None:
            raise Problem(
                "E0201",
                f"{join_.operator.text!r} does not join branches",
                join_.operator.span,
                hint=did_you_mean(join_.operator.text, joins) or f"joins: {', '.join(joins)}",
            )
        if len(join_.branches) < 2:
            raise Problem(
                "E0206",
                f"{operator.name} joins two or more branches",
                join_.span,
                hint=f"{operator.name} {{ identity | … }}",
            )
        results = [self._statements(b, frame.inner(), path, flow) for b in join_.branches]
        if any(isinstance(result, Poison) for result in results):
            return POISON
        operands = [result for result in results if isinstance(result, Node)]
        if len(operands) < len(results):
            raise Problem("E0210", "a branch has no value yet", join_.span)
        span = Span(join_.span.source, join_.operator.span.start, join_.operator.span.end)
        name = path.label(label, span) if label else path.number(operator.name, span)
        recipe = Recipe(operator, {}, dict(frame.defaults))
        return self.writer.add(recipe, operands, path, name, span)

    def _loop(
        self,
        loop: ast.For | ast.Repeat,
        label: str | None,
        frame: Frame,
        path: Path,
        flow: Flow,
    ) -> Flow:
        """Iterations of a labelled loop are parts `label.0`, `label.1`, …

        Where the body is a single call, the iteration's name is that of the called instance.
        """
        at = flow if isinstance(flow, Node) else None
        rounds = self._rounds(loop, frame, at)
        if label is not None:
            path = path.inner(path.label(label, loop.span))
            self.graph.scopes[path.name] = "loop"
        call = _single_call(loop.body) if label is not None else None
        for number, names in enumerate(rounds):
            inner = frame.inner()
            inner.names.table.update(names)
            if call is not None:
                step = ast.Step(call.span, None, call)
                inner = replace(inner, network=False)
                try:
                    flow = self._element(call, str(number), step, inner, path, flow)
                except Problem as problem:
                    self._report(problem, frame.trail)
                    return POISON
            else:
                part = path
                if label is not None:
                    part = path.inner(path.label(str(number), loop.span))
                    self.graph.scopes[part.name] = "iteration"
                flow = self._statements(loop.body, inner, part, flow)
            if isinstance(flow, Poison):
                return POISON
        return flow

    def _rounds(
        self, loop: ast.For | ast.Repeat, frame: Frame, at: Node | None
    ) -> list[dict[str, Any]]:
        """The names that each iteration sets."""
        if isinstance(loop, ast.Repeat):
            count = self.evaluator.whole(loop.count, frame, at, "the count of repeat")
            if count > limits.LOOP_COUNT:
                message = f"a loop runs at most {limits.LOOP_COUNT:,} times"
                raise Problem("E0502", message, loop.count.span)
            return [{}] * count
        names = [name.text for name in loop.names]
        rounds = []
        for item in self.evaluator.items(loop.values, frame, at):
            values = [item] if len(names) == 1 else item
            if not isinstance(values, list) or len(values) != len(names):
                raise Problem(
                    "E0208",
                    f"the loop has {len(names)} names, an item is {kind_of(item)}"
                    + (f" of {len(values)}" if isinstance(values, list) else ""),
                    loop.values.span,
                    hint="for i, x in enumerate(values) counts the items",
                )
            rounds.append(dict(zip(names, values, strict=True)))
        return rounds

    # Application

    def _apply_expression(
        self,
        element: ast.Expression,
        label: str | None,
        step: ast.Step,
        frame: Frame,
        path: Path,
        flow: Flow,
    ) -> Flow:
        at = flow if isinstance(flow, Node) else None
        value = self.evaluator.evaluate(element, frame, at)
        match value:
            case Tensor() | Layer() if label is not None and isinstance(value, Tensor):
                raise Problem("E0212", "a label names a new instance, not a value", step.span)
            case Tensor():
                return value.node or POISON
            case Layer():
                return self._apply_layer(value, element.span, frame, path, flow)
            case Recipe():
                return self._apply(value, label, element.span, frame, path, flow)
            case _:
                raise Problem(
                    "E0209",
                    f"{kind_of(value)} cannot stand here",
                    element.span,
                    hint="a step is an operator, a block, a join or a kept value",
                )

    def _apply(
        self,
        recipe: Recipe,
        label: str | None,
        span: Span,
        frame: Frame,
        path: Path,
        flow: Flow,
        weights: str | None = None,
    ) -> Flow:
        if isinstance(flow, Poison):
            return POISON
        target = recipe.target
        if isinstance(target, BlockValue):
            return self._apply_block(target, recipe, label, span, frame, path, flow, weights)
        if flow is None:
            raise Problem(
                "E0210",
                f"there is no value yet that {target.name} could be applied to",
                span,
                hint="a network starts with: input image [3, 224, 224]",
            )
        if target.operands is None:
            raise Problem("E0206", f"{target.name} joins branches: {target.name} {{ … | … }}", span)
        if target is Identity and label is None:
            return flow
        name = label if label is not None else path.number(target.name, span)
        if label is not None and weights is None:
            path.label(label, span)
        return self.writer.add(recipe, [flow], path, name, span, weights)

    def _apply_block(
        self,
        block: BlockValue,
        recipe: Recipe,
        label: str | None,
        span: Span,
        frame: Frame,
        path: Path,
        flow: Node | None,
        weights: str | None,
    ) -> Flow:
        definition = block.definition
        if any(definition is outer for outer in frame.blocks):
            raise Problem(
                "E0504",
                f"block {block.name} contains itself",
                span,
                hint="use repeat or for",
                notes=[Note("the block", definition.name.span)],
            )
        if len(frame.blocks) >= limits.NESTING:
            raise Fatal("E0501", f"blocks are nested more than {limits.NESTING} deep", span)
        name = label if label is not None else path.number(block.name, span)
        if label is not None and weights is None:
            path.label(label, span)
        trail = (*frame.trail, Note(f"block {block.name}", span))
        inner = self._frame(block.unit, definition, trail, frame.blocks)
        given = {**recipe.defaults.get(block.name, {}), **recipe.given}
        self._bind_parameters(definition, given, inner, flow, span)
        part = path.inner(name, weights)
        self.graph.scopes[part.name] = block.name
        return self._statements(definition.body, inner, part, flow)

    def _apply_layer(self, layer: Layer, span: Span, frame: Frame, path: Path, flow: Flow) -> Flow:
        layer.uses += 1
        label = layer.name if layer.uses == 1 else f"{layer.name}@{layer.uses}"
        return self._apply(layer.recipe, label, span, frame, path, flow, weights=layer.name)


def _call_parts(call: ast.Expression) -> tuple[ast.Name, tuple[ast.Argument, ...]]:
    """Callee and arguments of `network a = b(…)` or `= b`. Raises Problem."""
    if isinstance(call, ast.Name):
        return call, ()
    if isinstance(call, ast.Call) and isinstance(call.callee, ast.Name):
        return call.callee, call.arguments
    raise Problem("E0209", "a network is defined by a call of another network", call.span)


def _single_call(body: ast.Body) -> ast.Expression | None:
    """The call or name that is all of a body, or None."""
    if len(body.statements) != 1 or not isinstance(body.statements[0], ast.Chain):
        return None
    steps = body.statements[0].steps
    if len(steps) != 1 or steps[0].label is not None:
        return None
    element = steps[0].element
    return element if isinstance(element, ast.Call | ast.Name) else None


def _is_expression(element: ast.Element) -> bool:
    return not isinstance(element, ast.Join | ast.If | ast.For | ast.Repeat | ast.Group)


def _starts_anew(element: ast.Element, frame: Frame) -> bool:
    """Whether an element is a kept value, which does not depend on the value at hand."""
    return isinstance(element, ast.Name) and isinstance(frame.names.find(element.text), Tensor)
