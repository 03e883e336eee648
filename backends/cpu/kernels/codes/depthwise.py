"""Depthwise convolutions on codes in float32, which sums up products of whole numbers exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, cast, load
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.codes.linear import Layer, is_linear, padding
from cnndsl.backends.cpu.kernels.family import Candidate, Family
from cnndsl.backends.cpu.kernels.grouped import depthwise
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.operators import Conv
from cnndsl.ir.quantisation import HIGHEST, LARGEST_WEIGHT

MOST_TAPS = 2**24 // (HIGHEST * LARGEST_WEIGHT)
"""Products whose sum float32 holds exactly."""


@dataclass(frozen=True)
class Depthwise(depthwise.Depthwise):
    """The same of codes: each vector of them becomes one of numbers once."""

    def _number(self, code: Code, index: Expr) -> Expr:
        lanes = self.x.layout.block
        codes = load(self.x.buffer, index, lanes)
        return code.register(cast(codes, "float32", lanes), lanes).value


def candidates(call: Call[Any]) -> Iterator[Candidate]:
    """The kernel, if it serves a call."""
    if _takes(call):
        yield Candidate("depthwise", partial(_kernel, call))


def _takes(call: Call[Any]) -> bool:
    """Whether each channel makes one, by few enough products."""
    if not is_linear(call) or not call.x.block == call.output.block == call.machine.lanes:
        return False
    op = call.op.quantised.op
    is_depthwise = isinstance(op, Conv) and op.groups == op.filters == call.x.channels > 1
    return is_depthwise and math.prod(op.kernel) <= MOST_TAPS


FAMILY = Family(candidates, _takes, padding)


def _kernel(call: Call[Any]) -> Kernel:
    layer = Layer(call)
    plain, lanes, machine = layer.plain, call.machine.lanes, call.machine
    pieces = depthwise.row_pieces(call.output.spatial[-1], machine)
    weights = {"weight": depthwise.packed(dense_weight(plain), lanes), **layer.weights()}

    def write(body: Body) -> None:
        convolution = Depthwise(plain.op, body.inputs[0], body.weights["weight"], None)
        with body.rows(body.output.layout) as (n, block, row):
            body.clear_halo(n, block, row)
            for column, total in convolution.row(body.code, n, block, row, pieces):
                whole = cast(total.value, "int32", lanes) + layer.bias(body, block)
                layer.store(body, Place(n, block, (*row, column)), whole)

    return Kernel("depthwise", weights, write)
