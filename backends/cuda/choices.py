"""Which variant of a kernel was measured to be the fastest: kept in the cache."""

from __future__ import annotations

from typing import Any

from cnndsl import __version__
from cnndsl.backends.cuda.kernel import Call
from cnndsl.backends.cuda.source import shared_text
from cnndsl.runtime.cache import Store

KIND = "tuning"


def fastest_variant(call: Call[Any]) -> str | None:
    """What was measured for a call on a GPU of its architecture, if that has been done."""
    entry = Store(KIND).get(_key(call))
    return None if entry is None else entry.decode()


def keep_fastest(call: Call[Any], variant: str) -> None:
    """Let later compilations take a variant."""
    Store(KIND).put(_key(call), variant.encode())


def _key(call: Call[Any]) -> str:
    return repr((__version__, shared_text(), call))
