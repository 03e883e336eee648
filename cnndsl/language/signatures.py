"""Arguments of a call to the parameters of an operator or block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from cnndsl.diagnostics import Note, Span
from cnndsl.ir.attributes import attribute_kinds, required_attributes
from cnndsl.language import tree as ast
from cnndsl.language.foreign import argument_remark
from cnndsl.language.messages import Problem, meant
from cnndsl.language.units import BlockValue


@dataclass(frozen=True)
class Signature:
    """What a callee takes: parameter names in order, and which have no default."""

    name: str
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    place: Span | None = None

    def __str__(self) -> str:
        shown = [p if p in self.required else f"{p}=…" for p in self.parameters]
        return f"{self.name}({', '.join(shown)})"


def signature_of(target: type | BlockValue) -> Signature:
    """The signature of an operator, a block or `photo`."""
    if isinstance(target, BlockValue):
        return definition_signature(target.definition)
    return _operator_signature(target)


@cache
def _operator_signature(operator: Any) -> Signature:
    return Signature(operator.name, tuple(attribute_kinds(operator)), required_attributes(operator))


def definition_signature(definition: ast.Definition) -> Signature:
    """The signature of a block or network definition."""
    return Signature(
        definition.name.text,
        tuple(p.name.text for p in definition.parameters),
        tuple(p.name.text for p in definition.parameters if p.default is None),
        definition.name.span,
    )


def match_arguments(
    signature: Signature, arguments: Sequence[ast.Argument], span: Span, given: set[str]
) -> dict[str, ast.Argument]:
    """Arguments by parameter name. Positional ones fill what is not `given` yet, in order.

    Raises Problem for an unknown keyword, a value given twice, and too many values.
    """
    notes = [Note(f"it is {signature}", signature.place)]
    free = [p for p in signature.parameters if p not in given]
    matched: dict[str, ast.Argument] = {}
    for argument in arguments:
        if argument.name is None:
            if not free:
                count = len(signature.parameters)
                takes = "no arguments" if not count else f"at most {count} arguments"
                raise Problem(
                    "E0206",
                    f"{signature.name} takes {takes}",
                    argument.span,
                    hint=argument_remark(signature.name) if signature.place is None else None,
                    notes=notes,
                )
            name = free.pop(0)
        else:
            name = argument.name.text
            if name not in signature.parameters:
                raise Problem(
                    "E0205",
                    f"{signature.name} has no parameter {name!r}",
                    argument.name.span,
                    hint=meant(name, signature.parameters)
                    or (argument_remark(signature.name) if signature.place is None else None),
                    notes=notes,
                )
            if name in free:
                free.remove(name)
        if name in matched:
            raise Problem("E0206", f"{name} is given twice", argument.span, notes=notes)
        matched[name] = argument
    return matched


def check_complete(signature: Signature, given: set[str], span: Span) -> None:
    """Raise Problem if a parameter without a default is not given."""
    missing = [p for p in signature.required if p not in given]
    if missing:
        raise Problem(
            "E0204",
            f"{signature.name} needs {' and '.join(missing)}",
            span,
            notes=[Note(f"it is {signature}", signature.place)],
        )
