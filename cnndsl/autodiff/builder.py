"""Adds operators to a graph, and names the nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cnndsl.ir.derivative import ZERO, times
from cnndsl.ir.expressions import Constant, Expression
from cnndsl.ir.formula import OTHER, Formula, X
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Add,
    AxisMap,
    ConstantValue,
    Divide,
    Function,
    JoinFunction,
    Mul,
    ReduceTo,
    Reshape,
    Upsample,
)
from cnndsl.ir.types import TensorType

Params = Mapping[str, Expression]


class Builder:
    """Where nodes are added: a graph, and the text that their names begin with."""

    def __init__(self, graph: Graph, prefix: str):
        self.graph = graph
        self.prefix = prefix

    def add(self, op: Operator, *operands: Node, params: Params | None = None) -> Node:
        """A node of an operator, which is bound here, and has its constants."""
        bound = op.bind([operand.type for operand in operands])
        constants = {role: Constant(values) for role, values in bound.constants().items()}
        return self.graph.add(self._name(op.name), bound, operands, {**(params or {}), **constants})

    def _name(self, label: str) -> str:
        name, count = f"{self.prefix}.{label}", 1
        while name in self.graph:
            count += 1
            name = f"{self.prefix}.{label}{count}"
        return name

    def function(self, formula: Formula, x: Node, params: Params | None = None) -> Node:
        """A function of single elements that depends on X; x itself if it is that."""
        known = params or {}
        own = {role: known[role] for role in formula.roles()}
        return x if formula == X else self.add(Function(formula), x, params=own)

    def scaled(self, x: Node, factor: float) -> Node:
        """x * factor."""
        return x if factor == 1 else self.function(X * factor, x)

    def product(self, *operands: Node) -> Node:
        """The product, smaller operands repeated."""
        return self.add(Mul(), *operands)

    def join(self, formula: Formula, a: Node, b: Node) -> Node:
        """A function of X, an element of a, and OTHER, one of b."""
        return self.add(JoinFunction(formula), a, b)

    def times(self, g: Node, factor: Formula, x: Node, params: Params | None = None) -> Node | None:
        """g times a function of x; None if that is zero."""
        if factor == ZERO:
            return None
        if X not in factor.leaves():
            return self.function(times(X, factor), g, params)
        if not factor.roles():
            return self.join(times(X, factor.instead(X, OTHER)), g, x)
        return self.product(g, self.function(factor, x, params))

    def times_join(self, g: Node, factor: Formula, a: Node, b: Node) -> Node | None:
        """g times a function of elements of a and b; None if that is zero."""
        leaves = factor.leaves()
        if OTHER not in leaves:
            return self.times(g, factor, a)
        if X not in leaves:
            return self.times(g, factor.instead(OTHER, X), b)
        return self.product(g, self.join(factor, a, b))

    def reduced(
        self, x: Node, shape: Sequence[int], *, mean: bool = False, batch: bool = False
    ) -> Node:
        """The sum, or the mean, to a shape; x itself if it has that."""
        op = ReduceTo(tuple(shape), mean, batch and x.type.batched)
        return x if op.is_identity(x.type) else self.add(op, x)

    def reshaped(self, x: Node, shape: Sequence[int]) -> Node:
        """The same elements in another shape."""
        return x if x.type.shape == tuple(shape) else self.add(Reshape(tuple(shape)), x)

    def repeated(self, x: Node, shape: Sequence[int]) -> Node:
        """x repeated along the axes on which it has the size 1, or which it lacks."""
        own = x.type.sizes
        x = self.reshaped(x, own + (1,) * (len(shape) - len(own)))
        if x.type.channels != shape[0]:
            x = self.add(AxisMap(0, (((0, 1.0),),) * shape[0]), x)
        factors = [n // m for n, m in zip(shape[1:], x.type.sizes[1:], strict=True)]
        return self.add(Upsample(tuple(factors)), x) if math.prod(factors) > 1 else x

    def ones(self, like: Node) -> Node:
        """A one for each sample."""
        return self.add(ConstantValue((1.0,)), like)

    def batched(self, x: Node, like: Node) -> Node:
        """x for each sample of another value."""
        same = x.type.batched or not like.type.batched
        return x if same else self.product(x, self.ones(like))

    def share(self, like: Node) -> Node:
        """One over the number of samples, for each sample."""
        ones = self.ones(like)
        return self.add(Divide(), ones, self.reduced(ones, (1,), batch=True))

    def count(self, x: Node) -> Node:
        """How many numbers of a channel there are, over the batch and all positions: [1]."""
        samples = self.reduced(self.ones(x), (1,), batch=True)
        return self.scaled(samples, math.prod(x.type.sizes[1:]))

    def fitted(self, g: Node, wanted: TensorType, like: Node) -> Node:
        """A gradient with the type of what it belongs to, which a join may have repeated."""
        if g.type == wanted:
            return g
        g = self.reduced(g, wanted.sizes, batch=g.type.batched and not wanted.batched)
        return self.batched(g, like) if wanted.batched else g

    def total(self, parts: Sequence[Node]) -> Node:
        """The sum of values of one type."""
        return parts[0] if len(parts) == 1 else self.add(Add(), *parts)
