"""An operator with what comes right before and after it, computed in one go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

from cnndsl.ir.attributes import Kind, attribute
from cnndsl.ir.operator import Operator, ParameterSpec
from cnndsl.ir.operators.pooling import MaxPool
from cnndsl.ir.types import TensorType

OPERATORS = Kind("a list of operators", tuple)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Part:
    """One operator of a fused one, bound; `label` is core, prologueN or epilogueN."""

    label: str
    op: Operator
    inputs: tuple[TensorType, ...]
    output: TensorType


@dataclass(frozen=True)
class Fused(Operator):
    """epilogue_m(... epilogue_0(core(prologue_n(... prologue_0(x))), y) ..., z).

    `prologue` and `core` take one operand each. An epilogue is an operator of one operand, or a
    join (add, mul, max) of the value so far with the next operand of the node: y, then z. The
    prologue applies to the elements of x alone, not to the padding that the core adds. The last
    epilogue may be a max pool.

    Parameters and constants are those of the parts, their roles led by the part's label:
    `core.weight`, `prologue0.bias`. Passes make this operator; the language has no word for it.
    """

    name: ClassVar[str] = "fused"
    operands: ClassVar[int | None] = None

    core: Operator = attribute(Kind("an operator", lambda value: value))
    prologue: tuple[Operator, ...] = attribute(OPERATORS, ())
    epilogue: tuple[Operator, ...] = attribute(OPERATORS, ())

    @property
    def pool(self) -> MaxPool | None:
        """The max pool that the epilogue ends with, if there is one."""
        return final_pool(self.epilogue)

    def labelled(self) -> Iterator[tuple[str, Operator]]:
        """The parts in the order in which they are computed, with their labels."""
        yield from ((f"prologue{i}", op) for i, op in enumerate(self.prologue))
        yield "core", self.core
        yield from ((f"epilogue{i}", op) for i, op in enumerate(self.epilogue))

    def parts(self, inputs: Sequence[TensorType]) -> Iterator[Part]:
        """The bound parts with their types. Raises OperatorError if one does not fit."""
        value, *others = inputs
        waiting = iter(others)
        for label, op in self.labelled():
            types = (value, next(waiting)) if op.operands is None else (value,)
            bound = op.bind(types)
            value = bound.infer(types)
            yield Part(label, bound, types, value)

    def takes(self, count: int) -> bool:
        """One operand, and one more for each join."""
        operands = [op.operands for _, op in self.labelled()]
        return 0 not in operands and count == 1 + operands.count(None)

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Bind every part.

        Raises OperatorError as they do, ValueError for a pool that is not the last.
        """
        if any(isinstance(op, MaxPool) for op in (*self.prologue, *self.epilogue[:-1])):
            raise ValueError("a pool can only be the last part of a fused operator")
        bound = [part.op for part in self.parts(inputs)]
        start = len(self.prologue)
        return replace(
            self,
            prologue=tuple(bound[:start]),
            core=bound[start],
            epilogue=tuple(bound[start + 1 :]),
        )

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The type that the last part gives."""
        *_, last = self.parts(inputs)
        return last.output

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """The parameters of all parts."""
        return {
            f"{part.label}.{role}": spec
            for part in self.parts(inputs)
            for role, spec in part.op.parameters(part.inputs).items()
        }

    def constants(self) -> dict[str, Any]:
        """The constants of all parts."""
        return {
            f"{label}.{role}": values
            for label, op in self.labelled()
            for role, values in op.constants().items()
        }

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """Those of the core."""
        return sum(part.op.macs(part.inputs, part.output) for part in self.parts(inputs))


def final_pool(epilogue: Sequence[Operator]) -> MaxPool | None:
    """The max pool that an epilogue ends with, if there is one."""
    last = epilogue[-1] if epilogue else None
    return last if isinstance(last, MaxPool) else None


def part_params(params: Mapping[str, Value], label: str) -> dict[str, Value]:
    """What belongs to one part, by its own roles."""
    lead = f"{label}."
    return {
        role.removeprefix(lead): value for role, value in params.items() if role.startswith(lead)
    }
