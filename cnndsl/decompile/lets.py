"""Kept values as a person writes them: `let x = conv(64, 3)`, and then `x -> maxpool(2)`.

A chain that keeps the value at hand says so in a line of its own, `let x = identity`. Where the
statement before it makes just this value, the name can stand before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnndsl.decompile.program import (
    SHORT,
    Call,
    If,
    Item,
    Join,
    Layer,
    Let,
    Loop,
    Program,
    Ref,
    has_lines,
    statements,
)


def keep_results(program: Program) -> None:
    """Let statements be kept whose value is kept, in all chains that are written in lines."""
    pending = [(program.body, True), *((block.body, False) for block in program.blocks)]
    while pending:
        chain, lines = pending.pop()
        pending += [(item.body, has_lines(item, lines)) for item in chain if isinstance(item, Loop)]
        chain[:] = _kept(statements(chain, lines))


def _kept(parts: list[list[Item]]) -> list[Item]:
    found: list[list[Item]] = []
    for index, part in enumerate(parts):
        following = parts[index + 1][0] if index + 1 < len(parts) else None
        let, chain = _let_of_identity(part), found.pop() if found else []
        if let and chain and _is_chain([chain[0], following]):
            if found and len(found[-1]) <= SHORT and _is_chain(found[-1], Call | Ref):
                chain = found.pop() + chain
            if not isinstance(following, Ref):
                parts[index + 1].insert(0, Ref(let.symbol))
            found.append([Let(let.symbol, chain)])
        else:
            found += [chain, part]
    return [item for part in found for item in part]


def _let_of_identity(part: Sequence[Item]) -> Let | None:
    """What keeps the value at hand, if the statement does nothing else."""
    first = part[0]
    return first if isinstance(first, Let) and len(part) == 1 and not first.chain else None


def _is_chain(part: Sequence[Item | None], kinds: Any = Call | Join | If | Layer | Ref) -> bool:
    return bool(part) and all(isinstance(item, kinds) for item in part)
