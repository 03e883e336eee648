"""What every operator states of itself: attributes, shapes, parameters, cost, meaning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum, Flag
from typing import Any, ClassVar

from cnndsl.ir.formula import Formula
from cnndsl.ir.types import FLOAT32, DType, TensorType


class Sign(Enum):
    """Whether results are at least zero: always, if all operands are, or not known to be."""

    NONNEGATIVE = "nonnegative"
    KEPT = "kept"
    ANY = "any"


class Reads(Flag):
    """What the gradient of an operator reads of its forward pass."""

    NOTHING = 0
    OPERANDS = 1
    RESULT = 2
    BOTH = 3


@dataclass(frozen=True)
class Window:
    """What a position depends on along one axis, of every operand.

    Result j reads the positions (j*step + low) // each to (j*step + high) // each. Those before 0
    and behind the last are padding.
    """

    step: int = 1
    low: int = 0
    high: int = 0
    each: int = 1


Windows = tuple[Window, ...] | None
"""One for each spatial axis; None if every result depends on all positions."""

POINT = Window()
"""The same position alone."""


@dataclass(frozen=True)
class ParameterSpec:
    """Shape of one parameter, the initialiser that makes it, and whether training changes it."""

    shape: tuple[int, ...]
    init: str
    learned: bool = True


class OperatorError(ValueError):
    """An operator cannot be applied to its operands; the caller adds the place.

    `attribute` names the argument to blame, if one is; `show_operands` asks for a note on each
    operand's shape and origin.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        attribute: str | None = None,
        show_operands: bool = False,
    ):
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.attribute = attribute
        self.show_operands = show_operands


@dataclass(frozen=True)
class Operator(ABC):
    """Base of all operators: a frozen dataclass whose fields are the attributes.

    The fields, in order, are also the arguments in the language. `name` is the operator's name
    there; `operands` how many values it joins (None: two or more); `smaller_is_better` tells
    that its results are distances, the least of which is the best.

    Operators that read the input's rank first `bind` to their operands, which expands sizes to
    one for each axis and paddings to numbers. `infer`, `parameters` and `macs`, and all
    backends, see bound operators only. `bind` and `infer` raise OperatorError. `infer` is about
    shapes alone: `output_type` adds the dtype.
    """

    name: ClassVar[str]
    operands: ClassVar[int | None] = 1
    smaller_is_better: ClassVar[bool] = False
    """Whether outputs are distances, the smallest of which is the answer."""
    in_place: ClassVar[bool] = False
    """Whether element i of the result can be written over element i of an operand of its type."""
    selects: ClassVar[bool] = False
    """Whether each result is one of the numbers, or a mean of those, that its window holds."""
    internal: ClassVar[bool] = False
    """Whether passes alone make it: the language has no word for it."""
    foreign: ClassVar[tuple[str, ...]] = ()
    """Names elsewhere, each behind the framework's, if it is that of one."""
    example: ClassVar[str] = ""
    """A chain with it, of `x`, or `a`, `b`, …; without one its bare name, or a join of these."""
    example_shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((8, 16, 16),)
    """The shapes of the example's values; those of a join are alike if one is given."""

    @property
    @abstractmethod
    def sign(self) -> Sign:
        """The sign of the result."""

    @property
    @abstractmethod
    def gradient(self) -> Reads:
        """What the gradient reads."""

    @abstractmethod
    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """Which positions of the operands each position of the result depends on, once bound."""

    @property
    def formula(self) -> Formula | None:
        """What a function of single elements, or a join of two operands, computes of them."""
        return None

    def is_identity(self, x: TensorType) -> bool:
        """Whether y = x for a single operand of this type, once bound."""
        same = self.selects and self.output_type([x]) == x
        return same and set(self.windows([x]) or (POINT,)) == {POINT}

    def bind(self, inputs: Sequence[TensorType]) -> Operator:
        """This operator with all attributes in the form that fits the operands.

        A shorthand binds to the operator that it stands for.
        """
        return self

    @property
    def dtype(self) -> DType | None:
        """The dtype of the result, if it is not that of the operands."""
        return None

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The shape of the result; the dtype does not count."""
        return inputs[0]

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """The type of the result: the inferred shape, of the operands' dtype or the operator's own.

        It is one for all samples if all operands are.

        Raises OperatorError if the operator cannot take the operands, or (E0315) they have
        different dtypes.
        """
        dtypes = [x.dtype for x in inputs]
        if len(set(dtypes)) > 1:
            shown = " and ".join(map(str, dtypes))
            message = f"{self.name} needs operands of one dtype, not {shown}"
            raise OperatorError("E0315", message, show_operands=True)
        if any(x.quantisation is not None for x in inputs):
            message = f"{self.name} needs numbers, not codes: {inputs[0]}"
            raise OperatorError("E0315", message, show_operands=True)
        batched = any(x.batched for x in inputs) or not inputs
        return replace(self.infer(inputs), dtype=self.dtype or dtypes[0], batched=batched)

    def takes(self, count: int) -> bool:
        """Whether the operator can join that many operands."""
        return count >= 2 if self.operands is None else count == self.operands

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """The parameters by role, in the order in which they are listed and counted."""
        return {}

    def constants(self) -> dict[str, Any]:
        """Arrays by role that the network itself gives as nested tuples of numbers."""
        return {}

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """Multiply-adds for one sample, of convolutions and fully connected layers only."""
        return 0


def attribute_values(op: Operator) -> dict[str, Any]:
    """The attributes by name, without the dtype where it is float32, as it is unless declared."""
    values = {f.name: getattr(op, f.name) for f in fields(op)}
    return {name: value for name, value in values.items() if value != FLOAT32}
