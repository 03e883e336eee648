"""Samples to calibrate with: the photos of a folder, or arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.photo import Photo
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Array
from cnndsl.runtime.photos import ENDINGS, photos_in

BATCH = 4
"""Samples that run at a time."""

Inputs = Mapping[str, TensorType]
"""The types of a network's inputs by name."""


class Samples(Protocol):
    """Where samples come from."""

    @property
    def count(self) -> int:
        """How many there are."""

    def batches(self, inputs: Inputs) -> Iterator[dict[str, Array]]:
        """Arrays [batch, *shape] by input name. Raises CnnError for what does not fit."""


@dataclass(frozen=True)
class Photos:
    """Photos as `cnndsl.runtime.image.load_image` reads them, for a network of one input."""

    paths: tuple[Path, ...]
    photo: Photo | None = None

    @classmethod
    def of(cls, folder: Path, photo: Photo | None = None) -> Photos:
        """All photos in a folder and those in it, by name. Raises CnnError (E0601, E0905)."""
        if not folder.is_dir():
            problem = "it is no folder" if folder.exists() else "there is no such folder"
            raise CnnError.of("E0601", f"cannot read {folder}: {problem}")
        paths = photos_in(folder)
        if not paths:
            known = f"endings: {', '.join(ENDINGS)}"
            raise CnnError.of("E0905", f"there are no photos in {folder}", hint=known)
        return cls(tuple(paths), photo)

    @property
    def count(self) -> int:
        """How many photos there are."""
        return len(self.paths)

    def batches(self, inputs: Inputs) -> Iterator[dict[str, Array]]:
        """Photos of one size together. Raises CnnError E0606 for one that cannot be read."""
        from cnndsl.runtime.image import load_image

        if len(inputs) != 1:
            names = ", ".join(inputs)
            raise CnnError.of(
                "E0905", f"photos are for one input, the network has {names}", hint="use --input"
            )
        ((name, kind),) = inputs.items()
        read = partial(load_image, kind=kind, photo=self.photo)
        together = 1 if kind.is_open else BATCH
        for start in range(0, self.count, together):
            paths = self.paths[start : start + together]
            yield {name: np.concatenate([read(path) for path in paths])}


@dataclass(frozen=True)
class Arrays:
    """Arrays [samples, *shape], or [*shape] for one sample, by input name; None: the next input."""

    arrays: Mapping[str | None, Array]

    @property
    def count(self) -> int:
        """How many samples the first array has, taken for many."""
        return len(next(iter(self.arrays.values()), ()))

    def batches(self, inputs: Inputs) -> Iterator[dict[str, Array]]:
        """A few samples at a time. Raises CnnError (E0604) for arrays that do not fit."""
        found = self._by_name(inputs)
        counts = {name: len(array) for name, array in found.items()}
        if len(set(counts.values())) > 1:
            shown = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise CnnError.of("E0604", f"the inputs have not as many samples each: {shown}")
        for start in range(0, next(iter(counts.values())), BATCH):
            yield {name: array[start : start + BATCH] for name, array in found.items()}

    def _by_name(self, inputs: Inputs) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for key, array in self.arrays.items():
            name = key or next((n for n in inputs if n not in found), "")
            if name not in inputs:
                known = ", ".join(inputs)
                raise CnnError.of("E0604", f"there is no input {name!r}", hint=f"inputs: {known}")
            found[name] = array[None] if array.ndim == len(inputs[name].shape) else array
        missing = [name for name in inputs if name not in found]
        if missing:
            raise CnnError.of("E0604", f"no samples for input {', '.join(missing)}")
        return found
