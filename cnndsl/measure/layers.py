"""What the steps of a program reach, compared with what the machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.measure.bench import LayerTimes
from cnndsl.runtime.layers import Layer, Peak


@dataclass(frozen=True)
class LayerReport:
    """A step and its seconds, beside the roofline of the machine (Williams et al. 2009).

    Where the machine's `peak` is not known, neither is what the step is bound by.
    """

    layer: Layer
    seconds: float
    peak: Peak | None

    @property
    def flops(self) -> float:
        """Floating point operations in a second, two for each multiply-add."""
        return 2 * self.layer.macs / self.seconds

    @property
    def bandwidth(self) -> float:
        """Bytes read and written in a second."""
        return (self.layer.read + self.layer.written) / self.seconds

    @property
    def bound(self) -> str | None:
        """What limits the step: `compute`, or `memory` if moving its bytes takes longer."""
        if self.peak is None:
            return None
        compute, memory = self._shares(self.peak)
        return "compute" if compute > memory else "memory"

    @property
    def share(self) -> float | None:
        """Of what limits the step, the share that it reaches; over 1 if caches serve it."""
        return None if self.peak is None else max(self._shares(self.peak))

    def data(self) -> dict[str, Any]:
        """The step as plain data, its time in milliseconds."""
        layer = self.layer
        return {
            "node": layer.node,
            "op": layer.op,
            "family": layer.family,
            "format": layer.format,
            "shape": list(layer.shape),
            "macs": layer.macs,
            "bytes": layer.read + layer.written,
            "ms": self.seconds * 1e3,
            "gflops": self.flops / 1e9,
            "gb_per_second": self.bandwidth / 1e9,
            "bound": self.bound,
            "share": self.share,
        }

    def _shares(self, peak: Peak) -> tuple[float, float]:
        operations = peak.operations(self.layer.format)
        return self.flops / operations, self.bandwidth / peak.bandwidth


def peak_data(peak: Peak) -> dict[str, Any]:
    """What a machine reaches as plain data; `products` are those of other formats, in Gop/s."""
    return {
        "gflops": peak.flops / 1e9,
        "gb_per_second": peak.bandwidth / 1e9,
        "products": {name: operations / 1e9 for name, operations in peak.products.items()},
    }


def layer_reports(layers: Sequence[Layer], times: LayerTimes) -> list[LayerReport]:
    """One report for each step, in the order in which they run."""
    pairs = zip(layers, times.seconds, strict=True)
    return [LayerReport(layer, seconds, times.peak) for layer, seconds in pairs]
