"""Which variant of a kernel was measured to be the fastest: kept in the cache."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from cnndsl.backends.cpu.codegen.objects import compiler
from cnndsl.backends.cpu.features import host_model
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.runtime.cache import Store

KIND = "tuning"


@dataclass(frozen=True)
class Measured:
    """The variants of a kernel that were timed, and what came of it; seconds are those of a call.

    `fastest` is the `default` of the cost models unless another variant is clearly faster.
    """

    variants: tuple[str, ...]
    default: str
    default_seconds: float
    fastest: str
    fastest_seconds: float


class Choices:
    """What has been measured on this CPU with a number of threads.

    What is kept is found by this object even if the cache is off.
    """

    def __init__(self, threads: int):
        self.threads = threads
        self._store = Store(KIND)
        self._known: dict[str, Measured | None] = {}
        self._origin = ("cpu", threads, host_model(), *compiler())

    def get(self, call: Call[Any]) -> Measured | None:
        """What was measured for a call, if that has been done."""
        key = self._key(call)
        if key not in self._known:
            entry = self._store.get(key)
            self._known[key] = _read(entry) if entry else None
        return self._known[key]

    def keep(self, call: Call[Any], measured: Measured) -> None:
        """Let later compilations take the fastest variant."""
        key = self._key(call)
        self._known[key] = measured
        self._store.put(key, json.dumps(asdict(measured)).encode())

    def variant_of(self, call: Call[Any]) -> str:
        """The variant to take for a call; no name stands for that of the cost models."""
        measured = self.get(call)
        return "" if not measured or measured.fastest == measured.default else measured.fastest

    def _key(self, call: Call[Any]) -> str:
        """All that the time of a call follows from."""
        model = replace(call, variant="").key()
        return repr((model, *self._origin))


def _read(entry: bytes) -> Measured:
    found = json.loads(entry)
    return Measured(**{**found, "variants": tuple(found["variants"])})
