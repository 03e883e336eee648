"""Functions of single elements and joins, by the derivatives of their formulas."""

from __future__ import annotations

from cnndsl.autodiff.step import Rules, Step
from cnndsl.ir.derivative import differentiate
from cnndsl.ir.formula import OTHER, X, exp, parameter
from cnndsl.ir.operators import Add, Average, Divide, Elementwise, Join, Max, SoftmaxSum, Subtract


def elementwise(step: Step, op: Elementwise) -> None:
    """g f'(x), and for each parameter the sum of g times the derivative by it."""
    build, g = step.build, step.gradient
    if step.wants(0):
        by_result = op.derivative_by_result
        slope, of = (op.derivative, step.x) if by_result is None else (by_result, step.y)
        step.give(0, build.times(g, slope, of, step.node.params))
    for role in op.formula.roles():
        if step.wants(role):
            slope = differentiate(op.formula, parameter(role))
            term = build.times(g, slope, step.x, step.node.params)
            step.give_sum(role, term, step.parameter(role).shape)


def join(step: Step, op: Join) -> None:
    """Of the operands one after another: backwards from the last one, past the value so far."""
    build, g = step.build, step.gradient
    formula = op.formula
    assert formula is not None
    is_sum = isinstance(op, Add | Subtract)
    values = step.operands if is_sum else step.values
    so_far = [values[0]]
    for operand in values[1:-1]:
        so_far.append(build.add(op, so_far[-1], operand))
    for index in range(len(values) - 1, 0, -1):
        a, b = so_far[index - 1], values[index]
        if step.wants(index):
            step.give(index, build.times_join(g, differentiate(formula, OTHER), a, b))
        earlier = build.times_join(g, differentiate(formula, X), a, b)
        assert earlier is not None
        g = earlier
    step.give(0, g)


def average(step: Step, op: Average) -> None:
    """g / n for each."""
    share = step.build.scaled(step.gradient, 1 / len(step.operands))
    for index in range(len(step.operands)):
        step.give(index, share)


def softmax_sum(step: Step, op: SoftmaxSum) -> None:
    """g p for a value, g p (x - y) for its score, p being the score's softmax."""
    build, g = step.build, step.gradient
    half = len(step.operands) // 2
    values, scores = step.values[:half], step.values[half:]
    largest = build.add(Max(), *scores) if half > 1 else scores[0]
    powers = [build.join(exp(X - OTHER), score, largest) for score in scores]
    total = build.total(powers)
    for index, (value, power) in enumerate(zip(values, powers, strict=True)):
        weighted = build.product(g, build.add(Divide(), power, total))
        step.give(index, weighted)
        if step.wants(half + index):
            distance = build.add(Subtract(), value, step.y)
            step.give(half + index, build.product(weighted, distance))


RULES: Rules = {
    Elementwise: elementwise,
    Join: join,
    Average: average,
    SoftmaxSum: softmax_sum,
}
