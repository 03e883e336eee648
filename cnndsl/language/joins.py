"""What a join joins: the values that its branches leave."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.language import tree as ast
from cnndsl.language.messages import Problem
from cnndsl.language.values import Flow, Poison, at_hand


def operands(
    join: ast.Join, operator: type[Operator], results: Sequence[Flow]
) -> list[Node | Poison]:
    """The values of all branches in order; one with several results brings them all.

    There may be one alone where a loop or a list makes the branches, and the join takes any number:
    it is left as it is. Raises Problem if there are none, too few, or too many.
    """
    span = join.operator.span
    found: list[Node | Poison] = []
    for result in results:
        for value in result if isinstance(result, list) else [result]:
            if not isinstance(value, Poison):
                value = at_hand(value, span, " in a branch")
            found.append(value)
    written = len(join.branches) == 1 and not makes_several(join.branches[0])
    if not found or (written and not isinstance(results[0], list | Poison)):
        what = "joins two or more branches" if found else "has nothing to join: the list is empty"
        hint = f"{operator.name} {{ identity | … }}"
        raise Problem("E0206", f"{operator.name} {what}", span, hint=hint)
    takes = operator().takes
    if not takes(len(found)) and not (len(found) == 1 and takes(3)):
        count = "one value" if len(found) == 1 else f"{len(found)} values"
        hint = f"cnndsl explain {operator.name} tells what it takes"
        raise Problem("E0206", f"{operator.name} cannot join {count}", span, hint=hint)
    return found


def makes_several(branch: ast.Body | ast.Each) -> bool:
    """Whether a branch is a loop of which each round makes a branch."""
    return isinstance(branch, ast.Each) or ast.only_loop(branch) is not None
