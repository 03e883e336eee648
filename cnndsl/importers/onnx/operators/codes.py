"""Roundings to codes and back."""

from __future__ import annotations

import math
from dataclasses import replace

from cnndsl.importers.onnx.functions import FLOAT_MAX, Function, X, activation_of, limited, made
from cnndsl.importers.onnx.operators.activation import applied
from cnndsl.importers.onnx.operators.common import Read
from cnndsl.importers.onnx.refusal import damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Value
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import Sign
from cnndsl.ir.operators import Input
from cnndsl.quantise.rounding import Rounded

CLOSE = 1e-4
"""Relative difference of the largest number of a relu6 from 6, of a scale in float32."""


def quantize(site: Site) -> Value:
    """A rounding, see above; in float32 `relu`, `relu6` or nothing."""
    x = site.value(0)
    if x.integer:
        raise unsupported("its operand holds whole numbers")
    return _rounded(site, _rectified(site, x))


def _rectified(site: Site, x: Value) -> Value:
    """A value as float32 has it.

    Where codes begin at the number 0, quantisers leave out a rectifier before them, or a clamp.
    """
    assert site.codes
    codes, _ = site.codes
    if codes.zero or _is_nonnegative(site.builder.graph, x):
        return x
    high = 6.0 if math.isclose(codes.high, 6.0, rel_tol=CLOSE) else FLOAT_MAX
    return applied(site, x, lambda inner: limited(inner, 0.0, high))


def _is_nonnegative(graph: Graph, x: Value) -> bool:
    """Whether a value is known to be nowhere below zero; inputs are taken to be what is said."""
    if x.function != X:
        op = activation_of(x.function)
        return op is not None and op.sign is Sign.NONNEGATIVE
    waiting = [x.node]
    while waiting:
        node = graph[waiting.pop()]
        if isinstance(node.op, Input) or node.op.sign is Sign.NONNEGATIVE:
            continue
        if node.op.sign is not Sign.KEPT:
            return False
        waiting += [operand.name for operand in graph.producers(node)]
    return True


def _rounded(site: Site, x: Value) -> Value:
    """A value rounded to the codes of a place. Raises Refusal if it is rounded to others."""
    assert site.codes
    node = site.element(x)
    if isinstance(node.op, Rounded):
        if node.op.codes == site.codes:
            return x
        raise unsupported("its operand has been rounded to other codes before")
    made = site.builder.once("rounded", Rounded(*site.codes), [node], site.label)
    return site.same_places(x, node, made)


def dequantize(site: Site) -> Value:
    """Nothing; inputs that are codes become numbers by `scale`."""
    x = site.value(0)
    if site.codes:
        return _rounded(site, x)
    if not x.integer:
        raise damaged("its operand is not on codes")
    scale = site.scalar(1)
    zero = site.scalar(2) if site.has(2) else 0.0

    def decoded(inner: Function) -> Function:
        return made("multiply", made("subtract", inner, zero), scale)

    return applied(site, replace(x, integer=False), decoded)


OPERATORS: dict[str, Read] = {"QuantizeLinear": quantize, "DequantizeLinear": dequantize}
