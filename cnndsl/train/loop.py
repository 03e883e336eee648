"""The loop, whatever takes the steps: epochs, held-out accuracy, checkpoints, the best weights."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BatchNorm
from cnndsl.network import Network
from cnndsl.recipes.augmentations import Crop
from cnndsl.recipes.recipe import Recipe
from cnndsl.runtime.module import Array
from cnndsl.train.checkpoint import SUFFIX
from cnndsl.train.data import Data, Images
from cnndsl.train.plan import Epoch, Plan
from cnndsl.weights.files import save_safetensors

LARGEST_RATE = 1e30
"""Steps at a larger rate are beyond float32, whatever the optimiser divides by."""


class Loop(ABC):
    """One run of training, by the process number `rank` of `count`."""

    def __init__(
        self,
        network: Network,
        data: Data,
        recipe: Recipe,
        plan: Plan,
        rank: int = 0,
        count: int = 1,
    ):
        self.data, self.recipe, self.plan, self.rank, self.count = data, recipe, plan, rank, count
        self.crop = self._crop()
        self.facts = {"network": network.source_hash, "recipe": recipe.texts(), "seed": plan.seed,
                      "samples": len(data.train), "kept zeros": plan.keep_zeros}  # fmt: skip
        self._require_samples(network.graph)
        self.epochs: list[Epoch] = []

    def _require_samples(self, graph: Graph) -> None:
        """Raise CnnError (E0615) for steps of too few samples."""
        least = min(self.recipe.batch, len(self.data.train))
        if least < self.count:
            message = f"{least} samples of a step are too few for {self.count} processes"
            raise CnnError.of("E0615", message)
        if least >= 2 * self.count:
            return
        for node in graph.nodes():
            if isinstance(node.op, BatchNorm) and node.type.elements == node.type.channels:
                message = f"{node.name} has one number of each channel in a step, so no variance"
                raise CnnError.of("E0615", message, hint=f"--batch {2 * self.count}, or more")

    def _crop(self) -> Crop | None:
        """How photos are cut out. Raises CnnError (E0604) if there are none."""
        crop = self.recipe.one(Crop)
        if crop is not None and not self.data.train.are_photos:
            message = f"{crop.name} cuts out of photos; these data have the size of the input"
            raise CnnError.of("E0604", message, hint=f"--without {crop.name}")
        return crop

    @abstractmethod
    def begin(self, seeds: tuple[int, int, int]) -> None:
        """Begin an epoch, whose random numbers are those of the seeds."""

    @abstractmethod
    def step(self, x: Array, labels: Array, rate: float) -> float:
        """Train with images [batch, C, H, W] and their classes; returns the loss before."""

    @abstractmethod
    def evaluate(self, images: Images) -> tuple[float, float]:
        """The mean loss, and the accuracy of the main output."""

    @abstractmethod
    def weights(self) -> dict[str, Array]:
        """The weights that are evaluated, by name."""

    @abstractmethod
    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Write a checkpoint with some facts."""

    @abstractmethod
    def read(self, path: Path) -> list[dict[str, Any]]:
        """Go on from a checkpoint; returns its epochs."""

    def total(self, *numbers: float) -> list[float]:
        """Sums over all processes."""
        return list(numbers)

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint is."""
        return self.plan.output.with_suffix(SUFFIX)

    @property
    def best(self) -> Epoch | None:
        """The epoch of the best accuracy, of equal ones that of the least held-out loss."""
        return max(self.epochs, key=lambda e: (e.accuracy, -e.held_out_loss), default=None)

    def run(self) -> list[Epoch]:
        """All epochs."""
        if self.plan.resume:
            self.epochs = [Epoch(**epoch) for epoch in self.read(self.checkpoint)]
            if self.best and self.rank == 0 and not self.plan.output.exists():
                message = f"{self.plan.output} is gone, which has the best weights so far"
                raise CnnError.of("E0762", message, hint="train without --resume")
        most = self.recipe.epochs(len(list(self._batches(0))))
        for number in range(len(self.epochs), most):
            if self._is_over():
                break
            self.epochs.append(self._epoch(number))
            if self.rank == 0:
                if self.best is self.epochs[-1]:
                    save_safetensors(self.plan.output, self.weights())
                epochs = [vars(epoch) for epoch in self.epochs]
                self.write(self.checkpoint, {**self.facts, "epochs": epochs})
                self.plan.report(self.epochs[-1], most)
        return self.epochs

    def _is_over(self) -> bool:
        best, patience = self.best, self.plan.patience
        return bool(patience and best and len(self.epochs) - 1 - best.epoch >= patience)

    def _epoch(self, number: int) -> Epoch:
        start = time.perf_counter()
        seeds = (self.plan.seed, number, self.rank)
        self.begin(seeds)
        batches = list(self._batches(number))
        errors = [1 - epoch.accuracy for epoch in self.epochs]
        total, samples, rate = 0.0, 0, 0.0
        for step, indices in enumerate(batches):
            rate = self.recipe.rate_at(number * len(batches) + step, len(batches), errors)
            if rate > LARGEST_RATE:
                message = f"the rate is {rate:g} in epoch {number + 1}, step {step + 1}"
                raise CnnError.of("E0763", message, hint="a smaller --rate, or another --schedule")
            random = np.random.default_rng((*seeds, step))
            x, labels = self.data.train.batch(indices, self.crop, random)
            loss = self.step(x, labels, rate)
            if not math.isfinite(loss):
                message = f"the loss is {loss} in epoch {number + 1}, step {step + 1}"
                raise CnnError.of("E0763", message, hint="a smaller --rate, or --clip 1")
            total, samples = total + loss * len(indices), samples + len(indices)
            self.plan.progress(f"epoch {number + 1}", step + 1, len(batches))
        total, count = self.total(total, samples)
        held_out_loss, accuracy = self.evaluate(self.data.held_out)
        if not math.isfinite(held_out_loss):
            message = f"the loss of what is held out is {held_out_loss} after epoch {number + 1}"
            raise CnnError.of("E0763", message, hint="a smaller --rate, or --clip 1")
        seconds = time.perf_counter() - start
        return Epoch(number, total / count, held_out_loss, accuracy, rate, seconds)

    def _batches(self, number: int) -> Iterator[Array]:
        """The samples of each step of this process, in an order that the seed gives."""
        order = np.random.default_rng((self.plan.seed, number)).permutation(len(self.data.train))
        for start in range(0, len(order), self.recipe.batch):
            whole = order[start : start + self.recipe.batch]
            if start and len(whole) < min(2 * self.count, self.recipe.batch):
                return
            yield whole[self.rank :: self.count]
