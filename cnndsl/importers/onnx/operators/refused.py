"""Operators that a convolutional network at inference, in floats, has no place for."""

from __future__ import annotations

from cnndsl.importers.onnx.operators.common import Read
from cnndsl.importers.onnx.refusal import Refusal
from cnndsl.importers.onnx.site import Site

DYNAMIC = "scales depend on the numbers that are computed"
UNQUANTISED = (
    "quantise it statically, or export it before: cnndsl calibrate and compile --precision int8"
    " make codes of it"
)
LEFT = "tf2onnx has left a function of TensorFlow as it was, which no runtime computes"
CONVERTED = (
    "convert the model again on a CPU without XLA (jit_compile=False), or by a newer tf2onnx"
)
FLOW = "what is computed depends on the numbers that are computed"
DETECTION = "boxes are chosen behind the network"
CUT = "--outputs NAME cuts the model before it; the rest is a program's work"
RECURRENT = "recurrent layers are none of a convolutional network"

_REASONS = {
    DYNAMIC: (UNQUANTISED, ("DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")),
    LEFT: (CONVERTED, ("PartitionedCall", "StatefulPartitionedCall")),
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
