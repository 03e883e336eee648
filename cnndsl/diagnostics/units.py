"""Numbers for people: powers of a thousand with their letter."""

from __future__ import annotations

import re


def si(value: int | None, unit: str = "") -> str:
    """Three significant digits with a decimal prefix: 4089184256 -> "4.09 G"; "?" for None."""
    if value is None:
        return "?"
    number, prefix = float(value), ""
    for prefix in ("", "k", "M", "G", "T", "P"):
        if number < 999.5 or prefix == "P":
            break
        number /= 1000
    decimals = 0 if not prefix or number >= 99.95 else 1 if number >= 9.995 else 2
    digits = f"{number:.{decimals}f}"
    return f"{digits} {prefix}{unit}".rstrip()


def bytes_of(text: str) -> int:
    """The number of bytes of `500MB`, `1.5 GB`, `512KiB` or `4096`; ValueError for another text."""
    return _number(text, "B", "number of bytes")


def count_of(text: str) -> int:
    """The number that `25M`, `1.5 G` or `4096` stands for; ValueError for another text."""
    return _number(text, "", "number")


def _number(text: str, unit: str, what: str) -> int:
    binary = "(?:[KMGTP]i)|" if unit else ""
    match = re.fullmatch(rf"(\d{{1,12}}(?:\.\d{{1,12}})?) ?({binary}[kKMGTP]?){unit}?", text)
    if match is None:
        raise ValueError(f"{text!r} is no {what}")
    base = 1024 if match[2].endswith("i") else 1000
    power = " KMGTP".index((match[2] or " ")[0].upper())
    scale: int = base**power
    return round(float(match[1]) * scale)


def exact(value: int | None) -> str:
    """All digits in groups of three; "?" for None."""
    return "?" if value is None else f"{value:,}"
