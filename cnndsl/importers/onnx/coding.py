"""Which tensors of a model hold codes, and what these stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnndsl.importers.onnx.layout import natural
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Array, Known, Value
from cnndsl.ir.quantisation import Quantisation

LOWEST = {"uint8": 0, "int8": -128}
"""The lowest code of each format, which is code 0 here."""
BY_NUMBER = {0: "uint8", 2: "uint8", 3: "int8"}
"""The formats by their numbers in ONNX; 0 stands for none that is given."""

KEEPING = frozenset(
    (
        *("Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "Identity"),
        *("MaxPool", "ReduceMax", "ReduceMin", "Reshape", "Slice", "SpaceToDepth", "Split"),
        *("Squeeze", "Tile", "Transpose", "Unsqueeze"),
    )
)
"""Operators whose results are some of the codes that they read."""
NEAREST = ("Resize", "Upsample")
"""Those that are, in their mode `nearest`."""


@dataclass(frozen=True)
class Format:
    """What codes stand for, and how the model stores them, see `Rounding` for the shares."""

    quantisation: Quantisation
    dtype: str
    shares: tuple[float, ...] = ()


class Coding:
    """The tensors on codes, by the names of the model."""

    def __init__(self) -> None:
        self._formats: dict[str, Format] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._formats

    def follow(self, site: Site) -> None:
        """What a node reads and makes of codes, before it is read. Raises Refusal."""
        step = site.step
        values = [n for n, o in zip(step.inputs, site.operands, strict=True) if _is_value(o)]
        found = {self._formats[name] for name in values if name in self._formats}
        if step.kind == "QuantizeLinear":
            if found:
                raise damaged("its operand is on codes already")
            if _is_value(site.operands[0]):
                self._mark(site, _format(site, _dtype(site)))
        elif not found or step.kind in ("Shape", "Size"):
            return
        elif step.kind == "DequantizeLinear":
            (known,) = found
            if _format(site, known.dtype) != known:
                raise unsupported("its scale or zero point is not that of the codes that it reads")
            site.codes = (known.quantisation, known.shares)
        elif _keeps(site):
            if len(found) > 1 or any(name not in self._formats for name in values):
                raise unsupported("its operands are not all codes of one scale")
            self._mark(site, found.pop())
        elif step.kind == "Pad" and len(step.inputs) > 1 and len(values) == 1:
            (known,) = found
            code = int(site.scalar(2)) if site.has(2) else 0
            put = np.float32(known.quantisation.decode(np.array(code - LOWEST[known.dtype])))
            site.operands[2:3] = [Known(np.asarray(put))]
            self._mark(site, known)
        else:
            raise Refusal("E0802", "it computes with codes as if they were the numbers")

    def _mark(self, site: Site, known: Format) -> None:
        site.codes = (known.quantisation, known.shares)
        self._formats |= dict.fromkeys(filter(None, site.step.outputs), known)


def _is_value(operand: object) -> bool:
    return isinstance(operand, Value)


def _keeps(site: Site) -> bool:
    nearest = site.step.kind in NEAREST and site.text("mode", "nearest") == "nearest"
    return nearest or site.step.kind in KEEPING


def _dtype(site: Site) -> str:
    """The format of the codes that a QuantizeLinear makes."""
    if site.has(2):
        return str(site.array(2).dtype)
    return BY_NUMBER.get(site.whole("output_dtype"), "of another format")


def _format(site: Site, dtype: str) -> Format:
    """By the operands of QuantizeLinear or DequantizeLinear. Raises Refusal."""
    scale, zero = site.array(1), site.array(2) if site.has(2) else None
    shares = _shares(site, scale) if scale.size != 1 else ()
    if dtype not in LOWEST or (zero is not None and zero.dtype.name not in LOWEST):
        raise unsupported(f"its codes are {dtype}", "codes of 8 bits are read")
    if zero is not None and (zero.size != scale.size or zero.dtype.name != dtype):
        raise damaged("its zero point does not fit its scale, or its codes")
    point = 0 if zero is None else int(zero.ravel()[0])
    if zero is not None and (zero != point).any():
        raise unsupported("there is a zero point for each index of an axis")
    try:
        codes = Quantisation(float(scale.max()), point - LOWEST[dtype])
    except ValueError as error:
        raise unsupported(str(error)) from None
    return Format(codes, dtype, shares)


def _shares(site: Site, scale: Array) -> tuple[float, ...]:
    """The shares of the largest scale that channels have. Raises Refusal for another axis."""
    x = site.value(0)
    axis = site.axis(len(x.layout), 1)
    node = site.element(x)
    if scale.size != node.type.channels or x.layout[axis] != natural(node.type.shape)[1]:
        raise unsupported("there is a scale for each index of an axis other than the channels")
    if not (scale > 0).all():
        raise unsupported("a scale is not above 0")
    return tuple(float(share) for share in scale.ravel() / np.float64(scale.max()))
