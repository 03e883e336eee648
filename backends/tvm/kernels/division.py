"""How the outputs of a dense kernel are divided among the cores: by rows, by channels, or both."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.tvm.machine import Machine
from cnndsl.backends.tvm.tiles import PER_CYCLE

OWN, SHARED, FOREIGN = 32.0, 8.0, 14.0
"""Bytes that a core gets in a cycle, about: from its own cache, from the one that all cores share,
and of what another core has written or is about to read."""
TASK = 300
"""Cycles to begin a task."""


@dataclass(frozen=True)
class Work:
    """Rows of some samples, and tiles of output blocks (`chunks`) of each.

    `cycles` are those of a row for all chunks; `read`, `written` and `weights` are bytes of a
    sample.
    """

    rows: int
    samples: int
    chunks: int
    cycles: float
    read: int
    written: int
    weights: int


def ranked_divisions(work: Work, limit: float, machine: Machine) -> list[tuple[int, int]]:
    """Rows and chunks of a task, at most `limit` rows, the best division first.

    Tasks are numbered by rows first; a core gets neighbouring ones. So cores work on different
    rows if there are enough tasks with different rows: then they find in their own cache what
    they have written before, but each reads all weights. Else they share the rows, and each reads
    a part of the weights.
    """
    least = -(-work.rows // max(1, int(limit)))
    cores = machine.cores
    counts = {least, *range(1, cores + 1), *(-(-least // cores) * cores * k for k in (1, 2, 4))}
    rows = sorted({-(-work.rows // count) for count in counts if least <= count <= work.rows})
    chunks = [c for c in range(1, work.chunks + 1) if work.chunks % c == 0]
    choices = [(r, c) for r in rows or [1] for c in chunks]
    return sorted(choices, key=lambda c: (_cycles(work, c[0], c[1], machine), -c[1]))


def _cycles(work: Work, rows: int, chunks: int, machine: Machine) -> float:
    """Cycles until all cores are done."""
    cores = machine.cores
    groups = work.samples * -(-work.rows // rows)
    tasks = groups * (work.chunks // chunks)
    rounds = -(-tasks // cores)
    multiply = rounds * rows * chunks / work.chunks * work.cycles
    together = max(1, cores // groups)
    passes = max(1.0, groups / cores)
    weights = passes * work.weights / together
    weights /= OWN if work.weights < machine.caches[1] // 2 and passes > 1 else SHARED
    moved = (work.read + work.written) * work.samples * together / cores
    return multiply + weights + moved / (FOREIGN if together > 1 else OWN) + rounds * TASK


def prefers_bands(weight: tuple[int, ...], positions: int, machine: Machine) -> bool:
    """Whether cores should take bands of a 1x1 convolution's map, and apply its prologue to them.

    `weight` is [filters, channels, ...]. Each core then reads all weights. Else each takes some of
    the filters and reads the whole operand, which is stored after its prologue.
    """
    filters, channels = weight[:2]
    cores, operand = machine.cores, 4 * positions * channels
    multiplies = positions * channels * filters / machine.lanes
    work = Work(
        rows=cores,
        samples=1,
        chunks=cores,
        cycles=multiplies / PER_CYCLE / cores,
        read=operand,
        written=4 * positions * filters,
        weights=4 * filters * channels,
    )
    apart = _cycles(work, cores, 1, machine) + operand / FOREIGN
    return _cycles(work, 1, cores, machine) <= apart
