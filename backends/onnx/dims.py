"""Open sizes as tensors, computed from the shapes of the inputs while a model runs."""

from __future__ import annotations

from collections.abc import Callable

from cnndsl.ir.dims import Dim, OpenDim, Symbol
from cnndsl.ir.graph import Graph

Integers = Callable[[str, list[int]], str]
"""Stores an int64 constant under a name."""
Step = Callable[[str, str, list[str]], str]
"""Writes a node of a name and a kind with some operands, and returns its tensor."""


class Dims:
    """The tensors of sizes of a graph, each written once: one int64 number, of shape [1]."""

    def __init__(self, graph: Graph, integers: Integers, step: Step):
        self._graph = graph
        self._integers = integers
        self._step = step
        self._known: dict[Dim | Symbol, str] = {}

    def tensor(self, dim: Dim) -> str:
        """The tensor of a size."""
        if dim not in self._known:
            self._known[dim] = self._number(dim) if isinstance(dim, int) else self._sum(dim)
        return self._known[dim]

    def _number(self, value: int) -> str:
        return self._integers(f"size.{value}", [value])

    def _sum(self, dim: OpenDim) -> str:
        total = ""
        for atom, factor in dim.terms:
            if isinstance(atom, Symbol):
                value = self._symbol(atom)
            else:
                dividend = self.tensor(atom.dividend)
                value = self._once(str(atom), "Div", dividend, self.tensor(atom.divisor))
            if factor != 1:
                value = self._once(f"{factor}*{atom}", "Mul", value, self.tensor(factor))
            total = self._once(f"{total}+{atom}", "Add", total, value) if total else value
        if dim.constant:
            total = self._once(str(dim), "Add", total, self.tensor(dim.constant))
        return total

    def _once(self, text: str, kind: str, *operands: str) -> str:
        return self._step(f"size/{text}", kind, list(operands))

    def _symbol(self, symbol: Symbol) -> str:
        """The value for which the input that the symbol is of has its size."""
        if symbol not in self._known:
            name, axis, dim = next(
                (name, axis, dim)
                for name in self._graph.inputs
                for axis, dim in enumerate(self._graph[name].type.shape, 1)
                if isinstance(dim, OpenDim) and symbol.name in dim.symbols()
            )
            shape = self._once(f"{symbol} shape", "Shape", name)
            value = self._once(f"{symbol} axis", "Gather", shape, self.tensor(axis))
            if dim.constant:
                value = self._once(f"{symbol} rest", "Sub", value, self.tensor(dim.constant))
            if dim.step != 1:
                value = self._once(str(symbol), "Div", value, self.tensor(dim.step))
            self._known[symbol] = value
        return self._known[symbol]
