"""What values a tensor takes, as a histogram, and the range that codes should cover."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnndsl.ir.quantisation import CODES, Quantisation

Array: TypeAlias = NDArray[Any]

BINS = 16384
"""Of a histogram from -limit to limit; an even number."""
SHARES = np.linspace(0.15, 1.0, 86)
"""Shares of the range of all values that are tried as the range of codes."""
PERCENTILE = 99.97
"""Percent of the values that the method `percentile` covers, at each end."""


class Histogram:
    """Counts of the values seen so far, their extremes, and the mean of each channel."""

    def __init__(self) -> None:
        self.low = self.high = 0.0
        self._limit = 0.0
        self.counts = np.zeros(BINS, np.int64)
        self._sums: Array | float = 0.0
        self._positions = 0

    def add(self, x: Array) -> None:
        """Count [batch, channels, *spatial]. Raises ValueError for what is not finite."""
        low, high = float(x.min()), float(x.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise ValueError("values are not finite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen(max(-low, high))
        if self._limit:
            places = (x.ravel() * (BINS / 2 / self._limit) + BINS / 2).astype(np.int32)
            self.counts += np.bincount(np.minimum(places, BINS - 1), minlength=BINS)
        spatial = tuple(range(2, x.ndim))
        self._sums = self._sums + x.sum((0, *spatial), dtype=np.float64)
        self._positions += x.size // x.shape[1]

    def _widen(self, largest: float) -> None:
        """Double the limit, two bins becoming one, until the largest value is within it."""
        if not self._limit:
            self._limit = largest
        while largest > self._limit:
            middle = self.counts.reshape(-1, 2).sum(1)
            self.counts[:] = 0
            self.counts[BINS // 4 : -BINS // 4] = middle
            self._limit *= 2

    @property
    def mean(self) -> Array:
        """[channels]."""
        return np.asarray(self._sums) / self._positions

    @property
    def centres(self) -> Array:
        """The middle of each bin."""
        return (np.arange(BINS) + 0.5 - BINS / 2) * (2 * self._limit / BINS)


@dataclass(frozen=True)
class Method:
    """A way to find the range of codes, and what it is.

    `clips` tells whether narrower ranges are tried that may cost the outputs less.
    """

    name: str
    description: str
    range_of: Callable[[Histogram, bool], tuple[float, float]]
    clips: bool = False


def _all(seen: Histogram, symmetric: bool) -> tuple[float, float]:
    return seen.low, seen.high


def _percentile(seen: Histogram, symmetric: bool) -> tuple[float, float]:
    """All but the rarest values at each end."""
    below = np.cumsum(seen.counts) / max(seen.counts.sum(), 1)
    rare = 1 - PERCENTILE / 100
    centres = seen.centres
    low = centres[np.searchsorted(below, rare, "right").clip(0, BINS - 1)]
    high = centres[np.searchsorted(below, 1 - rare).clip(0, BINS - 1)]
    return max(seen.low, float(low)), min(seen.high, float(high))


def _least(cost: Callable[[Histogram, Quantisation], float]) -> Any:
    """The range, a share of that of all values, of the least cost."""

    def range_of(seen: Histogram, symmetric: bool) -> tuple[float, float]:
        if not seen.counts.any():
            return seen.low, seen.high
        costs = [
            cost(seen, Quantisation.covering(s * seen.low, s * seen.high, symmetric=symmetric))
            for s in SHARES
        ]
        share = float(SHARES[int(np.argmin(costs))])
        return share * seen.low, share * seen.high

    return range_of


def _square_error(seen: Histogram, q: Quantisation) -> float:
    error = q.decode(q.encode(seen.centres)) - seen.centres
    return float((seen.counts * error**2).sum())


def _divergence(seen: Histogram, q: Quantisation) -> float:
    """Kullback-Leibler divergence of the clipped histogram from what is left of it on codes.

    The count of a code is spread evenly over its bins that are not empty. Zero has a code of its
    own, which loses nothing, so its bin counts as its fuller neighbour does: else the many zeros
    behind a relu would be spread over bins that hold none of them. Source: Migacz (2017), 8-bit
    inference with TensorRT.
    """
    code = q.encode(seen.centres).astype(np.intp)
    inside = (seen.centres >= q.low) & (seen.centres <= q.high)
    all_counts = seen.counts.astype(np.float64)
    zero = BINS // 2
    all_counts[zero] = max(all_counts[zero - 1], all_counts[zero + 1])
    counts = np.where(inside, all_counts, 0)
    first, last = np.flatnonzero(inside)[[0, -1]]
    clipped = counts.copy()
    clipped[first] += all_counts[:first].sum()
    clipped[last] += all_counts[last + 1 :].sum()
    filled = counts > 0
    mass = np.bincount(code, counts, CODES)
    bins = np.bincount(code, filled, CODES)
    spread = np.where(filled, mass[code] / np.maximum(bins[code], 1), 0)
    total, spread_total = clipped.sum(), spread.sum()
    if not spread_total:
        return np.inf
    p, kept = clipped / total, np.maximum(spread / spread_total, 1e-12)
    some = p > 0
    return float((p[some] * np.log(p[some] / kept[some])).sum())


METHODS = {
    method.name: method
    for method in (
        Method("minmax", "all values", _all),
        Method("percentile", f"{PERCENTILE} % of the values at each end", _percentile),
        Method("entropy", "the least Kullback-Leibler divergence", _least(_divergence)),
        Method("mse", "the least mean squared error", _least(_square_error)),
        Method("outputs", "that of mse, or less if outputs lose less", _least(_square_error), True),
    )
}
DEFAULT_METHOD = "outputs"


def codes_for(seen: Histogram, method: str, *, symmetric: bool) -> Quantisation:
    """The quantisation for what was seen of a tensor."""
    low, high = METHODS[method].range_of(seen, symmetric)
    return Quantisation.covering(low, high, symmetric=symmetric)
