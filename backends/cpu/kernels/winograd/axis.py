"""Where the tiles of an axis lie."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.codegen.expressions import Expr, div, mod
from cnndsl.backends.cpu.codegen.extents import Number, parts, smallest


@dataclass(frozen=True)
class Axis:
    """Tiles of m outputs that are `dilation` apart, as are the inputs that they are made of.

    So a dilated convolution is one without dilation for each remainder of a position by the
    dilation. Tile t begins at output (t // dilation) * m * dilation + t mod dilation.
    """

    m: int
    dilation: int

    @property
    def _span(self) -> int:
        """Outputs of as many tiles as are interleaved."""
        return self.m * self.dilation

    def count(self, n: Number) -> Number:
        """Tiles that have one of n outputs: the first so many."""
        if self.dilation == 1:
            return parts(n, self.m)
        return self.dilation * (n // self._span) + smallest(self.dilation, n % self._span)

    def beyond(self, n: Number) -> int:
        """Outputs that tiles have behind the n that there are, at most."""
        most = self._span - self.dilation
        return min(-n % self._span, most) if isinstance(n, int) else most

    def first(self, tile: Expr) -> Expr:
        """The first output of a tile."""
        if self.dilation == 1:
            return tile * self.m
        return div(tile, self.dilation) * self._span + mod(tile, self.dilation)

    def output(self, tile: Expr, index: int, window: int = 1) -> Expr:
        """One of a tile's outputs, or of the windows that these are cut into without dilation."""
        if self.dilation == 1:
            return tile * (self.m // window) + index // window
        return self.first(tile) + index * self.dilation

    def has(self, n: Number, tile: Expr, index: int) -> Expr:
        """Whether one of a tile's outputs is among the n that there are."""
        if isinstance(n, int) and self.dilation == 1:
            return not n % self.m or index < n % self.m or tile < n // self.m
        return not self.beyond(n) or self.output(tile, index) < n
