"""The cuda target on a GPU: is every network right, how long does a call take, and with PyTorch.

    python -m benchmarks.cuda [--arch sm_90] [--forms f16x1,f16x32] [--seconds S] [--json FILE]
                              [NETWORK ...]

First each network is compared with onnxruntime on the CPU, on the first and the last sample of a
batch; without names, all of the zoo. Then calls between buffers on the GPU are timed, as by
`cnndsl bench --against torch`: medians. PyTorch, if it is installed, runs the same network with
channels last and max-autotune, which includes CUDA graphs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

import cnndsl
from benchmarks.zoo import networks
from cnndsl.backends.cuda.module import CudaModule
from cnndsl.diagnostics import CnnError
from cnndsl.measure.contest import contest
from cnndsl.runtime.files import atomic_write
from cnndsl.runtime.module import Array

TIMED = ("resnet50", "resnet18", "mobilenet_v1", "mobilenet_v2", "densenet121", "vgg16")
FORMS = (("f32", 1), ("f32", 32), ("f16", 1), ("f16", 32))
RIVALS = ["torch"] if importlib.util.find_spec("torch") else []
TOLERANCE = {"f32": 1e-5, "f16": 1e-3}
"""Largest error of an output relative to its largest number."""


@dataclass(frozen=True)
class Check:
    """The error of a network in one form, or what kept it from running."""

    network: str
    precision: str
    batch: int
    error: float | None
    problem: str = ""

    @property
    def fine(self) -> bool:
        """The error is within the tolerance."""
        return self.error is not None and self.error <= TOLERANCE[self.precision]


@dataclass(frozen=True)
class Timing:
    """Median seconds of a call; `ratio` over 1 says how many times longer PyTorch takes."""

    network: str
    precision: str
    batch: int
    seconds: float
    torch_seconds: float | None = None
    ratio: float | None = None


def compiled(network: str, precision: str, batch: int, arch: str) -> CudaModule:
    """A network with random weights. Raises CnnError."""
    module = cnndsl.compile(network, "cuda", seed=0, arch=arch, precision=precision, batch=batch)
    assert isinstance(module, CudaModule)
    return module


def check(network: str, precision: str, batch: int, arch: str) -> Check:
    """Compare a network with onnxruntime."""
    try:
        module = compiled(network, precision, batch, arch)
        images = random_images(module)
        made = module.run(images)
        picked = sorted({0, batch - 1})
        some = {name: array[picked] for name, array in images.items()}
        wanted = cnndsl.compile(network, "onnx", seed=0).run(some)
    except CnnError as error:
        return Check(network, precision, batch, None, error.diagnostics[0].message)
    pairs = [(made[name][picked], right) for name, right in wanted.items()]
    return Check(network, precision, batch, max(relative_error(*pair) for pair in pairs))


def random_images(module: CudaModule) -> dict[str, Array]:
    """A batch of each input."""
    rng = np.random.default_rng(0)
    return {
        port.name: rng.normal(size=module.batch_shape(port)).astype(np.float32)
        for port in module.inputs
    }


def relative_error(made: Array, wanted: Array) -> float:
    """The largest difference relative to the largest number wanted; NaN if there is one."""
    return float(np.abs(made - wanted).max() / max(np.abs(wanted).max(), 1e-30))


def measure(network: str, precision: str, batch: int, arch: str, seconds: float) -> Timing:
    """Time a network, and PyTorch in turns with it. Raises CnnError."""
    found = contest(compiled(network, precision, batch, arch), RIVALS, seconds=seconds)
    own = found.own.timing
    result = Timing(network, precision, batch, own.percentile(50))
    if not RIVALS:
        return result
    theirs = found.contestants[1].timing
    return replace(result, torch_seconds=theirs.percentile(50), ratio=own.ratio(theirs))


def check_line(row: Check) -> str:
    """A line of the first table."""
    found = row.problem if row.error is None else f"{row.error:.1e}"
    mark = "" if row.fine else "  wrong" if row.error is not None else "  failed"
    return f"{row.network:34}{row.precision:>10}{row.batch:7}  {found}{mark}"


def timing_line(row: Timing) -> str:
    """A line of the second table."""
    rival = f"{row.torch_seconds * 1e3:10.3f}" if row.torch_seconds else f"{'-':>10}"
    ratio = f"{row.ratio:7.2f}" if row.ratio else f"{'-':>7}"
    return (
        f"{row.network:34}{row.precision:>10}{row.batch:7}{row.seconds * 1e3:9.3f}"
        f"{row.batch / row.seconds:10.0f}{rival}{ratio}"
    )


def main() -> None:
    """Print both tables; exit 1 if a result is wrong, 2 if there is no GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--arch", default="sm_90")
    names = {f"{precision}x{batch}": (precision, batch) for precision, batch in FORMS}
    parser.add_argument("--forms", default=",".join(names), help="%(default)s")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    given = parser.parse_args()
    unknown = set(given.forms.split(",")) - set(names)
    if unknown:
        parser.error(f"no form {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    forms = [names[name] for name in given.forms.split(",")]
    require_gpu(parser)
    console = Console(stderr=True)
    quiet = not console.is_terminal
    checks, timings = [], []
    print(f"{'network':34}{'precision':>10}{'batch':>7}  error", flush=True)
    jobs = [(name, *form) for name in given.networks or networks("*") for form in forms]
    for job in track(jobs, "checking", console=console, transient=True, disable=quiet):
        checks.append(check(*job, given.arch))
        print(check_line(checks[-1]), flush=True)
    wrong = {(row.network, row.precision, row.batch) for row in checks if not row.fine}
    print(f"{len(checks) - len(wrong)} of {len(checks)} are right\n")
    print(f"{'network':34}{'precision':>10}{'batch':>7}{'ms':>9}{'images/s':>10}{'torch ms':>10}"
          f"{'ratio':>7}", flush=True)  # fmt: skip
    jobs = [(name, *form) for name in given.networks or TIMED for form in forms]
    jobs = [job for job in jobs if job not in wrong]
    for job in track(jobs, "timing", console=console, transient=True, disable=quiet):
        try:
            timings.append(measure(*job, given.arch, given.seconds))
            print(timing_line(timings[-1]), flush=True)
        except CnnError as error:
            wrong.add(job)
            print(*job, error.diagnostics[0].message, flush=True)
    if given.json:
        write_json(given.json, given.arch, checks, timings)
    raise SystemExit(bool(wrong))


def require_gpu(parser: argparse.ArgumentParser) -> None:
    """Exit with 2 and one line without a GPU."""
    from cnndsl.backends.cuda.driver import Driver

    try:
        Driver()
    except CnnError as error:
        parser.exit(2, f"{error.diagnostics[0].message}\n")


def write_json(path: Path, arch: str, checks: list[Check], timings: list[Timing]) -> None:
    """All figures, for machines."""
    figures = {
        "arch": arch,
        "checks": [asdict(row) | {"fine": row.fine} for row in checks],
        "timings": [asdict(row) for row in timings],
    }
    with atomic_write(path) as file:
        file.write(json.dumps(figures, indent=1).encode())


if __name__ == "__main__":
    main()
