"""Weight expressions: what a parameter's array is, before any array exists.

A pass that folds a normalisation or packs a layout rewrites expressions; arrays are made from
them only at the end, in float64 (see `cnndsl.weights.evaluate`). Every expression knows its
shape. Expressions compare by value, so equal ones are computed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cnndsl.ir.attributes import nested_shape


@dataclass(frozen=True)
class Parameter:
    """A named array that a weight file provides, or an initialiser makes.

    `init` names an initialiser of `cnndsl.weights.initialise`. Parameters that are not learned
    (running statistics, fixed centres) do not count as the network's parameters.
    """

    name: str
    shape: tuple[int, ...]
    init: str
    learned: bool = True

    @property
    def arguments(self) -> tuple[Expression, ...]:
        """A leaf has none."""
        return ()


@dataclass(frozen=True)
class Constant:
    """Numbers written in the network itself, as nested tuples."""

    values: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the nested tuples."""
        return nested_shape(self.values)

    @property
    def arguments(self) -> tuple[Expression, ...]:
        """A leaf has none."""
        return ()


@dataclass(frozen=True)
class Apply:
    """A function of `cnndsl.weights.evaluate` on other expressions.

    `settings` are the function's keyword arguments as sorted (name, value) pairs.
    """

    function: str
    arguments: tuple[Expression, ...]
    shape: tuple[int, ...]
    settings: tuple[tuple[str, Any], ...] = field(default=())
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        key = (self.function, self.arguments, self.shape, self.settings)
        object.__setattr__(self, "_hash", hash(key))

    def __hash__(self) -> int:
        """Computed once: the hash of a deep expression would take as many calls as it is deep."""
        return self._hash


Expression: TypeAlias = Parameter | Constant | Apply


def parameters_of(expression: Expression) -> Iterator[Parameter]:
    """The parameters an expression reads, each once, in reading order."""
    found: set[Parameter] = set()
    visited: set[int] = set()
    stack = [expression]
    while stack:
        item = stack.pop()
        if id(item) in visited:
            continue
        visited.add(id(item))
        if isinstance(item, Parameter) and item not in found:
            found.add(item)
            yield item
        stack.extend(reversed(item.arguments))
