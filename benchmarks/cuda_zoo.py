"""Every network of the zoo as device code: does it compile, and what do its kernels need.

    python -m benchmarks.cuda_zoo [--only 'resnet*'] [--arch sm_90] [--json FILE]

Each network is compiled in f32 and f16 for batches of 1 and 32; neither a GPU nor weights are
needed. A kernel that spills registers is a failure, as is code for another architecture, or where
each wgmma waits for the one before. The last columns count convolutions and fully connected layers
by the family of their kernel: `wgmma` and `gemm` run on tensor cores, `sgemm` in float32, `grouped`
computes what is limited by memory, `plain` the rest.
Kernels in the cache are not compiled again: `CNNDSL_CACHE=off` measures whole compilations.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

import cnndsl
from benchmarks.zoo import networks
from cnndsl.backends.cuda import BACKEND
from cnndsl.backends.cuda.lower import Program, lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.backends.cuda.objects import Code, make_code
from cnndsl.backends.cuda.source import kernels
from cnndsl.backends.cuda.tables import packing_of
from cnndsl.backends.cuda.toolchain import cubin_arch
from cnndsl.diagnostics import CnnError
from cnndsl.ir.operators import Conv, FullyConnected
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.files import atomic_write

TENSOR = ("wgmma", "gemm")
"""Families that multiply on tensor cores."""
FORMS = (("f32", 1), ("f32", 32), ("f16", 1), ("f16", 32))


@dataclass(frozen=True)
class Row:
    """A network in one form: seconds, kernels and how many of them were built, what they need.

    `registers` are the most of a kernel, `spills` bytes of all, `serialised` and `foreign` count
    kernels whose tensor-core instructions wait for one another, and those for another
    architecture. `wgmma` and `gemm` count those products that run on tensor cores indeed.
    """

    network: str
    precision: str
    batch: int
    seconds: float
    launches: int
    kernels: int
    built: int
    registers: int
    spills: int
    serialised: int
    foreign: int
    wgmma: int
    gemm: int
    sgemm: int
    grouped: int
    plain: int

    @property
    def fine(self) -> bool:
        """No spills, no needless waits, and all code is for the architecture asked for."""
        return not (self.spills or self.serialised or self.foreign)


def compile_form(name: str, precision: str, batch: int, arch: str) -> Row:
    """Compile a network of the zoo. Raises CnnError."""
    start = time.perf_counter()
    graph = optimise(cnndsl.parse(name).graph, fusions=BACKEND.fusions)[0]
    program = lower(graph, batch, find_machine(arch, precision))
    packing_of(program)
    sources = kernels(program.steps)
    code, hits = make_code(sources)
    products = count_products(program, code)
    return Row(
        name,
        precision,
        batch,
        time.perf_counter() - start,
        len(program.steps),
        len(code),
        len(code) - hits,
        max(made.resources.registers for made in code.values()),
        sum(made.resources.spills for made in code.values()),
        sum(made.resources.serialised for made in code.values()),
        sum(cubin_arch(code[name].cubin) != sources[name].arch for name in sources),
        products["wgmma"],
        products["gemm"],
        products["sgemm"],
        products["grouped"],
        products["plain"],
    )


def count_products(program: Program, code: Mapping[str, Code]) -> Counter[str]:
    """Convolutions and fully connected layers by the family of their kernel."""
    return Counter(
        step.kernel.family
        for step in program.steps
        if isinstance(step.call.core, Conv | FullyConnected)
        and (step.kernel.family not in TENSOR or code[step.symbol].resources.products)
    )


HEAD = (
    f"{'network':34} {'form':>7} {'seconds':>8} {'launches':>8} {'kernels':>7} {'built':>6} "
    f"{'registers':>9} {'spills':>6} {'wgmma':>5} {'gemm':>5} {'sgemm':>5} {'grouped':>7} "
    f"{'plain':>5}"
)


def line(row: Row) -> str:
    """A line of the table, misses marked."""
    form = f"{row.precision}x{row.batch}"
    text = (
        f"{row.network:34} {form:>7} {row.seconds:8.1f} {row.launches:8} {row.kernels:7} "
        f"{row.built:6} {row.registers:9} {row.spills:6} {row.wgmma:5} {row.gemm:5} "
        f"{row.sgemm:5} {row.grouped:7} {row.plain:5}"
    )
    problems = {
        "spills": row.spills,
        "serialised": row.serialised,
        "other architecture": row.foreign,
    }
    return "  ".join([text, *(name for name, count in problems.items() if count)])


def main() -> None:
    """Print the table; exit 1 if a network does not compile, or not as it should."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="*", metavar="PATTERN", help="such as 'resnet*'")
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    given = parser.parse_args()
    names = networks(given.only)
    if not names:
        parser.error(f"no network is called {given.only}")
    console = Console(stderr=True)
    rows: list[Row] = []
    problems: dict[str, str] = {}
    print(HEAD, flush=True)
    jobs = [(name, *form) for name in names for form in FORMS]
    quiet = not console.is_terminal
    for name, precision, batch in track(
        jobs, "compiling", console=console, transient=True, disable=quiet
    ):
        try:
            rows.append(compile_form(name, precision, batch, given.arch))
            print(line(rows[-1]), flush=True)
        except CnnError as error:
            problems[f"{name} {precision}x{batch}"] = error.diagnostics[0].message
            print(name, precision, batch, error.diagnostics[0].message, flush=True)
    if given.json:
        write_json(given.json, rows, problems)
    fine = sum(row.fine for row in rows)
    print(f"{fine} of {len(jobs)} forms of {len(names)} networks compile as they should")
    sys.exit(fine < len(jobs))


def write_json(path: Path, rows: Sequence[Row], problems: dict[str, str]) -> None:
    """All figures, for machines."""
    figures = [asdict(row) | {"fine": row.fine} for row in rows]
    with atomic_write(path) as file:
        file.write(json.dumps({"forms": figures, "problems": problems}, indent=1).encode())


if __name__ == "__main__":
    main()
