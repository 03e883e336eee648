"""Memory for the tensors of calls, used again by the calls after them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from cnndsl.backends.native.packing import FLOAT, aligned
from cnndsl.diagnostics import CnnError
from cnndsl.runtime.module import Array


@dataclass
class _Memory:
    """Addresses, and how many floats from the first on were lent: only these are touched."""

    whole: Array
    lent: int = 0


class Arenas:
    """Memory that is lent to one call after the other, whatever their sizes.

    Memory that the system gives is filled with zeros when it is first touched, which can take
    longer than the call itself. Addresses cost nothing: `room` times those that are asked for are
    kept together, so that a larger call touches no more new memory than it needs. Several threads
    may ask at a time; a fork leaves no lock behind.
    """

    def __init__(self, room: int = 1) -> None:
        self._room = room
        self._kept: list[_Memory] = []

    @property
    def bytes(self) -> int:
        """What is kept at the moment."""
        return sum(FLOAT * memory.lent for memory in list(self._kept))

    def clear(self) -> None:
        """Give what is kept back to the system."""
        self._kept.clear()

    @contextmanager
    def lend(self, size: int) -> Generator[Array]:
        """So many floats of any content. Raises CnnError (E0711) if there is no memory."""
        memory = self._of_at_least(size)
        memory.lent = max(memory.lent, size)
        try:
            yield memory.whole[:size]
        finally:
            self._kept.append(memory)

    def _of_at_least(self, size: int) -> _Memory:
        """What was kept last, or new memory: that goes after what is too small is given back."""
        memory: _Memory | None = None
        with suppress(IndexError):
            memory = self._kept.pop()
        if memory is not None and memory.whole.size >= size:
            return memory
        del memory
        with suppress(CnnError):  # The system may count addresses, too.
            return _Memory(aligned(self._room * size))
        return _Memory(aligned(size))
