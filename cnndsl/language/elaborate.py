"""Networks to graphs: follows a network's definition, walks it, and names its outputs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from cnndsl.diagnostics import CnnError, Diagnostic, Note, Severity, Span
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators.structure import Input
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.convolutional import Windows, declared_windows
from cnndsl.language.instances import Called
from cnndsl.language.interface import Opened
from cnndsl.language.messages import Consequence, Fatal, Problem, meant
from cnndsl.language.paths import Path
from cnndsl.language.recipes import recipe_of
from cnndsl.language.settings import with_operators
from cnndsl.language.signatures import (
    Signature,
    check_complete,
    definition_signature,
    match_arguments,
)
from cnndsl.language.units import NetworkItem, Unit
from cnndsl.language.values import Flow, Given, Poison, Settings
from cnndsl.language.walk import Passage, Walk
from cnndsl.recipes.recipe import Recipe

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Shapes of one sample by input name, in the place of declared ones."""


@dataclass(frozen=True, eq=False)
class Elaborated:
    """The graph of a network of a text, and all findings about both, in the order of the text.

    `declared` is the graph for the declared shapes, if fully connected layers slide over larger
    ones: those of `windows`, each with what it is declared for. `passages` are the values that
    went through each step, `calls` the instances of blocks by their paths. `recipe` is how the text
    says that the network is trained.
    """

    graph: Graph
    findings: tuple[Diagnostic, ...]
    unit: Unit
    item: NetworkItem
    settings: Settings
    shapes: Shapes
    windows: Windows = field(default_factory=dict)
    declared: Graph | None = None
    passages: Mapping[Span, Sequence[Passage]] = field(default_factory=dict)
    calls: Mapping[str, Called] = field(default_factory=dict)
    recipe: Recipe | None = None

    def sound(self) -> Elaborated:
        """The same, if there is no error among the findings. Raises CnnError with all of them."""
        raise_errors(self.findings)
        return self

    def opened(self, sizes: Opened) -> Elaborated:
        """The same with some sizes left open.

        Training-only heads, many of which need a known size, are not in the open graph.
        """
        parts = (self.unit, self.item, self.settings, self.shapes, self.windows)
        walk = _walk(*parts, opened=sizes)
        return replace(self, graph=walk.graph, findings=tuple(walk.findings.diagnostics))


def elaborate(
    unit: Unit, item: NetworkItem, settings: Settings | None = None, shapes: Shapes | None = None
) -> Elaborated:
    """The graph of a network of a unit, with settings for its parameters and shapes of its inputs.

    Where a fully connected layer meets a larger map than the declared one, it becomes a
    convolution. Where settings are to blame for errors, there is one error for each such setting.
    Raises CnnError (E0604) for the shape of an input that the network does not have.
    """
    settings, shapes = settings or {}, shapes or {}
    declared = _walk(unit, item, settings, {}, {}) if shapes else None
    known = declared and not _errors(declared.findings.diagnostics)
    windows = declared_windows(declared.graph) if declared and known else {}
    walk = _walk(unit, item, settings, shapes, windows)
    errors = _errors(walk.findings.diagnostics)
    if settings and errors:
        blamed = _wrong_settings(unit, item, settings, shapes)
        walk.findings.diagnostics = blamed or _with_settings(errors, settings)
    written = recipe_of(unit, item)
    as_declared = not settings and not shapes and not _errors(walk.findings.diagnostics)
    if written is not None and as_declared:
        walk.findings.diagnostics += written.findings(walk.graph)
    findings = [*unit.all_findings(), *walk.findings.diagnostics]
    if walk.shapes and not _errors(findings):
        inputs = f"inputs: {', '.join(walk.graph.inputs)}"
        raise CnnError.of("E0604", f"no input {', '.join(walk.shapes)}", hint=inputs)
    sliding = walk.writer.sliding
    return Elaborated(
        walk.graph,
        tuple(in_order(findings)),
        unit,
        item,
        settings,
        shapes,
        {name: windows[name] for name in sliding},
        declared.graph if declared and sliding else None,
        walk.passages,
        walk.instances.calls,
        written.recipe if written else None,
    )


def _walk(
    unit: Unit,
    item: NetworkItem,
    settings: Settings,
    shapes: Shapes,
    windows: Windows,
    opened: Opened | None = None,
) -> Walk:
    """One walk through a network, its findings among the walk's."""
    walk = Walk(item.name.text, shapes, windows, unit.all_findings(), opened or {})
    trail = (Note(f"in network {item.name.text}", item.name.span),)
    frames = sys.getrecursionlimit()
    sys.setrecursionlimit(max(frames, limits.FRAMES))
    owner = next(owner for owner, found in unit.networks.values() if found is item)
    try:
        owner, definition, given = _definition(walk, owner, item, settings)
        frame = replace(walk.instances.frame(owner, definition, Path()), network=True, trail=trail)
        walk.instances.bind_parameters(definition, given, frame, definition.name.span)
        _finish(walk, walk.run_body(definition.body, frame, None), definition)
    except Fatal as problem:
        walk.findings.add(replace(problem.diagnostic, trail=trail))
    except Problem as problem:
        walk.findings.report(problem, trail)
    except RecursionError:
        message = "the network is nested too deeply"
        walk.findings.add(Diagnostic("E0501", message, item.name.span))
    finally:
        sys.setrecursionlimit(frames)
    return walk


