"""What comes out: ranks of the right classes, losses, and which class is taken for which."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.runtime.module import Array

TINY = float(np.finfo(np.float64).tiny)
BEST = 5


@dataclass(frozen=True)
class Outcome:
    """Of one image: its number, class, answer, the rank of the class from 0, and its loss."""

    index: int
    label: int
    answer: int
    rank: int
    loss: float


@dataclass(frozen=True)
class Unreadable:
    """An image that is not counted, and why."""

    index: int
    name: str
    problem: str


def outcome(index: int, label: int, probabilities: Array) -> Outcome:
    """Of probabilities [classes]; of equal ones the first is the better answer.

    The loss is -log p of the right class, in natural logarithms.
    """
    order = np.argsort(-probabilities, kind="stable")
    rank = int(np.flatnonzero(order == label)[0])
    loss = -math.log(max(float(probabilities[label]), TINY))
    return Outcome(index, label, int(order[0]), rank, loss)


@dataclass(frozen=True)
class Report:
    """How well classes were told apart.

    `top1` and `top5` are shares of the images whose class was the answer, or among the five best;
    `loss` is the mean cross-entropy in natural logarithms, None where the outputs are no
    distribution. `confusion[i, j]` counts the images of class i that were taken for j; `top5_of[i]`
    those of class i with it among the five best.
    """

    images: int
    top1: float
    top5: float
    loss: float | None
    confusion: Array
    top5_of: Array
    names: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]

    @property
    def counts(self) -> Array:
        """The images of each class."""
        counts: Array = self.confusion.sum(1)
        return counts

    def name(self, label: int) -> str:
        """What a class is called; its number, if nobody knows."""
        return self.names[label] if label < len(self.names) else str(label)

    def classes(self) -> list[dict[str, Any]]:
        """For each class with images: how many, and the shares that were right and in five."""
        return [
            {
                "class": label,
                "name": self.name(label),
                "images": count,
                "top1": int(self.confusion[label, label]) / count,
                "top5": int(self.top5_of[label]) / count,
            }
            for label, count in enumerate(self.counts.tolist())
            if count
        ]

    def confused(self) -> list[tuple[int, int, int]]:
        """Class, answer and count of what was taken for something else, the most frequent first."""
        wrong = np.argwhere(self.confusion * (1 - np.eye(len(self.confusion), dtype=np.int64)))
        rows = [(i, j, int(self.confusion[i, j])) for i, j in wrong.tolist()]
        return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))

    def as_dict(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {
            "images": self.images,
            "top1": self.top1,
            "top5": self.top5,
            "loss": self.loss,
            "classes": self.classes(),
            "confused": [
                {"class": i, "answer": j, "images": count} for i, j, count in self.confused()
            ],
            "unreadable": [{"image": row.name, "problem": row.problem} for row in self.unreadable],
        }


def report(
    found: Iterable[Outcome | Unreadable], classes: int, names: Sequence[str], *, distribution: bool
) -> Report:
    """The report of all images, in whatever order they come. There is one that was read."""
    rows = sorted(found, key=lambda row: row.index)
    read = [row for row in rows if isinstance(row, Outcome)]
    confusion, top5 = np.zeros((classes, classes), np.int64), np.zeros(classes, np.int64)
    for row in read:
        confusion[row.label, row.answer] += 1
        top5[row.label] += row.rank < BEST
    count = len(read)
    return Report(
        count,
        int(np.trace(confusion)) / count,
        int(top5.sum()) / count,
        math.fsum(row.loss for row in read) / count if distribution else None,
        confusion,
        top5,
        tuple(names),
        tuple(row for row in rows if isinstance(row, Unreadable)),
    )
