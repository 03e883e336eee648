"""One operator of a node, with all that it is applied to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeAlias, TypeVar

from cnndsl.ir.attributes import nested_shape
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators.pooling import MaxPool
from cnndsl.ir.types import TensorType

Op = TypeVar("Op", bound=Operator, covariant=True)

Step: TypeAlias = tuple[Operator, Mapping[str, Expression]]
"""An operator and its parameters, whatever the operands."""


@dataclass(frozen=True)
class Part(Generic[Op]):
    """A bound operator, its parameters by role ("weight", "bias"), the types that it maps.

    Parts are equal if they compute alike, whatever the weights.
    """

    op: Op
    params: Mapping[str, Expression] = field(compare=False, repr=False)
    inputs: tuple[TensorType, ...]
    output: TensorType

    @property
    def step(self) -> Step:
        """What it computes, whatever the operands."""
        return self.op, self.params

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes that the operator's parameters and constants have, by role."""
        specs = self.op.parameters(self.inputs).items()
        constants = self.op.constants().items()
        shapes = {role: spec.shape for role, spec in specs}
        return shapes | {role: nested_shape(values) for role, values in constants}

    @classmethod
    def of(
        cls,
        op: Operator,
        inputs: Sequence[TensorType],
        params: Mapping[str, Expression] | None = None,
    ) -> Part[Operator]:
        """An operator bound to its operands. Raises OperatorError if it cannot take them."""
        bound, output = _bound(op, tuple(inputs))
        return Part(bound, dict(params or {}), tuple(inputs), output)


@lru_cache(maxsize=4096)
def _bound(op: Operator, inputs: tuple[TensorType, ...]) -> tuple[Operator, TensorType]:
    """An operator bound to its operands, which most instances of a block share, and its result."""
    bound = op.bind(inputs)
    return bound, bound.output_type(inputs)


class Chain(Generic[Op]):
    """Operators computed in one go: epilogue_m(... epilogue_0(core(prologue_n(... x)), y) ..., z).

    The core reads the operands. What comes before and after it has one operand, or joins the value
    so far with a further one: y, then z. The prologue applies to the elements of x alone, not to
    the padding that the core adds. The last part may be a max pool. Subclasses have the fields.
    """

    core: Part[Op]
    prologue: tuple[Part[Operator], ...]
    epilogue: tuple[Part[Operator], ...]

    @property
    def op(self) -> Op:
        """The operator of the core."""
        return self.core.op

    @property
    def parts(self) -> tuple[Part[Operator], ...]:
        """All operators, in the order in which they are computed."""
        return (*self.prologue, self.core, *self.epilogue)

    def labelled(self) -> Iterator[tuple[str, Part[Operator]]]:
        """The parts with their names: prologue0, ..., core, epilogue0, ..."""
        yield from ((f"prologue{i}", part) for i, part in enumerate(self.prologue))
        yield "core", self.core
        yield from ((f"epilogue{i}", part) for i, part in enumerate(self.epilogue))

    @property
    def pool(self) -> MaxPool | None:
        """The max pool that the epilogue ends with, if there is one."""
        last = self.epilogue[-1].op if self.epilogue else None
        return last if isinstance(last, MaxPool) else None


def chained(steps: Sequence[Step], operands: Sequence[TensorType]) -> tuple[Part[Operator], ...]:
    """Parts that compute one step after another, bound to operands.

    A join takes what is before it and the next operand; if it is the only step, all of them.
    Raises OperatorError if a step does not fit, ValueError for a wrong number of operands.
    """
    if len(steps) == 1:
        ((op, params),) = steps
        if not op.takes(len(operands)):
            raise ValueError(f"{op.name} cannot take {len(operands)} operands")
        return (Part.of(op, operands, params),)
    joins = [op.operands is None for op, _ in steps]
    if len(operands) != 1 + sum(joins) or any(op.operands == 0 for op, _ in steps):
        raise ValueError(f"{len(steps)} parts cannot take {len(operands)} operands")
    value, *others = operands
    waiting = iter(others)
    parts = []
    for (op, params), is_join in zip(steps, joins, strict=True):
        own = (value, next(waiting)) if is_join else (value,)
        parts.append(Part.of(op, own, params))
        value = parts[-1].output
    return tuple(parts)
