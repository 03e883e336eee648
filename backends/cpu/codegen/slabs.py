"""How the rows of a map are divided among the cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cnndsl.backends.cpu.codegen.expressions import Expr
from cnndsl.backends.cpu.codegen.extents import Number, parts
from cnndsl.backends.cpu.codegen.layout import Layout
from cnndsl.backends.cpu.codegen.tir import Code, side


@dataclass(frozen=True)
class Slabs:
    """A slab is as many neighbouring indices of a map's first axis as each core gets.

    A map of one axis is one slab.
    """

    layout: Layout
    cores: int

    @property
    def size(self) -> Number:
        """Indices of a slab; of the last there may be fewer."""
        spatial = self.layout.spatial
        return spatial[0] if len(spatial) == 1 else parts((spatial or (1,))[0], self.cores)

    @property
    def tasks(self) -> tuple[Number, Number, Number]:
        """Samples, slabs and channel blocks.

        A core that gets neighbouring tasks computes the same rows of all blocks, so that operators
        one after another find in its own cache what they read.
        """
        height = (self.layout.spatial or (1,))[0]
        return self.layout.batch, parts(height, self.size), self.layout.blocks

    @contextmanager
    def rows(self, code: Code, slab: Expr) -> Iterator[list[Expr]]:
        """All but the last index of every row of a slab."""
        if self.layout.rank < 2:
            yield []
            return
        height, *inner = self.layout.spatial[:-1]
        with code.loop(self.size) as index:
            row = code.name(slab * self.size + index)
            inside = height % self.size == 0 or row < height
            with code.when(inside), code.box([side(0, extent) for extent in inner]) as rest:
                yield [row, *rest]
