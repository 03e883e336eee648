"""Settings of a network from outside of its text: texts for parameters that are operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cnndsl.diagnostics import CnnError, Diagnostic
from cnndsl.language import tree as ast
from cnndsl.language.instances import Instances
from cnndsl.language.messages import Problem
from cnndsl.language.parse.parser import parse_expression
from cnndsl.language.paths import Path
from cnndsl.language.resolve import resolve_expression
from cnndsl.language.units import BlockValue, Unit
from cnndsl.language.values import Applicable, Given, Settings, kind_of


def with_operators(
    settings: Settings, definition: ast.Definition, unit: Unit, instances: Instances
) -> Settings:
    """The settings, with texts such as `relu` or `conv(kernel=5)` as what they stand for.

    Parameters whose default is an operator or block take one, as the definition's file knows it.
    Raises Problem.
    """
    takers = {p.name.text for p in definition.parameters if _is_operator(p.default, unit)}
    return {
        name: _operator(given, definition, unit, instances)
        if name in takers and isinstance(given.value, str)
        else given
        for name, given in settings.items()
    }


def _is_operator(default: ast.Expression | None, unit: Unit) -> bool:
    while isinstance(default, ast.Call):
        default = default.callee
    return isinstance(unit.meanings.get(id(default)), BlockValue | type)


def _operator(given: Given, definition: ast.Definition, unit: Unit, instances: Instances) -> Given:
    span = given.span
    start = span.source.text.index("=", span.start) + 1
    try:
        expression: Any = parse_expression(span.source, start, span.end)
    except CnnError as error:
        raise _problem(error.diagnostics[0], given) from None
    if wrong := resolve_expression(unit, expression):
        raise _problem(wrong[0], given)
    frame = instances.frame(unit, definition, Path())
    value = instances.evaluator.evaluate(expression, frame)
    if not isinstance(value, Applicable):
        raise Problem("E0209", f"this takes an operator or a block, not {kind_of(value)}", span)
    return replace(given, value=value)


def _problem(found: Diagnostic, given: Given) -> Problem:
    span = found.span or given.span
    return Problem(found.code, found.message, span, hint=found.hint, notes=found.notes)