def _definition(
    walk: Walk, unit: Unit, item: NetworkItem, settings: Settings
) -> tuple[Unit, ast.Definition, Settings]:
    """Follow `network a = b(…)` to the definition, collecting arguments. Raises Problem."""
    declared: dict[str, Given] = {}
    asked = unit, item
    seen: list[NetworkItem] = []
    while isinstance(item, ast.Alias):
        if item in seen:
            raise Problem("E0216", f"{item.name.text!r} is defined by itself", item.name.span)
        seen.append(item)
        callee, arguments = _call_parts(item.call)
        if callee.text not in unit.networks:
            raise Consequence(callee.span)
        frame = walk.instances.frame(unit, item, Path())
        unit, target = unit.networks[callee.text]
        if isinstance(target, ast.Definition):
            signature = definition_signature(target)
            matched = match_arguments(signature, arguments, item.call.span, set())
            for name, argument in matched.items():
                value = walk.evaluator.evaluate(argument.value, frame)
                declared.setdefault(name, Given(value, argument.span))
            check_complete(signature, {*declared, *settings}, item.call.span)
        elif arguments:
            raise Problem(
                "E0206",
                f"{callee.text} is defined by a call already",
                item.call.span,
                hint="call the network that it calls",
            )
        item = target
    _check_settings(definition_signature(item), settings)
    given = with_operators(settings, declared, [asked, (unit, item)], walk.instances)
    return unit, item, {**declared, **given}


def _call_parts(call: ast.Expression) -> tuple[ast.Name, tuple[ast.Argument, ...]]:
    """Callee and arguments of `network a = b(…)` or `= b`. Raises Problem."""
    if isinstance(call, ast.Name):
        return call, ()
    if isinstance(call, ast.Call) and isinstance(call.callee, ast.Name):
        return call.callee, call.arguments
    raise Problem("E0209", "a network is defined by a call of another network", call.span)


def _finish(walk: Walk, end: Flow, definition: ast.Definition) -> None:
    """Name the output, and report values that nothing uses. Raises Problem."""
    graph = walk.graph
    if isinstance(end, Node) and not graph.outputs:
        graph.outputs["output"] = end.name
    if isinstance(end, Poison) or walk.findings.failed:
        return
    if isinstance(end, list) and not graph.outputs:
        last = definition.body.statements[-1].span
        hint = "name the outputs: output a, b = …"
        raise Problem("E0223", f"the network ends with {len(end)} values", last, hint=hint)
    if not graph.outputs:
        message = f"network {definition.name.text} has no output"
        hint = "a network starts with: input image [3, 224, 224]"
        raise Problem("E0213", message, definition.name.span, hint=hint)
    made = {*graph.outputs.values(), *(head.node for head in graph.auxiliaries.values())}
    unread = [graph[name] for name, readers in graph.nx.out_degree if not readers]
    for node in unread:
        if node.name not in made and node.spans:
            what = "input" if isinstance(node.op, Input) else "value"
            message = f"the {what} {node.name!r} is never used"
            span = min(node.spans, key=lambda s: s.start)
            walk.findings.add(Diagnostic("W0202", message, span))


# Settings


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


def _wrong_settings(
    unit: Unit, item: NetworkItem, settings: Settings, shapes: Shapes
) -> list[Diagnostic]:
    """An error for each setting that spoils a network which has none without the settings.

    Parameters without a default keep theirs; if there are errors already then, it is empty.
    """

    def errors(some: Settings) -> list[Diagnostic]:
        return _errors(_walk(unit, item, some, shapes, {}).findings.diagnostics)

    required = definition_signature(item).required if isinstance(item, ast.Definition) else ()
    needed = {name: setting for name, setting in settings.items() if name in required}
    if errors(needed):
        return []
    return [
        _blame(setting.span, error, item)
        for name, setting in settings.items()
        for error in errors({**needed, name: setting})[:1]
    ]


def _blame(place: Span, error: Diagnostic, item: NetworkItem) -> Diagnostic:
    """The error at the setting that causes it, with a note on the place where it was met."""
    if error.span is None or error.span.source is place.source:
        return error
    setting = place.source.text[place.start : place.end]
    setting = setting if len(setting) <= 60 else f"{setting[:57]}..."
    message = f"{setting} does not fit network {item.name.text}: {error.message}"
    notes = (Note("this is where it fails", error.span), *error.notes)
    return replace(error, message=message, span=place, notes=notes)


def _with_settings(errors: list[Diagnostic], settings: Settings) -> list[Diagnostic]:
    """The errors, the first with notes on all settings."""
    first, *others = errors
    notes = [Note("this is given", s.span) for s in settings.values() if s.span != first.span]
    return [replace(first, notes=(*first.notes, *notes)), *others]


# Findings


def raise_errors(findings: Sequence[Diagnostic]) -> None:
    """Raise CnnError with all findings if there is an error among them."""
    if _errors(findings):
        raise CnnError(in_order(findings))


def in_order(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The findings in the order of the text."""
    return sorted(findings, key=_place)


def _errors(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    return [found for found in findings if found.severity == Severity.ERROR]


def _place(diagnostic: Diagnostic) -> tuple[str, int]:
    span = diagnostic.span
    return (span.source.name, span.start) if span else ("", 0)
