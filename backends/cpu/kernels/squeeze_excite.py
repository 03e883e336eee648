"""Squeeze-and-excitation in one kernel: means, the two small layers, the scaled map.

The means of all channels come first, then the hidden layer; both wait in scratch memory. The
factors of a channel block stay in a register: a task that scales rows of a block computes them
from the hidden layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, load, split, vector
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.steps import apply_step
from cnndsl.backends.cpu.codegen.sums import Range, summed
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import SqueezeExcite

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
    with code.parallel(x.batch, x.blocks) as (n, block):
        axes = [Range.whole(size) for size in x.spatial]
        total = summed(code, lanes, axes, lambda at: body.read(Place(n, block, at)))
        mean = total * vector(1 / math.prod(x.spatial), lanes)
        code.store(body.scratch, (n * x.blocks + block) * lanes, mean, lanes)


def _layer(body: Body, number: str, block: Expr, start: Expr, inputs: int) -> Expr:
    """W x + b for a block of outputs; x lies in scratch memory from `start` on."""
    code, lanes = body.code, body.call.output.block
    weight, bias = body.weights[f"w{number}"], body.weights[f"b{number}"]

    def product(channel: Expr) -> Expr:
        scalar = vector(load(body.scratch, start + channel), lanes)
        return scalar * load(weight, (block * inputs + channel) * lanes, lanes)

    total = summed(code, lanes, [Range.whole(inputs)], lambda at: product(*at))
    return total + load(bias, block * lanes, lanes)


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


FAMILIES: dict[type[Operator], Callable[[Call[Any]], Kernel]] = {SqueezeExcite: squeeze_excite}
