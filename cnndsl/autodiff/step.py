"""One node on the way back: what its rule sees, and what it gives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cnndsl.autodiff.builder import Builder
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.types import TensorType


@dataclass
class Step:
    """A node, its operands, and the gradient of the loss by its result.

    `wanted` are the operands by number, and the parameters by role, whose gradients are needed.
    `read` gives what to read for a result of the way forth, which may be computed again.
    """

    build: Builder
    node: Node
    operands: Sequence[Node]
    gradient: Node
    wanted: Collection[int | str]
    read: Callable[[Node], Node]
    found: dict[int | str, list[Node]] = field(default_factory=lambda: defaultdict(list))

    @property
    def op(self) -> Operator:
        """The operator."""
        return self.node.op

    @property
    def x(self) -> Node:
        """The first operand, to be read."""
        return self.read(self.operands[0])

    @property
    def values(self) -> list[Node]:
        """All operands, to be read."""
        return [*map(self.read, self.operands)]

    @property
    def y(self) -> Node:
        """The result, to be read."""
        return self.read(self.node)

    def parameter(self, role: str) -> Expression:
        """What a parameter is."""
        return self.node.params[role]

    def wants(self, key: int | str) -> bool:
        """Whether the gradient by an operand or a parameter is needed."""
        return key in self.wanted

    def give(self, key: int | str, gradient: Node | None) -> None:
        """A term of a gradient by an operand, which a join may have repeated; None for zero."""
        if gradient is None or key not in self.wanted:
            return
        if isinstance(key, int):
            operand = self.operands[key]
            gradient = self.build.fitted(gradient, operand.type, operand)
        else:
            shape = self.parameter(key).shape
            assert gradient.type == TensorType(shape, batched=False), (key, gradient)
        self.found[key].append(gradient)

    def give_sum(self, role: str, gradient: Node | None, shape: Sequence[int]) -> None:
        """A gradient by a parameter: the sum over the batch, and to a shape."""
        if gradient is not None and role in self.wanted:
            self.give(role, self.build.reduced(gradient, shape, batch=True))


Rule: TypeAlias = Callable[[Step, Any], None]
"""Gives the gradients of a step that are wanted; the operator is the second argument."""

Rules: TypeAlias = dict[type, Rule]
