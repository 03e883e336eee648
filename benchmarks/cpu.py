"""The cpu target against onnxruntime, OpenVINO, ncnn and MNN: time of a call, memory at the peak.

Usage: python -m benchmarks.cpu [--threads N] [--batch N] [--seconds S] [NETWORK ...]
A NETWORK may be a pattern, such as 'resnet*', or `recent`, those of RECENT. ncnn (`pip install
ncnn pnnx`) and MNN may be installed elsewhere, in a folder of PYTHONPATH.

With --json FILE the figures are written as they come, and networks that stand in the file already
are left out: what was interrupted goes on with the same command. The last lines are about all of
the file.

For code without AVX-512, against the one rival that can be kept from using it:
ONEDNN_MAX_CPU_ISA=AVX2 python -m benchmarks.cpu --mcpu x86-64-v3 --against openvino
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cnndsl
from cnndsl.diagnostics import CnnError
from cnndsl.measure.contest import Contest, contest
from cnndsl.measure.runtimes import RIVALS
from cnndsl.runtime.files import atomic_write
from cnndsl.runtime.module import Module

USUAL = ("onnxruntime", "openvino", "ncnn", "mnn")
"""The rivals whose fastest one the bars are for."""
BARS = {
    "vgg16": 2.3, "resnet18": 1.6, "resnet34": 1.6, "resnet50": 1.2, "se_resnet50": 1.2,
    "resnext50_32x4d": 1.1, "densenet121": 1.35, "squeezenet1_0": 1.4, "alexnet_grouped": 1.2,
    "inception_v3": 1.25, "inception_v4": 1.25, "inception_resnet_v2": 1.15, "xception": 1.1,
    "mobilenet_v1": 1.1, "shufflenet_v1_g3_1x": 1.5, "resnet20_cifar": 1.3, "googlenet": 1.5,
}  # fmt: skip
"""How many times faster than the faster of the others each network should be."""

RECENT = (
    *("convnext_tiny", "darknet53", "dcgan_discriminator", "dcgan_generator"),
    *("deeplabv3_resnet50", "efficientnet_b0", "efficientnet_b4", "espcn", "fractalnet"),
    *("ghostnet", "hrnet_w18_small", "mobilenet_v3_large", "mobilenet_v3_small", "r3d_18"),
    *("regnet_x_400mf", "regnet_y_400mf", "regnet_y_800mf", "repvgg_a0", "repvgg_a0_deployed"),
    *("retinanet", "selective_kernels", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "style"),
    *("unet_2015", "wavenet", "yolov3", "yolov5s"),
)
"""Those that `recent` stands for; each should be faster than onnxruntime."""

MEGABYTE = 1e6


def main() -> None:
    """Print a line for each network, and the geometric mean of the ratios."""
    rivals = [name for name, rival in RIVALS.items() if importlib.util.find_spec(rival.package)]
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("networks", nargs="*", default=list(BARS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--mcpu", default="native")
    usual = ",".join(name for name in USUAL if name in rivals)
    parser.add_argument("--against", default=usual, help="by default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, and resume")
    options = parser.parse_args()
    against = [name for name in options.against.split(",") if name]
    if missing := set(against) - set(rivals):
        parser.error(f"not installed: {', '.join(sorted(missing))}")
    names = ["cpu", *against]
    print(f"{'network':22}" + "".join(f"{f'{name} ms':>15}" for name in names)
          + f"{'ratio':>8}{'bar':>6}" + "".join(f"{f'{name} MB':>15}" for name in names)
          + f"{'arena MB':>10}")  # fmt: skip
    kept = Kept.of(options.json)
    for network in expanded(options.networks):
        if network in kept.rows:
            continue
        try:
            found = measured(network, against, options)
        except CnnError as error:
            print(f"{network:22}{str(error).splitlines()[0]}", flush=True)
            continue
        kept.add(network, row(network, found, fastest_ratio(found), names), fastest_ratio(found))
        print(kept.rows[network], flush=True)
    kept.report()


def measured(network: str, against: Sequence[str], options: argparse.Namespace) -> Contest:
    """A network's module and its rivals, in turns, each alone in a process of its own."""
    threads, batch = options.threads, options.batch
    module = cnndsl.compile(network, "cpu", seed=0, threads=threads, batch=batch, mcpu=options.mcpu)
    return able(module, against, threads=threads, seconds=options.seconds)


@dataclass(frozen=True)
class Kept:
    """The lines and ratios of networks, in a file if one is given."""

    file: Path | None
    rows: dict[str, str]
    ratios: dict[str, float]

    @classmethod
    def of(cls, file: Path | None) -> Kept:
        """What a file has, if there is one."""
        if file is None or not file.exists():
            return cls(file, {}, {})
        return cls(file, **json.loads(file.read_text("utf-8")))

    def add(self, network: str, line: str, ratio: float) -> None:
        """Keep a network's figures."""
        self.rows[network], self.ratios[network] = line, ratio
        if self.file is not None:
            with atomic_write(self.file) as file:
                text = json.dumps({"rows": self.rows, "ratios": self.ratios}, indent=1)
                file.write(text.encode())

    def report(self) -> None:
        """Print the geometric mean, and which are slower than a rival."""
        if not self.ratios:
            return
        mean = math.exp(statistics.fmean(map(math.log, self.ratios.values())))
        print(f"geometric mean of {len(self.ratios)}: {mean:.2f}")
        if slower := [name for name, ratio in self.ratios.items() if ratio < 1]:
            print("slower:", *(f"{name} {self.ratios[name]:.2f}" for name in slower))


def expanded(names: Sequence[str]) -> Iterator[str]:
    """The names, and those of the zoo's networks that patterns among them stand for."""
    # Measuring processes import this module, and should hold no more than what they measure.
    from benchmarks.zoo import networks

    for name in names:
        if name == "recent":
            yield from RECENT
        else:
            yield from networks(name) if set(name) & set("*?[") else [name]


def able(module: Module, against: Sequence[str], **options: Any) -> Contest:
    """A contest with the rivals that can run the network; a line tells why another cannot."""
    try:
        return contest(module, against, **options)
    except CnnError as error:
        problem = error.diagnostics[0].message
        failed = [name for name in against if name in problem]
        if not failed:
            raise
        print(problem, file=sys.stderr, flush=True)
        return able(module, [name for name in against if name not in failed], **options)


def fastest_ratio(found: Contest) -> float:
    """How many times longer than ours a call of the fastest rival takes; 1 without rivals."""
    rivals = found.contestants[1:]
    return min((found.own.timing.ratio(rival.timing) for rival in rivals), default=1.0)


def row(network: str, found: Contest, ratio: float, names: Sequence[str]) -> str:
    """A network's line: milliseconds, ratio and bar, megabytes at the peak beyond the weights."""
    rows = {c.name: c for c in found.contestants}
    cells = [
        (f"{rows[name].timing.percentile(50) * 1e3:.2f}",
         f"{rows[name].working_bytes / MEGABYTE:.1f}") if name in rows else ("-", "-")
        for name in names
    ]  # fmt: skip
    times, memory = (
        "".join(f"{cell:>15}" for cell in column) for column in zip(*cells, strict=True)
    )
    arena = (found.arena_bytes or 0) / MEGABYTE
    bar = BARS.get(network, 1.0)
    return f"{network:22}{times}{ratio:8.2f}{bar:6.2f}{memory}{arena:10.1f}"


if __name__ == "__main__":
    main()
