"""Memory of the gradients of a dense block by its depth, with and without recomputation.

`python -m benchmarks.recompute`: planned peaks for one sample beside the formulas of Pleiss et al.
(2017), W H k (1 + L) L numbers if concatenations and normalised features are kept, 2 W H k L if
they share two areas.
"""

from __future__ import annotations

import cnndsl
from cnndsl.autodiff.recompute import options_for
from cnndsl.memory import peak_bytes

GROWTH, SIZE = 12, 32
DEPTHS = (40, 70, 100, 130, 160, 190)
TEXT = """
block dense_layer(growth) {{ concat {{ identity | bn -> relu -> conv(growth, 3, bias=false) }} }}
network dense {{ input x [{growth}, {size}, {size}]
    repeat {depth} {{ dense_layer({growth}) }} }}
"""


def peaks(depth: int) -> list[int]:
    """Bytes without and with recomputation."""
    net = cnndsl.parse(TEXT.format(growth=GROWTH, size=SIZE, depth=depth))
    graphs = [cnndsl.gradients(net, None, recompute=again).graph for again in (None, "auto")]
    return [peak_bytes(graph, options_for(graph, 1)) for graph in graphs]


def main() -> None:
    """Print the table in megabytes."""
    print("| L | kept | W H k (1+L) L | --recompute auto | 2 W H k L |\n|---|---|---|---|---|")
    for depth in DEPTHS:
        area = 4 * SIZE * SIZE * GROWTH
        kept, again = peaks(depth)
        row = (kept, area * (1 + depth) * depth, again, 2 * area * depth)
        print(f"| {depth} | {' | '.join(f'{n / 1e6:.1f}' for n in row)} |", flush=True)


if __name__ == "__main__":
    main()
