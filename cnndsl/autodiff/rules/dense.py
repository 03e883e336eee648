"""Products of matrices: fully connected layers, radial basis functions, products of maps."""

from __future__ import annotations

import math

from cnndsl.autodiff.step import Rules, Step
from cnndsl.ir.algebra import transpose
from cnndsl.ir.formula import OTHER, X
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import (
    Correlate,
    Fixed,
    FullyConnected,
    LearnedValue,
    MatMul,
    MatMulTransposed,
    Permute,
    RadialBasis,
)

VECTORS = Correlate((), (), (), ())
"""Of vectors."""


def fully_connected(step: Step, op: FullyConnected) -> None:
    """W^T g, and g x^T summed over the batch."""
    build, x, g = step.build, step.x, step.gradient
    if step.wants(0):
        back = _transposed(step, "weight", g)
        step.give(0, build.reshaped(back, x.type.sizes))
    if step.wants("weight"):
        step.give("weight", build.add(VECTORS, build.reshaped(x, (x.type.elements,)), g))
    if step.wants("bias"):
        step.give_sum("bias", g, g.type.sizes)


def _transposed(step: Step, role: str, g: Node) -> Node:
    """g times the matrix of a parameter [units, inputs]."""
    matrix = step.parameter(role)
    op = FullyConnected(matrix.shape[1], bias=False)
    return step.build.add(op, g, params={"weight": transpose(matrix, (1, 0))})


def radial_basis(step: Step, op: RadialBasis) -> None:
    """2 (x sum(g) - C^T g), C being the centres; they have its negative for each g."""
    build, g = step.build, step.gradient
    x = build.reshaped(step.x, (step.x.type.elements,))
    total = build.reduced(g, (1,))
    if step.wants(0):
        near = build.join(
            (X - OTHER) * 2.0, build.product(x, total), _transposed(step, "centres", g)
        )
        step.give(0, build.reshaped(near, step.x.type.sizes))


def matmul(step: Step, op: MatMul) -> None:
    """Of y = a b: g b^T and a^T g."""
    build, (a, b), g = step.build, step.values, step.gradient
    if step.wants(0):
        product = build.add(MatMul(), _matrix(step, g), _turned(step, b))
        step.give(0, build.reshaped(product, a.type.sizes))
    if step.wants(1):
        step.give(1, build.add(MatMulTransposed(), _matrix(step, a), g))


def matmul_transposed(step: Step, op: MatMulTransposed) -> None:
    """Of y = a^T b: b g^T and a g."""
    build, (a, b), g = step.build, step.values, step.gradient
    if step.wants(0):
        product = build.add(MatMul(), _matrix(step, b), _turned(step, g))
        step.give(0, build.reshaped(product, a.type.sizes))
    if step.wants(1):
        step.give(1, build.add(MatMul(), _matrix(step, a), g))


def _matrix(step: Step, x: Node) -> Node:
    """A map as [channels, positions]."""
    channels, *positions = x.type.sizes
    return step.build.reshaped(x, (channels, math.prod(positions)))


def _turned(step: Step, x: Node) -> Node:
    """[positions, channels]."""
    return step.build.add(Permute((1, 0)), _matrix(step, x))


def fixed(step: Step, op: Fixed) -> None:
    """A learned value has the sum over the batch."""
    if isinstance(op, LearnedValue) and step.wants("value"):
        step.give_sum("value", step.gradient, op.shape)


RULES: Rules = {
    FullyConnected: fully_connected,
    RadialBasis: radial_basis,
    MatMul: matmul,
    MatMulTransposed: matmul_transposed,
    Fixed: fixed,
}
