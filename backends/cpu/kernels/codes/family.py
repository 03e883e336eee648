"""The kernels of operators on codes."""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cpu.kernels.codes import elementwise, encode, plain, pooling
from cnndsl.backends.cpu.kernels.codes.depthwise import FAMILY as DEPTHWISE
from cnndsl.backends.cpu.kernels.codes.direct import FAMILY as WORDS
from cnndsl.backends.cpu.kernels.codes.grouped import FAMILY as GROUPED
from cnndsl.backends.cpu.kernels.codes.operators import Coded, Decode, Encode
from cnndsl.backends.cpu.kernels.codes.winograd import FAMILY as WINOGRAD
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Call, Kernel
from cnndsl.ir.operators import Meaning

__all__ = ["DEPTHWISE", "FAMILIES", "GROUPED", "WINOGRAD", "WORDS"]


def coded(call: Call[Any]) -> Kernel:
    """By what it means on codes."""
    match call.op.quantised.meaning:
        case Meaning.LINEAR:
            return plain.linear(call)
        case Meaning.MEAN:
            return pooling.mean(call)
        case Meaning.TABLE:
            return elementwise.table(call)
    return elementwise.elementwise(call)


FAMILIES: Makers = {Encode: encode.encode, Decode: elementwise.decode, Coded: coded}
