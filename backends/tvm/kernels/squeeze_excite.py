"""Squeeze-and-excitation in one kernel: means, the two small layers, the scaled map.

The means of all channels come first, then the hidden layer; both wait in scratch memory. The
factors of a channel block stay in a register: a task that scales rows of a block computes them
from the hidden layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

from cnndsl.backends.tvm.expressions import Expr, load, split, vector
from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.layout import Place
from cnndsl.backends.tvm.steps import apply_step
from cnndsl.backends.tvm.tir import Code, Register
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import SqueezeExcite

SUMS = 4
"""Sums that are formed side by side, since each addition waits for the one before."""
TASKS_PER_CORE = 4
"""Tasks to make of the scaling, if the map has enough rows."""


def squeeze_excite(call: Call[SqueezeExcite]) -> Kernel:
    """y = x * gate(W2 activation(W1 mean(x) + b1) + b2)."""
    op, lanes = call.op, call.output.block
    activation, gate = op.functions
    means = call.x.batch * call.x.blocks * lanes
    hidden_blocks = -(-op.width // lanes)

    def write(body: Body) -> None:
        code, x = body.code, call.x
        _squeeze(body)
        with code.parallel(x.batch, hidden_blocks) as (n, block):
            total = _layer(body, "1", block, n * (x.blocks * lanes), x.channels)
            value = apply_step(activation, total, lanes)
            code.store(body.scratch, means + (n * hidden_blocks + block) * lanes, value, lanes)

        def factors(n: Expr, block: Expr) -> Expr:
            total = _layer(body, "2", block, means + n * (hidden_blocks * lanes), op.width)
            return apply_step(gate, total, lanes)

        _scale(body, factors)

    weights = {
        "w1": _packed(call.core.params["w1"], lanes),
        "b1": _filled(call.core.params["b1"], lanes),
        "w2": _packed(call.core.params["w2"], lanes),
        "b2": _filled(call.core.params["b2"], lanes),
    }
    scratch = means + call.x.batch * hidden_blocks * lanes
    return Kernel("squeeze_excite", {**weights, **call.step_weights()}, write, scratch)


def _filled(values: Expression, lanes: int) -> Expression:
    """Zeros at the end of the first axis, up to whole vectors."""
    rest = ((0, 0),) * (len(values.shape) - 1)
    return pad(values, ((0, -values.shape[0] % lanes), *rest))


def _packed(weight: Expression, lanes: int) -> Expression:
    """[outputs, inputs] as [output blocks, inputs, lanes]."""
    filled = _filled(weight, lanes)
    outputs, inputs = filled.shape
    return transpose(reshape(filled, (outputs // lanes, lanes, inputs)), (0, 2, 1))


def _squeeze(body: Body) -> None:
    """The mean of each channel into scratch memory, [batch, blocks, lanes]."""
    x, code, lanes = body.call.x, body.code, body.call.x.block
    *outer, columns = x.spatial
    with code.parallel(x.batch, x.blocks) as (n, block):
        sums = _zeros(code, min(SUMS, columns), lanes)
        with code.box([range(size) for size in outer]) as row:

            def element(column: Expr) -> Expr:
                return body.read(Place(n, block, (*row, column)))

            _add_up(code, sums, columns, element)
        mean = _total(sums) * vector(1 / math.prod(x.spatial), lanes)
        code.store(body.scratch, (n * x.blocks + block) * lanes, mean, lanes)


def _layer(body: Body, number: str, block: Expr, start: Expr, inputs: int) -> Expr:
    """W x + b for a block of outputs; x lies in scratch memory from `start` on."""
    code, lanes = body.code, body.call.output.block
    weight, bias = body.weights[f"w{number}"], body.weights[f"b{number}"]
    sums = _zeros(code, min(SUMS, inputs), lanes)

    def product(channel: Expr) -> Expr:
        scalar = vector(load(body.scratch, start + channel), lanes)
        return scalar * load(weight, (block * inputs + channel) * lanes, lanes)

    _add_up(code, sums, inputs, product)
    return _total(sums) + load(bias, block * lanes, lanes)


def _scale(body: Body, factors: Callable[[Expr, Expr], Expr]) -> None:
    """The product of the map and the factors of a sample's channel block, and the epilogue."""
    layout, code = body.call.output, body.code
    *outer, columns = layout.spatial
    rows = math.prod(outer)
    tasks = TASKS_PER_CORE * body.call.machine.cores
    parts = _divisor(rows, -(-tasks // (layout.batch * layout.blocks)))
    with code.parallel(layout.batch, layout.blocks, parts) as (n, block, part):
        body.clear_halo(n, block, [part])
        factor = code.register(factors(n, block), layout.block)
        with code.loop(rows // parts) as index:
            row = [code.name(i) for i in split(part * (rows // parts) + index, outer)]
            with code.loop(columns) as column:
                place = Place(n, block, (*row, column))
                body.write(place, body.read(place) * factor.value)


def _divisor(number: int, least: int) -> int:
    """The smallest divisor from `least` on, or the number itself."""
    return next((d for d in range(least, number) if number % d == 0), number)


def _zeros(code: Code, count: int, lanes: int) -> list[Register]:
    return [code.register(vector(0.0, lanes), lanes) for _ in range(count)]


def _add_up(code: Code, sums: Sequence[Register], count: int, term: Callable[[Expr], Expr]) -> None:
    """Add term(0), term(1), ... term(count - 1) to the sums in turn."""

    def add_terms(first: Expr, registers: Sequence[Register]) -> None:
        for offset, register in enumerate(registers):
            code.set(register, register.value + term(first + offset))

    together = len(sums)
    with code.loop(count // together) as group:
        add_terms(group * together, sums)
    add_terms(count - count % together, sums[: count % together])


def _total(sums: Sequence[Register]) -> Expr:
    return reduce(add, (register.value for register in sums))


FAMILIES: dict[type[Operator], Callable[[Call[Any]], Kernel]] = {SqueezeExcite: squeeze_excite}
