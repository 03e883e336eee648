"""Large maps of few channels on the cpu target against onnxruntime, as a Markdown table.

    python -m benchmarks.large_maps [--size N] [--threads N] [--seconds S] [CASE ...]

Maps of 4096 by 4096 need some 8 GB of free memory with the widest convolutions. Each runtime has a
process of its own, and they take turns. Ratios are ours through theirs: of the median time of a
call, and of the peak of memory beyond the inputs.
"""

from __future__ import annotations

import argparse

import cnndsl
from cnndsl.measure.contest import contest

CASES = {
    **{
        f"{name} {channels}": (channels, layer)
        for name, layer in (
            ("upsample", "upsample(2)"),
            ("maxpool", "maxpool(2)"),
            ("avgpool", "avgpool(2)"),
            ("sigmoid", "sigmoid"),
        )
        for channels in (1, 2, 3, 4)
    },
    "conv 1 to 16": (1, "conv(16, 3)"),
    "conv 16 to 1": (16, "conv(1, 3)"),
    "conv 3 to 32": (3, "conv(32, 3)"),
    "conv 32 to 3": (32, "conv(3, 3)"),
}
"""By name the channels of the input, and the network's one layer."""
BAR = 2.0
"""How many times as long, and as much memory, as onnxruntime a case may take."""
MEGABYTE = 1e6


def row(name: str, size: int, threads: int, seconds: float) -> str:
    """A case's line; ratios beyond the bar are bold."""
    channels, layer = CASES[name]
    text = f"network large_map {{\n    input x [{channels}, {size}, {size}]\n    {layer}\n}}\n"
    module = cnndsl.compile(text, "cpu", seed=0, threads=threads)
    found = contest(module, ["onnxruntime"], threads=threads, seconds=seconds)
    times = [c.timing.percentile(50) * 1e3 for c in found.contestants]
    peaks = [c.timing.peak / MEGABYTE for c in found.contestants]
    cells = [name]
    for own, other in (times, peaks):
        ratio = own / other
        shown = f"**{ratio:.2f}**" if ratio > BAR else f"{ratio:.2f}"
        cells += [f"{own:.1f}", f"{other:.1f}", shown]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table, a line as soon as it is measured."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("cases", nargs="*", metavar="CASE", default=list(CASES))
    parser.add_argument("--size", type=int, default=4096, help="height and width (%(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    if unknown := set(options.cases) - CASES.keys():
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    print("| case | cpu ms | onnxruntime ms | ratio | cpu MB | onnxruntime MB | ratio |")
    print("|---" + "|---:" * 6 + "|")
    for name in options.cases:
        print(row(name, options.size, options.threads, options.seconds), flush=True)


if __name__ == "__main__":
    main()
