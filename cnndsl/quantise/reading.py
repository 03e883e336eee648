"""Reading the JSON files of this folder: every field is checked, every fault has its place."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cnndsl.diagnostics import CnnError
from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.ir.quantisation import CODES, LARGEST_SCALE, Quantisation
from cnndsl.runtime.archive import once_each
from cnndsl.runtime.files import read_file

FORMAT = 1
"""Of the files."""
LARGEST_FILE = 1 << 28
LARGEST_NUMBER = CODES * LARGEST_SCALE
"""No code stands for more."""

Read = TypeVar("Read")


def not_a_calibration(file: str, problem: str) -> CnnError:
    """The error for a file that is none, or holds what cannot be."""
    return CnnError.of("E0903", f"{file}: {problem}", hint="`cnndsl calibrate` makes it anew")


def read_json(path: str | Path, make: Callable[[str, dict[str, Any]], Read]) -> Read:
    """What `make` makes of a file's name and its JSON object; that raises ValueError for faults.

    Raises CnnError (E0601, and E0903 for faults).
    """
    content = read_file(path, LARGEST_FILE)
    try:
        data = _data(content)
        if not isinstance(data, dict):
            raise ValueError("it is no JSON object")
        return make(str(path), data)
    except (ValueError, RecursionError) as error:
        raise not_a_calibration(str(path), str(error)) from None


def _data(content: bytes) -> Any:
    try:
        return json.loads(content, object_pairs_hook=once_each)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError("it is no JSON") from None


def numbers(where: str, values: Any) -> tuple[float, ...]:
    """A list of numbers. Raises ValueError."""
    if not isinstance(values, list):
        raise ValueError(f"{where} is no list")
    found = tuple(number(f"{where}[{i}]", value) for i, value in enumerate(values))
    for i, value in enumerate(found):
        if abs(value) > LARGEST_NUMBER:
            raise ValueError(f"{where}[{i}] is {value}, more than codes can stand for")
    return found


def number(where: str, value: Any) -> float:
    """A finite number. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise ValueError(f"{where} is {shown(value)}, no finite number")
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def require_format(data: Mapping[str, Any]) -> None:
    """Raise ValueError for a file of another format than is written here."""
    if type(data.get("format")) is not int or data["format"] != FORMAT:
        raise ValueError(f"its format is {data.get('format')!r}, not {FORMAT}")


def require_keys(where: str, row: Mapping[str, Any], wanted: tuple[str, ...]) -> None:
    """Raise ValueError unless an object has these fields and no others."""
    for name in wanted:
        if name not in row:
            raise ValueError(f"{where}{name} is missing")
    for name in row:
        if name not in wanted:
            hint = did_you_mean(name, wanted)
            raise ValueError(f"{where}{name} is unknown{f'; {hint}' if hint else ''}")


def shown(value: Any) -> str:
    """A value as messages show it, not all of a long one."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def quantisation(where: str, scale: Any, zero: Any) -> Quantisation:
    """A scale and a zero point. Raises ValueError."""
    step = number(f"{where}.scale", scale)
    if type(zero) is not int:
        raise ValueError(f"{where}.zero is {shown(zero)}, no whole number")
    try:
        return Quantisation(step, zero)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
