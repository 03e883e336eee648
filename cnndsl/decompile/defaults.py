"""Arguments that most calls have, as defaults of the file."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

from cnndsl.decompile.calls import default_of
from cnndsl.decompile.program import Block, Call, Program, Value
from cnndsl.ir.operator import Operator

DEFINITION = 4
"""Words of one default."""


def set_defaults(program: Program) -> None:
    """Give operators the defaults that save words."""
    calls: dict[type[Operator], list[list[Value]]] = {}
    for chain in program.chains():
        for item in chain:
            if isinstance(item, Call) and not isinstance(item.callee, Block):
                calls.setdefault(item.callee, []).append(item.arguments)
    for operator, rows in calls.items():
        own = {}
        for attribute, column in zip(fields(operator), zip(*rows, strict=True), strict=True):
            default = default_of(attribute)
            counts = Counter(column)
            value, count = counts.most_common(1)[0]
            if default is None or isinstance(value, tuple) or None in counts:
                continue
            if value != default and 4 * count >= 3 * len(column) and 2 * count > DEFINITION:
                own[attribute.name] = value
        if own:
            program.defaults[operator] = own
