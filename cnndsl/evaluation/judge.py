"""Some classifiers together, on images that are read as they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.evaluation.classifier import Classifier
from cnndsl.evaluation.data import Data
from cnndsl.evaluation.scores import Outcome, Unreadable, outcome
from cnndsl.evaluation.views import Views
from cnndsl.runtime.module import Array

CHUNK = 16
"""Images that go through together; which ones does not depend on the number of processes."""

Item: TypeAlias = "tuple[int, str, int, Path | Array]"
"""An image: its number, its name, its class, and the file or the array."""


@dataclass(frozen=True)
class Judge:
    """Gives the outcome of each image: the mean of the probabilities of all views and models."""

    classifiers: Sequence[Classifier]
    views: Views

    def chunks(self, data: Data) -> Iterator[list[Item]]:
        """The images, some at a time."""
        for start in range(0, len(data), CHUNK):
            some = range(start, min(start + CHUNK, len(data)))
            yield [(i, data.name(i), int(data.labels[i]), data.items[i]) for i in some]

    def outcomes(self, items: Sequence[Item]) -> list[Outcome | Unreadable]:
        """The outcomes of some images. Raises CnnError E0771 for numbers that are not finite."""
        failed: dict[int, Unreadable] = {}
        seen: dict[int, list[list[Array]]] = {}
        for index, name, _, item in items:
            try:
                seen[index] = [list(self._seen(one, item)) for one in self.classifiers]
            except CnnError as error:
                first = error.diagnostics[0]
                if first.code not in ("E0601", "E0606"):
                    raise
                failed[index] = Unreadable(index, name, first.message)
        mean = self._mean(list(seen.values())) if seen else []
        found = dict(zip(seen, mean, strict=True))
        for index, name, _, _ in items:
            if index in found and not np.isfinite(found[index]).all():
                message = f"the network gives numbers that are not finite for {name}"
                raise CnnError.of("E0771", message, hint="are these the weights and the images?")
        return [
            failed.get(index) or outcome(index, label, found[index]) for index, _, label, _ in items
        ]

    def _seen(self, one: Classifier, item: Path | Array) -> Iterator[Array]:
        """What a classifier sees of an image, by scale. Raises CnnError (E0606)."""
        if isinstance(item, np.ndarray):
            yield self.views.of_array(item)
            return
        from cnndsl.runtime.image import open_image

        yield from self.views.of_image(open_image(item, one.kind), one.kind, one.photos)

    def _mean(self, seen: Sequence[Sequence[Sequence[Array]]]) -> list[Array]:
        """The mean probabilities of each image over all that each classifier sees of it."""
        total: list[Array] = []
        for place, one in enumerate(self.classifiers):
            mine = [image[place] for image in seen]
            found = (
                [_mean_of(one, scales) for scales in mine]
                if self.views.dense
                else _means(one, mine)
            )
            total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        return [numbers / len(self.classifiers) for numbers in total]


def _mean_of(one: Classifier, scales: Sequence[Array]) -> Array:
    """The mean over the views of one image, whose sizes are its own."""
    found = np.concatenate([one.probabilities(views) for views in scales])
    mean: Array = found.mean(0)
    return mean


def _means(one: Classifier, images: Sequence[Sequence[Array]]) -> list[Array]:
    """The same for images of one size, all at a time."""
    views = np.concatenate([np.concatenate(scales) for scales in images])
    found = one.probabilities(views)
    return list(found.reshape(len(images), -1, found.shape[1]).mean(1))
