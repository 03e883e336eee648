"""Settings of a network from outside of its text: texts for parameters that are operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from cnndsl.diagnostics import CnnError, Diagnostic
from cnndsl.language import tree as ast
from cnndsl.language.instances import Instances
from cnndsl.language.messages import Problem
from cnndsl.language.parse.parser import parse_expression
from cnndsl.language.paths import Path
from cnndsl.language.resolve import resolve_expression
from cnndsl.language.units import BlockValue, NetworkItem, Unit
from cnndsl.language.values import Applicable, Given, Settings, kind_of

Place: TypeAlias = tuple[Unit, NetworkItem]
"""A network and its file, which knows the names in a text."""


def with_operators(
    settings: Settings, declared: Settings, places: Sequence[Place], instances: Instances
) -> Settings:
    """The settings, with texts such as `relu` or `conv(kernel=5)` as what they stand for.

    Parameters whose default is an operator or block take one, and so do those for which the call
    that declares the network has one. Names are those of the first of the `places` that knows them
    all; the last one is the definition. Raises Problem.
    """
    unit, definition = places[-1]
    assert isinstance(definition, ast.Definition)
    takers = {p.name.text for p in definition.parameters if _is_operator(p.default, unit)}
    takers |= {name for name, given in declared.items() if isinstance(given.value, Applicable)}
    return {
        name: _operator(given, places, instances)
        if name in takers and isinstance(given.value, str)
        else given
        for name, given in settings.items()
    }


def _is_operator(default: ast.Expression | None, unit: Unit) -> bool:
    while isinstance(default, ast.Call):
        default = default.callee
    return isinstance(unit.meanings.get(id(default)), BlockValue | type)


def _operator(given: Given, places: Sequence[Place], instances: Instances) -> Given:
    span = given.span
    start = span.source.text.index("=", span.start) + 1
    try:
        expression: Any = parse_expression(span.source, start, span.end)
    except CnnError as error:
        raise _problem(error.diagnostics[0], given) from None
    found = [(place, resolve_expression(place[0], expression)) for place in places]
    (unit, item), wrong = min(found, key=lambda each: len(each[1]))
    if wrong:
        raise _problem(wrong[0], given)
    frame = instances.frame(unit, item, Path())
    value = instances.evaluator.evaluate(expression, frame)
    if not isinstance(value, Applicable):
        raise Problem("E0209", f"this takes an operator or a block, not {kind_of(value)}", span)
    return replace(given, value=value)


def _problem(found: Diagnostic, given: Given) -> Problem:
    span = found.span or given.span
    return Problem(found.code, found.message, span, hint=found.hint, notes=found.notes)
