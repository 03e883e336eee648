"""Expressions to values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cnndsl.diagnostics import CnnError, Span
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Node
from cnndsl.ir.types import AXES
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.arithmetic import calculated, checked_number, negated, too_large, too_long
from cnndsl.language.functions import Function, Size
from cnndsl.language.messages import Consequence, Fatal, Problem
from cnndsl.language.scopes import Local
from cnndsl.language.signatures import match_arguments, signature_of
from cnndsl.language.values import (
    POISON,
    Applicable,
    Flow,
    Frame,
    Given,
    Layer,
    at_hand,
    kind_of,
)


class Evaluator:
    """Evaluates expressions and counts the steps of one elaboration.

    `chain` applies a chain that is an item of a list to the value at hand.
    """

    def __init__(self, chain: Callable[[ast.Chain, Frame], Any]) -> None:
        self.chain = chain
        self.steps = 0

    def count(self, span: Span) -> None:
        """One more step. Raises Fatal when there are too many."""
        self.steps += 1
        if self.steps > limits.STEPS:
            raise Fatal("E0503", f"the network takes more than {limits.STEPS:,} steps", span)

    def evaluate(self, node: ast.Expression, frame: Frame) -> Any:
        """The value of an expression. Raises Problem."""
        self.count(node.span)
        match node:
            case ast.Literal():
                return node.value
            case ast.Name():
                return self._name(node, frame)
            case ast.Parenthesised():
                return self.evaluate(node.inner, frame)
            case ast.ListOf():
                values = [value for item in node.items for value in self._listed(item, frame)]
                return self._sized(values, node.span)
            case ast.Unary():
                return self._unary(node, frame)
            case ast.Binary(operator="and" | "or"):
                left = self.condition(node.left, frame)
                decided = left if node.operator == "or" else not left
                return left if decided else self.condition(node.right, frame)
            case ast.Binary():
                left, right = self.evaluate(node.left, frame), self.evaluate(node.right, frame)
                value = calculated(node.operator, left, right, node.span)
                return self._sized(value, node.span) if isinstance(value, list) else value
            case ast.Conditional():
                holds = self.condition(node.condition, frame)
                return self.evaluate(node.then if holds else node.otherwise, frame)
            case ast.Index():
                return self._index(node, frame)
            case ast.Call():
                return self._call(node, frame)

    def condition(self, node: ast.Expression, frame: Frame) -> bool:
        """The truth of an expression; only true and false will do. Raises Problem."""
        value = self.evaluate(node, frame)
        if not isinstance(value, bool):
            raise Problem(
                "E0208", f"a condition is true or false, this is {kind_of(value)}", node.span
            )
        return value

    def whole(self, node: ast.Expression, frame: Frame, what: str) -> int:
        """A whole number from 0. Raises Problem."""
        value = self.evaluate(node, frame)
        if type(value) is not int or value < 0:
            shown = value if isinstance(value, int | float) else kind_of(value)
            raise Problem("E0208", f"{what} is a whole number from 0, not {shown}", node.span)
        return value

    def text(self, label: ast.Label, frame: Frame) -> str:
        """A name with the values of the expressions in its braces. Raises Problem."""
        text = ""
        for part in label.parts:
            value = part if isinstance(part, str) else self.evaluate(part, frame)
            if isinstance(value, bool) or not isinstance(value, int | str):
                message = f"a label is made of names and whole numbers, not {kind_of(value)}"
                raise Problem("E0212", message, label.span)
            text += str(value)
        if not text.replace("_", "a").isalnum() or not text.isascii() or len(text) > 100:
            raise Problem("E0212", f"{text[:40]!r} cannot be a name", label.span)
        return text

    def rounds(
        self, loop: ast.For | ast.Repeat | ast.Rounds, frame: Frame
    ) -> Iterator[dict[Local, Any]]:
        """The names that each round of a loop sets. Raises Problem."""
        if isinstance(loop, ast.Repeat):
            count = self.whole(loop.count, frame, "the count of repeat")
            if count > limits.LOOP_COUNT:
                message = f"a loop runs at most {limits.LOOP_COUNT:,} times"
                raise Problem("E0502", message, loop.count.span)
            return iter([{}] * count)
        names = [frame.unit.meanings[id(name)] for name in loop.names]
        rounds = []
        for item in self._items(loop.values, frame):
            values = [item] if len(names) == 1 else item
            if not isinstance(values, list) or len(values) != len(names):
                length = f" of {len(item)}" if isinstance(item, list) else ""
                raise Problem(
                    "E0208",
                    f"the loop has {len(names)} names, an item is {kind_of(item)}{length}",
                    loop.values.span,
                    hint="for i, x in enumerate(values) counts the items",
                )
            rounds.append(dict(zip(names, values, strict=True)))
        return iter(rounds)

    def each(self, rounds: ast.Rounds, frame: Frame) -> Iterator[None]:
        """Set the names of each round for which the condition holds. Raises Problem."""
        for names in self.rounds(rounds, frame):
            self.count(rounds.span)
            frame.values.update(names)
            if rounds.condition is None or self.condition(rounds.condition, frame):
                yield

    def _listed(self, item: ast.Listed, frame: Frame) -> list[Any]:
        """The values that an item of a list brings."""
        if isinstance(item, ast.Each):
            return [
                v for _ in self.each(item.rounds, frame) for v in self._listed(item.what, frame)
            ]
        if isinstance(item, ast.Chain):
            return [self.chain(item, frame)]
        return [self.evaluate(item, frame)]

    def _items(self, node: ast.Expression, frame: Frame) -> list[Any]:
        value = self.evaluate(node, frame)
        if not isinstance(value, list):
            hint = "for i in range(n), or repeat n" if isinstance(value, int) else None
            raise Problem(
                "E0208", f"a loop needs a list, this is {kind_of(value)}", node.span, hint=hint
            )
        return value

    def _name(self, node: ast.Name, frame: Frame) -> Any:
        meaning = frame.meaning(node)
        match meaning:
            case None:
                raise Consequence(node.span)
            case Local():
                value = frame.kept(node)
                if value is POISON:
                    raise Consequence(node.span)
                return value
            case Size():
                return self._size(meaning.name, frame.at, node.span)
            case Function():
                raise Problem("E0209", f"{meaning.name} is a function: {meaning.usage}", node.span)
            case str():
                return meaning
        return Applicable(meaning, {}, dict(frame.defaults))

    def _size(self, name: str, flow: Flow, span: Span) -> Any:
        at = at_hand(flow, span, f" whose {name} could be read")
        if name == "channels":
            return at.type.channels
        axes = AXES.get(at.type.rank, ())
        if name not in axes:
            has = f"has {', '.join(axes)}" if axes else "is a vector"
            raise Problem("E0210", f"the value at hand, {at.type}, has no {name}: it {has}", span)
        return at.type.spatial[axes.index(name)]

    def _unary(self, node: ast.Unary, frame: Frame) -> Any:
        if node.operator == "not":
            return not self.condition(node.operand, frame)
        return negated(self.evaluate(node.operand, frame), node.span)

    def _index(self, node: ast.Index, frame: Frame) -> Any:
        values = self.evaluate(node.values, frame)
        position = self.evaluate(node.position, frame)
        if not isinstance(values, list) or type(position) is not int:
            message = f"cannot read {kind_of(values)} at {kind_of(position)}"
            hint = "values[0] is the first item of a list"
            raise Problem("E0208", message, node.span, hint=hint)
        if not -len(values) <= position < len(values):
            raise Problem(
                "E0217",
                f"the list has {len(values)} items, there is no item {position}",
                node.position.span,
                hint="items are counted from 0",
            )
        return values[position]

    def _call(self, node: ast.Call, frame: Frame) -> Any:
        callee = node.callee
        if isinstance(callee, ast.Name) and isinstance(meaning := frame.meaning(callee), Function):
            return self._function(node, meaning, frame)
        value = self.evaluate(callee, frame)
        if not isinstance(value, Applicable):
            raise Problem("E0209", f"{kind_of(value)} cannot be called", callee.span)
        return self.call(value, node, frame)

    def call(self, applied: Applicable, node: ast.Call, frame: Frame) -> Applicable:
        """The operator or block with the call's arguments added. Raises Problem."""
        signature = signature_of(applied.target)
        matched = match_arguments(signature, node.arguments, node.span, set(applied.given))
        given = {
            name: Given(self.evaluate(argument.value, frame), argument.span)
            for name, argument in matched.items()
        }
        return Applicable(applied.target, {**applied.given, **given}, applied.defaults)

    def _function(self, node: ast.Call, function: Function, frame: Frame) -> Any:
        usage = function.usage
        if any(argument.name is not None for argument in node.arguments):
            raise Problem("E0205", f"functions take no keywords: {usage}", node.span)
        values = [self.evaluate(argument.value, frame) for argument in node.arguments]
        found = next(
            (v for v in values if isinstance(v, OpenDim | Node | Layer | Applicable)), None
        )
        if found is not None:
            raise Problem("E0208", f"{usage} does not take {kind_of(found)}", node.span)
        self._sized(values, node.span)
        try:
            if function.reads:
                return function.call(frame.unit, *values)
            result = function.call(*values)
        except CnnError as error:
            first = error.diagnostics[0]
            raise Problem(first.code, first.message, node.span, hint=first.hint) from None
        except (TypeError, ZeroDivisionError):
            raise Problem("E0208", f"wrong arguments, it is {usage}", node.span) from None
        except ValueError as error:
            raise Problem("E0208", str(error), node.span) from None
        except OverflowError:
            raise too_large(f"the result of {function.name}", node.span) from None
        if isinstance(result, list):
            return self._sized(result, node.span)
        return checked_number(result, node.span)

    def _sized(self, values: list[Any], span: Span) -> list[Any]:
        """The list itself, its items counted as steps. Raises Problem if it has too many."""
        items, stack = 0, [values]
        while stack:
            top = stack.pop()
            items += len(top)
            if items > limits.LOOP_COUNT:
                raise too_long(span)
            stack += [item for item in top if isinstance(item, list)]
        self.steps += items
        return values
