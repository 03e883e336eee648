"""How the outputs of a dense kernel are divided among the cores: by rows, by channels, or both."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.native.packing import FLOAT

TASK = 300
"""Cycles to begin a task."""


@dataclass(frozen=True)
class Speeds:
    """Bytes that a core gets in a cycle, about.

    From its `own` cache, from the one that all cores share, and of what another (`foreign`) core
    has written or is about to read.
    """

    own: float
    shared: float
    foreign: float


AMD, OTHERS = Speeds(32.0, 8.0, 14.0), Speeds(45.0, 8.0, 6.0)
"""Measured on Zen 5, whose cores share a near cache, and on Granite Rapids, whose cores do not."""


def speeds_of(machine: Machine) -> Speeds:
    """Those of a machine's cores."""
    return AMD if machine.is_amd else OTHERS


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
    cores, speeds = machine.cores, speeds_of(machine)
    groups = work.samples * -(-work.rows // rows)
    tasks = groups * (work.chunks // chunks)
    rounds = -(-tasks // cores)
    multiply = rounds * rows * chunks / work.chunks * work.cycles
    together = max(1, cores // groups)
    passes = max(1.0, groups / cores)
    weights = passes * work.weights / together
    is_kept = work.weights < machine.caches[1] // 2 and passes > 1
    weights /= speeds.own if is_kept else speeds.shared
    moved = (work.read + work.written) * work.samples * together / cores
    moved /= speeds.foreign if together > 1 else speeds.own
    return multiply + weights + moved + rounds * TASK


def prefers_bands(weight: tuple[int, ...], positions: int, machine: Machine) -> bool:
    """Whether cores should take bands of a 1x1 convolution's map, and apply its prologue to them.

    `weight` is [filters, channels, ...]. Each core then reads all weights. Else each takes some of
    the filters and reads the whole operand, which is stored after its prologue.
    """
    filters, channels = weight[:2]
    cores, operand = machine.cores, FLOAT * positions * channels
    multiplies = positions * channels * filters / machine.lanes
    work = Work(
        rows=cores,
        samples=1,
        chunks=cores,
        cycles=multiplies / machine.issue / cores,
        read=operand,
        written=FLOAT * positions * filters,
        weights=FLOAT * filters * channels,
    )
    apart = _cycles(work, cores, 1, machine) + operand / speeds_of(machine).foreign
    return _cycles(work, 1, cores, machine) <= apart
