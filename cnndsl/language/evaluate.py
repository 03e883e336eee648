"""Expressions to values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from cnndsl.diagnostics import Span
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Node
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.functions import Function, Size
from cnndsl.language.messages import Consequence, Fatal, Problem
from cnndsl.language.scopes import Local
from cnndsl.language.signatures import match_arguments, signature_of
from cnndsl.language.values import POISON, Frame, Given, Layer, Recipe, kind_of

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_COMPARISON: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""What the spatial axes of a map are called, by their number."""


class Evaluator:
    """Evaluates expressions and counts the steps of one elaboration."""

    def __init__(self) -> None:
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
                return self._sized([self.evaluate(item, frame) for item in node.items], node.span)
            case ast.Unary():
                return self._unary(node, frame)
            case ast.Binary(operator="and" | "or"):
                left = self.condition(node.left, frame)
                decided = left if node.operator == "or" else not left
                return left if decided else self.condition(node.right, frame)
            case ast.Binary():
                return self._binary(node, frame)
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

    def items(self, node: ast.Expression, frame: Frame) -> list[Any]:
        """A list. Raises Problem."""
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
        return Recipe(meaning, {}, dict(frame.defaults))

    def _size(self, name: str, at: Node | None, span: Span) -> Any:
        if at is None:
            raise Problem("E0210", f"there is no value yet whose {name} could be read", span)
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
        value = self.evaluate(node.operand, frame)
        if isinstance(value, bool) or not isinstance(value, int | float | OpenDim):
            raise Problem("E0208", f"cannot negate {kind_of(value)}", node.span)
        return -value

    def _binary(self, node: ast.Binary, frame: Frame) -> Any:
        left = self.evaluate(node.left, frame)
        right = self.evaluate(node.right, frame)
        if node.operator in _COMPARISON:
            return self._compare(node, left, right)
        if isinstance(left, list) and node.operator in "+*":
            return self._lists(node, left, right)
        for value in (left, right):
            if isinstance(value, bool) or not isinstance(value, int | float | OpenDim):
                raise Problem(
                    "E0208",
                    f"cannot calculate {kind_of(left)} {node.operator} {kind_of(right)}",
                    node.span,
                )
        if node.operator == "**" and abs(right) > 1024:
            raise Problem("E0502", "the exponent is too large", node.span)
        try:
            result = _ARITHMETIC[node.operator](left, right)
        except ZeroDivisionError:
            raise Problem("E0207", "division by zero", node.span) from None
        except OverflowError:
            raise Problem("E0502", "the number is too large", node.span) from None
        except TypeError:
            raise Problem(
                "E0214", f"{node.operator} does not work on open sizes", node.span
            ) from None
        return checked_number(result, node.span)

    def _compare(self, node: ast.Binary, left: Any, right: Any) -> bool:
        if isinstance(left, OpenDim) or isinstance(right, OpenDim):
            raise Problem(
                "E0214",
                "this depends on a size that is open",
                node.span,
                hint="declare the input with numbers, or give --input-shape",
            )
        equality = node.operator in ("==", "!=")
        numbers = all(isinstance(v, int | float) for v in (left, right))
        if not equality and not numbers:
            raise Problem(
                "E0208",
                f"cannot compare {kind_of(left)} {node.operator} {kind_of(right)}",
                node.span,
            )
        if equality and isinstance(left, Recipe) and isinstance(right, Recipe):
            left, right = left.target, right.target
        return bool(_COMPARISON[node.operator](left, right))

    def _lists(self, node: ast.Binary, left: list[Any], right: Any) -> list[Any]:
        if node.operator == "+" and isinstance(right, list):
            length = len(left) + len(right)
        elif node.operator == "*" and type(right) is int:
            length = len(left) * max(right, 0)
        else:
            raise Problem(
                "E0208", f"cannot calculate a list {node.operator} {kind_of(right)}", node.span
            )
        if length > limits.LOOP_COUNT:
            raise Problem("E0502", f"the list has more than {limits.LOOP_COUNT:,} items", node.span)
        return self._sized(_ARITHMETIC[node.operator](left, right), node.span)

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
        if not isinstance(value, Recipe):
            raise Problem("E0209", f"{kind_of(value)} cannot be called", callee.span)
        return self.call(value, node, frame)

    def call(self, recipe: Recipe, node: ast.Call, frame: Frame) -> Recipe:
        """The recipe with the call's arguments added. Raises Problem."""
        signature = signature_of(recipe.target)
        matched = match_arguments(signature, node.arguments, node.span, set(recipe.given))
        given = {
            name: Given(self.evaluate(argument.value, frame), argument.span)
            for name, argument in matched.items()
        }
        return Recipe(recipe.target, {**recipe.given, **given}, recipe.defaults)

    def _function(self, node: ast.Call, function: Function, frame: Frame) -> Any:
        usage = function.usage
        if any(argument.name is not None for argument in node.arguments):
            raise Problem("E0205", f"functions take no keywords: {usage}", node.span)
        values = [self.evaluate(argument.value, frame) for argument in node.arguments]
        found = next((v for v in values if isinstance(v, OpenDim | Node | Layer | Recipe)), None)
        if found is not None:
            raise Problem("E0208", f"{usage} does not take {kind_of(found)}", node.span)
        self._sized(values, node.span)
        try:
            result = function.call(*values)
        except TypeError:
            raise Problem("E0208", f"wrong arguments, it is {usage}", node.span) from None
        except ValueError as error:
            raise Problem("E0208", str(error), node.span) from None
        except OverflowError:
            raise Problem(
                "E0502", f"the result of {function.name} is too large", node.span
            ) from None
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
                message = f"the list has more than {limits.LOOP_COUNT:,} items"
                raise Problem("E0502", message, span)
            stack += [item for item in top if isinstance(item, list)]
        self.steps += items
        return values


def checked_number(value: Any, span: Span) -> Any:
    """The value itself, unless it is a number beyond all bounds. Raises Problem."""
    if isinstance(value, complex):
        raise Problem("E0208", "the result is not a real number", span)
    if isinstance(value, int | float) and not abs(value) <= limits.MAGNITUDE:
        raise Problem("E0502", "the number is too large", span)
    return value
