"""Networks to graphs: follows a network's definition, runs it, and names its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from cnndsl.diagnostics import Diagnostic, Note, Severity, Span
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators.structure import Input
from cnndsl.language import tree as ast
from cnndsl.language.arguments import (
    Signature,
    check_complete,
    definition_signature,
    match_arguments,
)
from cnndsl.language.convolutional import Windows
from cnndsl.language.elements import Flow, Poison
from cnndsl.language.interpreter import Interpreter
from cnndsl.language.paths import Path
from cnndsl.language.problem import Problem, meant
from cnndsl.language.units import NetworkItem, Unit
from cnndsl.language.values import Given, Settings


class Elaborator:
    """Builds the graph of one network.

    `input_shapes` replaces declared shapes by input name; what no input took is left in it.
    `opened` names sizes that stay open, by input and axis; training-only heads are left out then.
    Fully connected layers slide over maps larger than their `windows`. The findings are in
    `diagnostics` afterwards.
    """

    def __init__(
        self,
        name: str,
        input_shapes: Mapping[str, tuple[int, ...]] | None = None,
        windows: Windows | None = None,
        *,
        opened: Mapping[str, Mapping[str, str]] | None = None,
    ):
        self.graph = Graph(name)
        self.input_shapes = dict(input_shapes or {})
        self._again = partial(Elaborator, name, input_shapes, windows, opened=opened)
        self.interpreter = Interpreter(
            self.graph, self.input_shapes, windows or {}, opened=opened or {}
        )

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """All findings so far."""
        return self.interpreter.findings.diagnostics

    @property
    def sliding(self) -> set[str]:
        """The fully connected layers that became convolutions, by path."""
        return self.interpreter.writer.sliding

    def run(self, unit: Unit, item: NetworkItem, settings: Settings) -> None:
        """Elaborate a network of a unit with settings for its parameters.

        Where settings are to blame for the errors, there is one error for each such setting.
        """
        errors = self._run(unit, item, settings)
        if settings and errors:
            blamed = self._wrong_settings(unit, item, settings)
            self.interpreter.findings.diagnostics = blamed or _with_settings(errors, settings)

    def _wrong_settings(
        self, unit: Unit, item: NetworkItem, settings: Settings
    ) -> list[Diagnostic]:
        """An error for each setting that spoils a network which has none without the settings.

        Parameters without a default keep theirs; if there are errors already then, it is empty.
        """
        needed = {name: s for name, s in settings.items() if name in _required(item)}
        if self._again()._run(unit, item, needed):
            return []
        found = []
        for name, setting in settings.items():
            errors = self._again()._run(unit, item, {**needed, name: setting})
            found += [_blame(setting.span, error, item) for error in errors[:1]]
        return found

    def _run(self, unit: Unit, item: NetworkItem, settings: Settings) -> list[Diagnostic]:
        """Elaborate; gives the errors."""
        trail = (Note(f"in network {item.name.text}", item.name.span),)
        try:
            unit, definition, given = self._resolve(unit, item, settings)
            frame = self.interpreter.frame(unit, definition, Path())
            frame = replace(frame, network=True, trail=trail)
            self.interpreter.bind_parameters(definition, given, frame, definition.name.span)
            end = self.interpreter.run_body(definition.body, frame, None)
            self._finish(end, definition)
        except Problem as problem:
            self.interpreter.findings.add(replace(problem.diagnostic, trail=trail))
        except RecursionError:
            message = "the network is nested too deeply"
            self.interpreter.findings.add(Diagnostic("E0501", message, item.name.span))
        return [found for found in self.diagnostics if found.severity == Severity.ERROR]

    def _resolve(
        self, unit: Unit, item: NetworkItem, settings: Settings
    ) -> tuple[Unit, ast.Definition, Settings]:
        """Follow `network a = b(…)` to the definition, collecting arguments. Raises Problem."""
        given = dict(settings)
        seen: list[NetworkItem] = []
        while isinstance(item, ast.Alias):
            if item in seen:
                raise Problem("E0216", f"{item.name.text!r} is defined by itself", item.name.span)
            seen.append(item)
            callee, arguments = _call_parts(item.call)
            if callee.text not in unit.networks:
                hint = meant(callee.text, unit.networks)
                raise Problem("E0201", f"unknown network {callee.text!r}", callee.span, hint=hint)
            frame = self.interpreter.frame(unit, item, Path())
            unit, target = unit.networks[callee.text]
            if isinstance(target, ast.Definition):
                signature = definition_signature(target)
                matched = match_arguments(signature, arguments, item.call.span, set())
                for name, argument in matched.items():
                    value = self.interpreter.evaluator.evaluate(argument.value, frame)
                    given.setdefault(name, Given(value, argument.span))
                check_complete(signature, set(given), item.call.span)
            elif arguments:
                raise Problem(
                    "E0206",
                    f"{callee.text} is defined by a call already",
                    item.call.span,
                    hint="call the network that it calls",
                )
            item = target
        _check_settings(definition_signature(item), settings)
        return unit, item, given

    def _finish(self, end: Flow, definition: ast.Definition) -> None:
        """Name the output, and report values that nothing uses. Raises Problem."""
        if isinstance(end, Node) and not self.graph.outputs:
            self.graph.outputs["output"] = end.name
        if isinstance(end, Poison) or self.diagnostics:
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
                span = min(node.spans, key=lambda s: s.start)
                self.interpreter.findings.add(Diagnostic("W0202", message, span))


def _required(item: NetworkItem) -> tuple[str, ...]:
    return definition_signature(item).required if isinstance(item, ast.Definition) else ()


def _blame(place: Span, error: Diagnostic, item: NetworkItem) -> Diagnostic:
    """The error at the setting that causes it, with a note on the place where it was met."""
    if error.span is None or error.span.source is place.source:
        return error
    setting = place.source.text[place.start : place.end]
    message = f"{setting} does not fit network {item.name.text}: {error.message}"
    notes = (Note("this is where it fails", error.span), *error.notes)
    return replace(error, message=message, span=place, notes=notes)


def _with_settings(errors: list[Diagnostic], settings: Settings) -> list[Diagnostic]:
    """The errors, the first with notes on all settings."""
    first, *others = errors
    notes = [Note("this is given", s.span) for s in settings.values() if s.span != first.span]
    return [replace(first, notes=(*first.notes, *notes)), *others]


def _check_settings(signature: Signature, settings: Settings) -> None:
    for name, setting in settings.items():
        if name not in signature.parameters:
            known = f"it has: {', '.join(signature.parameters) or 'none'}"
            raise Problem(
                "E0205",
                f"network {signature.name} has no parameter {name!r}",
                setting.span,
                hint=meant(name, signature.parameters) or known,
            )


def _call_parts(call: ast.Expression) -> tuple[ast.Name, tuple[ast.Argument, ...]]:
    """Callee and arguments of `network a = b(…)` or `= b`. Raises Problem."""
    if isinstance(call, ast.Name):
        return call, ()
    if isinstance(call, ast.Call) and isinstance(call.callee, ast.Name):
        return call.callee, call.arguments
    raise Problem("E0209", "a network is defined by a call of another network", call.span)
