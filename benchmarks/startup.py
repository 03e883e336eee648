"""Start-up and compile times, each against its bar: medians over fresh processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

COMMAND = str(Path(sys.executable).with_name("cnndsl"))
IMPORT = (sys.executable, "-c", "import cnndsl")
CHECK = (COMMAND, "check", "networks/densenet.cnn:densenet264")
COMPILE = (sys.executable, "-c", "import cnndsl; cnndsl.compile('densenet264', seed=0)")


@dataclass(frozen=True)
class Measurement:
    """A command, how often it runs, and the seconds that it may take, interpreter included."""

    label: str
    command: Sequence[str]
    runs: int
    bar: float


MEASUREMENTS = (
    Measurement("import cnndsl", IMPORT, 20, 0.2),
    Measurement("cnndsl check densenet264", CHECK, 5, 1.0),
    Measurement("compile densenet264 to ONNX, unwritten", COMPILE, 5, 5.0),
)


def seconds(command: Sequence[str], runs: int) -> float:
    """Median wall time of a process, after one run that warms the disk cache."""
    times = []
    for _ in range(runs + 1):
        start = perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(perf_counter() - start)
    return median(times[1:])


def main() -> None:
    """Print a table; the last column marks what is over its bar."""
    print(f"{'':40}   median      bar")
    for row in MEASUREMENTS:
        taken = seconds(row.command, row.runs)
        print(f"{row.label:40} {taken:6.3f} s  {row.bar:5.1f} s{'  over' * (taken > row.bar)}")


if __name__ == "__main__":
    main()
