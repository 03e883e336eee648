"""W0302: kernels of 1xn and nx1 on large maps.

Source: Szegedy et al. (2016), Rethinking the Inception architecture for computer vision, section
3.2: the factorisation does not work well on early layers, and very well on maps of 12 to 20.
"""

from __future__ import annotations

from collections.abc import Iterator

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators.convolution import Conv
from cnndsl.lint.lint import Remark

CODE = "W0302"
LARGEST = 20


def asymmetric_kernels(graph: Graph) -> Iterator[Remark]:
    """Convolutions of two axes that are 1 wide on one of them and 3 or more on the other."""
    for node in graph.nodes():
        if not isinstance(node.op, Conv) or len(node.op.kernel) != 2:
            continue
        sizes = node.core.inputs[0].spatial
        thin, long = sorted(node.op.kernel)
        known = [size for size in sizes if isinstance(size, int)]
        if thin == 1 and long >= 3 and known and min(known) > 1 and max(known) > LARGEST:
            kernel = "x".join(map(str, node.op.kernel))
            yield Remark(
                node,
                f"the kernel is {kernel} on a map of {'x'.join(map(str, sizes))}",
                f"factorise where maps have 12 to {LARGEST} positions on an axis",
            )
