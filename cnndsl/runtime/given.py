"""Arrays as callers give them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.diagnostics import CnnError


def as_array(what: str, given: Any, code: str = "E0604") -> NDArray[Any]:
    """What numpy makes of a value.

    Raises CnnError of that code if it makes nothing of it, as of lists of unequal lengths, or if a
    mask says that numbers are missing.
    """
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise CnnError.of(code, f"{what} is no array: {error}") from None
    if np.ma.is_masked(given):
        hint = "fill them: array.filled(number)"
        raise CnnError.of(code, f"{what} is masked: numbers are missing", hint=hint)
    return array
