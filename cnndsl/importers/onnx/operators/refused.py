"""Operators that a convolutional network at inference, in floats, has no place for."""

from __future__ import annotations

from cnndsl.importers.onnx.operators.common import Read
from cnndsl.importers.onnx.refusal import Refusal
from cnndsl.importers.onnx.site import Site

QUANTISED = "numbers are quantised, and networks are of float32 here"
UNQUANTISED = "export the model before it is quantised"
FLOW = "what is computed depends on the numbers that are computed"
DETECTION = "boxes are chosen behind the network"
CUT = "--outputs NAME cuts the model before it; the rest is a program's work"
RECURRENT = "recurrent layers are none of a convolutional network"

_REASONS = {
    QUANTISED: (
        UNQUANTISED,
        (
            *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv"),
            *("QLinearMatMul", "ConvInteger", "MatMulInteger"),
        ),
    ),
    FLOW: (CUT, ("If", "Loop", "Scan", "NonZero", "TopK", "Unique", "Compress")),
    DETECTION: (CUT, ("NonMaxSuppression", "RoiAlign", "MaxRoiPool")),
    RECURRENT: (None, ("LSTM", "GRU", "RNN")),
}


def _refuse(reason: str, hint: str | None) -> Read:
    def read(site: Site) -> list[object]:
        raise Refusal("E0802", reason, hint)

    return read  # type: ignore[return-value]


OPERATORS: dict[str, Read] = {
    name: _refuse(reason, hint) for reason, (hint, names) in _REASONS.items() for name in names
}
"""Each refuses with its reason."""
