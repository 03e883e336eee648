"""What a function that reads one kind of operator sees: its operands, attributes, and the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnndsl.importers.onnx.builder import Builder, Weight
from cnndsl.importers.onnx.layout import BATCH, Layout, natural
from cnndsl.importers.onnx.model import Model
from cnndsl.importers.onnx.refusal import damaged, unsupported
from cnndsl.importers.onnx.step import STANDARD, Step, as_written
from cnndsl.importers.onnx.values import Array, Known, Tensor, Value
from cnndsl.ir.attributes import LARGEST
from cnndsl.ir.dims import Dim
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Reshape
from cnndsl.ir.quantisation import Quantisation


class Site:
    """A node of the model, with its operands; a missing one is None.

    `codes` is what those stand for that it makes, or a DequantizeLinear reads, and the share of the
    scale that each channel has, if they have one.
    """

    def __init__(
        self, builder: Builder, model: Model, step: Step, operands: Sequence[Tensor | None]
    ):
        self.builder = builder
        self.opset = model.opset
        self._uses = model.uses
        self.step = step
        self.operands = list(operands)
        self.codes: tuple[Quantisation, tuple[float, ...]] | None = None

    @property
    def is_standard(self) -> bool:
        """Whether the operator is one of ONNX itself."""
        return self.step.domain in STANDARD

    @property
    def label(self) -> str:
        """The module and the operator of the node in the model, or what it is called."""
        if self.step.module:
            return f"{self.step.module}/{self.step.kind}"
        return self.step.name or next(filter(None, self.step.outputs), "")

    # Attributes

    def attribute(self, name: str, kind: type | tuple[type, ...], default: Any) -> Any:
        """An attribute of a Python type, or the default. Raises Refusal."""
        value = self.step.attributes.get(name, default)
        if name in self.step.attributes and not isinstance(value, kind):
            raise damaged(f"its attribute {name!r} has another type than ONNX says")
        return value

    def whole(self, name: str, default: int = 0) -> int:
        """A whole number."""
        return int(self.attribute(name, int, default))

    def number(self, name: str, default: float = 0.0) -> float:
        """A number."""
        return float(self.attribute(name, float, default))

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        return str(self.attribute(name, str, default))

    def sizes(self, name: str, rank: int, default: int = 1, least: int = 1) -> tuple[int, ...]:
        """A whole number for each spatial axis."""
        given = self.attribute(name, list, [default] * rank)
        self._check_list(name, given, rank)
        if any(not least <= size <= LARGEST for size in given):
            raise damaged(f"its {name} are {given}")
        return tuple(given)

    def integers(self, name: str, count: int | None = None) -> list[int] | None:
        """Whole numbers, as many as asked for, or None."""
        given = self.attribute(name, list, None)
        if given is not None:
            self._check_list(name, given, count)
        return None if given is None else list(given)

    def _check_list(self, name: str, given: list[Any], count: int | None) -> None:
        if not all(isinstance(item, int) for item in given) or len(given) != (count or len(given)):
            raise damaged(f"its attribute {name!r} is {str(given)[:60]}")

    def axes(self, place: int, rank: int) -> list[int] | None:
        """The axes, an attribute in older operator sets and then an operand, from 0; None if none.

        Raises Refusal if there is no such axis, or one comes twice.
        """
        given = self.integers("axes")
        if given is None and self.has(place):
            given = self.whole_numbers(place)
        return None if given is None else self.checked_axes(given, rank)

    @staticmethod
    def checked_axes(given: Sequence[int], rank: int) -> list[int]:
        """Axes counted from 0."""
        if any(not -rank <= axis < rank for axis in given):
            raise damaged(f"there are no axes {list(given)} of {rank}")
        axes = [axis % rank for axis in given]
        if len(set(axes)) < len(axes):
            raise damaged(f"an axis comes twice in {list(given)}")
        return axes

    def axis(self, rank: int, default: int, name: str = "axis") -> int:
        """One axis, from 0."""
        return self.checked_axes([self.whole(name, default)], rank)[0]

    # Operands

    def has(self, place: int) -> bool:
        """Whether the operand is given."""
        return place < len(self.operands) and self.operands[place] is not None

    def operand(self, place: int) -> Tensor:
        """An operand. Raises Refusal if it is missing."""
        found = self.operands[place] if place < len(self.operands) else None
        if found is None:
            raise damaged(f"its operand {place + 1} is missing")
        return found

    def value(self, place: int) -> Value:
        """An operand that depends on the inputs."""
        found = self.operand(place)
        if isinstance(found, Known):
            raise unsupported(f"its operand {place + 1} is constant")
        return found

    def alone(self, place: int) -> bool:
        """Whether nothing else reads the node of an operand, under whatever name."""
        value = self.value(place)
        return all(self._uses[name] == 1 for name in self.builder.holders[value.node])

    def known(self, place: int) -> Known:
        """An operand that does not depend on the inputs."""
        found = self.operand(place)
        if isinstance(found, Value):
            raise unsupported(f"its operand {place + 1} is computed from the inputs")
        return found

    def array(self, place: int) -> Array:
        """The numbers of a constant operand."""
        known = self.known(place)
        if known.is_symbolic:
            raise unsupported(
                f"its operand {place + 1} depends on an open size", "give the inputs known sizes"
            )
        return known.array

    def whole_numbers(self, place: int) -> list[int]:
        """The whole numbers of a constant operand."""
        array = self.array(place)
        if not np.issubdtype(array.dtype, np.integer) or array.size > LARGEST:
            raise damaged(f"its operand {place + 1} does not hold whole numbers")
        return [int(number) for number in array.ravel()]

    def scalar(self, place: int) -> float:
        """The one number of a constant operand."""
        array = self.array(place)
        if array.size != 1:
            raise unsupported(f"its operand {place + 1} is not one number")
        number = array.ravel()[0]
        return as_written(number) if array.dtype == np.float32 else float(number)

    # Results

    def element(self, value: Value) -> Node:
        """See `Builder.element`."""
        return self.builder.element(value)

    def plain(self, value: Value) -> Node:
        """See `Builder.plain`."""
        return self.builder.plain(value)

    def add(
        self,
        op: Operator,
        *operands: Node,
        weights: Mapping[str, Weight] | None = None,
        role: str = "",
    ) -> Node:
        """A new node; those before the last of a site are told apart by a role."""
        label = f"{self.label}_{role}" if role else self.label
        return self.builder.add(op, operands, label, weights)

    def result(self, node: Node) -> Value:
        """A node as it is, [batch, *shape]."""
        return Value(node.name, natural(node.type.shape), self.label)

    def gathered(self, value: Value) -> Value:
        """The same value, its function computed by nodes."""
        return self.same_places(value, self.element(value), self.element(value))

    def same_places(self, x: Value, node: Node, made: Node) -> Value:
        """The result of what is done to a node without moving its elements.

        The node has the elements of x, laid out as they are there, or in their natural order.
        """
        layout = x.layout if node.name == self.element(x).name else natural(made.type.shape)
        return Value(made.name, layout, self.label)

    def relaid(self, x: Value, layout: Layout | None, target: Sequence[Dim]) -> Value:
        """A value in another layout; None stands for one that is no product of its axes."""
        if layout is not None:
            return x.moved(layout)
        node = self.plain(x)
        first, *sizes = target
        if first not in (BATCH, self.builder.batch, 1) or not all(
            isinstance(n, int) for n in sizes
        ):
            shown = [f"[{', '.join(map(str, shape))}]" for shape in (x.shape, target)]
            raise unsupported(f"{shown[0]} becomes {shown[1]}")
        return self.result(self.add(Reshape(tuple(n for n in sizes if isinstance(n, int))), node))
