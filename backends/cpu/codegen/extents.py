"""Sizes that a kernel is given when it is called: formulas of the open sizes of its call.

While code is written an extent stands for a variable of it: arithmetic with whole numbers and
extents gives extents, and with expressions of TensorIR expressions. What has to choose among kinds
of code cannot ask for its value: comparisons are conditions in the code, their truth is an error.
Cost models ask for `nominal` values, by which a kernel is chosen that then serves all sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeAlias, TypeVar

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.expressions import Apply, Constant, Parameter
from cnndsl.ir.index import WORDS, Index, axis, maximum, minimum, number

Value = TypeVar("Value")


class SizeNeededError(Exception):
    """A kernel cannot be written without the number that an extent stands for."""


@dataclass(frozen=True)
class Extent:
    """A formula whose axes are the open sizes of a call, and its value for the nominal ones."""

    formula: Index
    nominal: int = field(compare=False)

    def __add__(self, other: Any) -> Any:
        return _applied("add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, Index) else self + other * -1

    def __rsub__(self, other: Any) -> Any:
        return self * -1 + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, int) and other in (0, 1):
            return self if other else 0
        return _applied("multiply", self, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return _applied("divide", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _applied("divide", other, self)

    def __mod__(self, other: Any) -> Any:
        return _applied("remainder", self, other)

    def __lt__(self, other: Any) -> Any:
        return expression(self) < expression(other)

    def __le__(self, other: Any) -> Any:
        return expression(self) <= expression(other)

    def __gt__(self, other: Any) -> Any:
        return expression(self) > expression(other)

    def __ge__(self, other: Any) -> Any:
        return expression(self) >= expression(other)

    def __bool__(self) -> bool:
        raise SizeNeededError

    def __tvm_ffi_object__(self) -> Any:
        return expression(self)

    def at(self, sizes: Sequence[int]) -> int:
        """The number for some open sizes."""
        return int(self.formula.compute(sizes))


Number: TypeAlias = Any
"""A whole number, or an extent."""


def is_number(value: Any) -> bool:
    """Whether a value is a number rather than an expression of TensorIR."""
    return isinstance(value, int | Extent)


def _applied(function: str, a: Any, b: Any) -> Any:
    """A function of two numbers, one of which may be an expression of TensorIR."""
    if isinstance(a, Index) or isinstance(b, Index):
        return NotImplemented
    if is_number(a) and is_number(b):
        if function == "add" and 0 in (a, b):
            return b if a == 0 else a
        if b == 1 and function in ("divide", "remainder"):
            return a if function == "divide" else 0
        value = WORDS[function](nominal(a), nominal(b))
        if function in ("divide", "remainder") and nominal(a) < 0:
            raise SizeNeededError
        return Extent(Index(function, (_formula(a), _formula(b))), value)
    words = {**WORDS, "divide": tirx.truncdiv, "remainder": tirx.truncmod}
    return words[function](expression(a), expression(b))


def _formula(value: Number) -> Index:
    return value.formula if isinstance(value, Extent) else number(value)


def largest(*values: Number) -> Number:
    """The largest of some numbers."""
    return _extreme(max, maximum, values)


def smallest(*values: Number) -> Number:
    """The smallest of some numbers."""
    return _extreme(min, minimum, values)


def _extreme(
    known: Callable[..., int], made: Callable[[Index, Index], Index], values: Sequence[Number]
) -> Number:
    first, *others = values
    for other in others:
        if isinstance(first, int) and isinstance(other, int):
            first = known(first, other)
        else:
            value = known(nominal(first), nominal(other))
            first = Extent(made(_formula(first), _formula(other)), value)
    return first


def parts(count: Number, size: Number) -> Number:
    """How many parts of a size a count has, the last of which may be smaller."""
    return (count + (size - 1)) // size


def known(value: Number) -> int:
    """A number without which no code can be written. Raises SizeNeededError if it is open."""
    if isinstance(value, int):
        return value
    raise SizeNeededError


def nominal(value: Number) -> int:
    """The number by which a kernel is chosen."""
    return value.nominal if isinstance(value, Extent) else value


def expression(value: Any) -> Any:
    """What stands for a number in code: the variable of a formula, anything else itself."""
    return variable(value.formula) if isinstance(value, Extent) else value


@cache
def variable(formula: Index) -> Any:
    """The variable of a formula, the same in all functions; each computes it where it begins."""
    name = f"extent{len(_FORMULAS)}"
    found = _FORMULAS.setdefault(name, formula)
    if found is not formula:
        return variable.__wrapped__(formula)
    return tirx.Var(name, "int32")


_FORMULAS: dict[str, Index] = {}
"""Those of all variables by name."""


def formula_of(name: str) -> Index | None:
    """The formula that a variable of that name stands for."""
    return _FORMULAS.get(name)


def mapped(value: Any, kind: type[Any], change: Callable[[Any], Any]) -> Any:
    """A value with all parts of a kind changed, down to the attributes of operators.

    Expressions of weights and mappings stay; what has no such part is returned itself.
    """
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, tuple):
        items = tuple(mapped(item, kind, change) for item in value)
        is_same = all(new is old for new, old in zip(items, value, strict=True))
        return value if is_same else items
    if not is_dataclass(value) or isinstance(value, (Parameter, Constant, Apply, type)):
        return value
    own = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
    new = {name: mapped(item, kind, change) for name, item in own.items()}
    changed = {name: item for name, item in new.items() if item is not own[name]}
    return replace(value, **changed) if changed else value


def renamed(formula: Index, number_of: Callable[[int], int]) -> Index:
    """The formula of other axes."""
    if formula.function == "axis":
        return axis(number_of(formula.value))
    operands = tuple(renamed(operand, number_of) for operand in formula.operands)
    return replace(formula, operands=operands)


@dataclass(frozen=True)
class Opening:
    """Extents for the open dimensions of a network: axis k is the k-th of `dims`."""

    sizes: Mapping[str, int]
    """Nominal values of the network's symbols."""
    dims: dict[OpenDim, int] = field(default_factory=dict)

    def __call__(self, value: Value) -> Value:
        """A value with extents in place of open dimensions."""
        opened: Value = mapped(value, OpenDim, self._extent) if self.sizes else value
        return opened

    def _extent(self, dim: OpenDim) -> Extent:
        number = self.dims.setdefault(dim, len(self.dims))
        return Extent(axis(number), dim.evaluate(self.sizes))


def with_own_axes(value: Value) -> tuple[Value, tuple[int, ...]]:
    """A value whose extents have axes of its own, and those that these were."""
    numbers: dict[int, int] = {}

    def change(extent: Extent) -> Extent:
        formula = renamed(extent.formula, lambda n: numbers.setdefault(n, len(numbers)))
        return replace(extent, formula=formula)

    return mapped(value, Extent, change), tuple(numbers)


def formula_to_json(value: Number) -> Any:
    """A number or a formula as values of JSON."""
    return _to_json(value.formula) if isinstance(value, Extent) else value


def _to_json(formula: Index) -> Any:
    if formula.function == "number":
        return formula.value
    operands = map(_to_json, formula.operands) if formula.operands else [formula.value]
    return [formula.function, *operands]


def computed(formula: Any, sizes: Sequence[int]) -> int:
    """The value of what `formula_to_json` has written. Raises KeyError for an unknown function."""
    if isinstance(formula, int):
        return formula
    function, *operands = formula
    if function == "axis":
        return int(sizes[operands[0]])
    return int(WORDS[function](*(computed(operand, sizes) for operand in operands)))
