"""Memory for the tensors of calls, used again by the calls after them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress

from cnndsl.backends.native.packing import aligned
from cnndsl.runtime.module import Array


class Arenas:
    """Memory that is lent to one call after the other, whatever their sizes.

    Memory that the system gives is filled with zeros when it is first touched, which can take
    longer than the call itself. Several threads may ask at a time; a fork leaves no lock behind.
    """

    def __init__(self) -> None:
        self._kept: list[Array] = []

    @property
    def bytes(self) -> int:
        """What is kept at the moment."""
        return sum(memory.nbytes for memory in list(self._kept))

    def clear(self) -> None:
        """Give what is kept back to the system."""
        self._kept.clear()

    @contextmanager
    def lend(self, size: int) -> Generator[Array]:
        """So many floats of any content. Raises CnnError (E0711) if there is no memory."""
        memory = self._of_at_least(size)
        try:
            yield memory[:size]
        finally:
            self._kept.append(memory)

    def _of_at_least(self, size: int) -> Array:
        """What was kept last, or new memory: that goes after what is too small is given back."""
        memory: Array | None = None
        with suppress(IndexError):
            memory = self._kept.pop()
        if memory is not None and memory.size >= size:
            return memory
        del memory
        return aligned(size)
