"""The loop: epochs of steps, held-out accuracy, checkpoints, the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cnndsl.analysis.ranking import smaller_is_better
from cnndsl.api import compile as compile_network
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.network import Network
from cnndsl.passes.logits import with_logits
from cnndsl.recipes.augmentations import Crop, PcaColour
from cnndsl.recipes.recipe import Recipe
from cnndsl.runtime.module import Array
from cnndsl.runtime.options import Progress, silent
from cnndsl.train.augment import augmented, colours_of
from cnndsl.train.checkpoint import SUFFIX, read_checkpoint, write_checkpoint
from cnndsl.train.data import Data, Images
from cnndsl.train.initial import initial_weights
from cnndsl.train.losses import objective_of
from cnndsl.train.processes import Processes, joined
from cnndsl.train.steps import optimiser_of
from cnndsl.weights.files import save_safetensors

SAMPLES = 256
"""Samples of a batch that is evaluated, and of those that tell the colours."""

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


@dataclass(frozen=True)
class Epoch:
    """What was measured of one epoch: losses, held-out accuracy from 0 to 1, rate, seconds."""

    epoch: int
    loss: float
    held_out_loss: float
    accuracy: float
    rate: float
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What is asked for besides the network, the data and the recipe.

    The best weights go to `output`, a checkpoint after each epoch beside it; with `resume` training
    goes on from there. It ends early after `patience` epochs without a better accuracy. `report` is
    told of each epoch, and how many there are at most. With `weights` to start from, a recipe's
    initialisers do nothing.
    """

    output: Path
    seed: int = 0
    weights: Any = None
    resume: bool = False
    patience: int | None = None
    device: str = "auto"
    threads: int | None = None
    report: Callable[[Epoch, int], None] = lambda epoch, epochs: None
    progress: Progress = silent


def train(network: Network, data: Data, recipe: Recipe, plan: Plan) -> list[Epoch]:
    """Train a network; returns all epochs. Raises CnnError, E0763 if the loss is not finite."""
    if plan.threads:
        torch.set_num_threads(plan.threads)
    with joined(plan.device) as processes:
        return _Training(network, data, recipe, plan, processes).run()


class _Training:
    """One run of training."""

    def __init__(
        self, network: Network, data: Data, recipe: Recipe, plan: Plan, processes: Processes
    ):
        self.data, self.recipe, self.plan, self.processes = data, recipe, plan, processes
        graph = with_logits(network.graph)
        distances = smaller_is_better(network.graph)
        self.loss = objective_of(graph, distances, recipe, len(data.classes))
        self.crop = self._crop()
        self.output = next(iter(graph.outputs))
        module: Any = compile_network(
            network, "torch", weights=plan.weights, seed=plan.seed, logits=True
        )
        self.network: nn.Module = module.network.to(processes.device)
        if plan.weights is None:
            self._initialise(network.graph)
        self.wrapped = processes.wrapped(self.network)
        self.optimiser = optimiser_of(recipe.optimiser, list(self.network.parameters()))
        self.average = self._average() if recipe.average else None
        enabled = recipe.precision == "f16" and processes.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(enabled=enabled)
        self.colours = self._colours() if recipe.all(PcaColour) else None
        self.facts = {"network": network.source_hash, "recipe": recipe.texts(),
                      "seed": plan.seed, "samples": len(data.train)}  # fmt: skip
        self.epochs: list[Epoch] = []

    def _crop(self) -> Crop | None:
        """How photos are cut out. Raises CnnError (E0604) if there are none."""
        crop = self.recipe.one(Crop)
        if crop is not None and not self.data.train.are_photos:
            message = f"{crop.name} cuts out of photos; these data have the size of the input"
            raise CnnError.of("E0604", message, hint=f"--without {crop.name}")
        return crop

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _initialise(self, graph: Graph) -> None:
        weights = self.network.state_dict()
        for name, array in initial_weights(graph, self.recipe, self.plan.seed).items():
            weights[name].copy_(torch.from_numpy(array))

    def _average(self) -> AveragedModel:
        function = get_ema_multi_avg_fn(self.recipe.average)
        return AveragedModel(self.network, multi_avg_fn=function, use_buffers=True)

    def _colours(self) -> Tensor:
        order = np.random.default_rng(self.plan.seed).permutation(len(self.data.train))
        return colours_of(torch.from_numpy(self.data.train.batch(order[:SAMPLES])[0]))

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
            self._restore(read_checkpoint(self.checkpoint, self.facts))
        for number in range(len(self.epochs), self.recipe.epochs(self._steps())):
            if self._is_over():
                break
            self.epochs.append(self._epoch(number))
            if self.processes.leads:
                if self.best is self.epochs[-1]:
                    save_safetensors(self.plan.output, self._weights())
                write_checkpoint(self.checkpoint, self._state())
                self.plan.report(self.epochs[-1], self.recipe.epochs(self._steps()))
        return self.epochs

    def _is_over(self) -> bool:
        best, patience = self.best, self.plan.patience
        return bool(patience and best and len(self.epochs) - 1 - best.epoch >= patience)

    def _epoch(self, number: int) -> Epoch:
        start = time.perf_counter()
        seeds = (self.plan.seed, number, self.processes.rank)
        torch.manual_seed(hash(seeds) % 2**63)
        self.wrapped.train()
        batches = list(self._batches(number))
        errors = [1 - epoch.accuracy for epoch in self.epochs]
        total, samples, rate = 0.0, 0, 0.0
        for step, indices in enumerate(batches):
            done = number * len(batches) + step
            rate = self.recipe.rate_at(done, len(batches), errors)
            loss = self._step(indices, rate, np.random.default_rng((*seeds, step)))
            if not math.isfinite(loss):
                message = f"the loss is {loss} in epoch {number + 1}, step {step + 1}"
                raise CnnError.of("E0763", message, hint="a smaller --rate, or --clip 1")
            total, samples = total + loss * len(indices), samples + len(indices)
            self.plan.progress(f"epoch {number + 1}", step + 1, len(batches))
        total, count = self.processes.total(total, samples)
        held_out_loss, accuracy = self._evaluate(self.data.held_out)
        seconds = time.perf_counter() - start
        return Epoch(number, total / count, held_out_loss, accuracy, rate, seconds)

    def _batches(self, number: int) -> Iterator[Array]:
        """The samples of each step of this process, in an order that the seed gives."""
        order = np.random.default_rng((self.plan.seed, number)).permutation(len(self.data.train))
        count, batch = self.processes.count, self.recipe.batch
        for start in range(0, len(order), batch):
            whole = order[start : start + batch]
            if start and len(whole) < 2 * count:
                return
            yield whole[self.processes.rank :: count]

    def _steps(self) -> int:
        """Steps of an epoch."""
        return len(list(self._batches(0)))

    def _step(self, indices: Array, rate: float, random: np.random.Generator) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        x, labels = self._tensors(self.data.train.batch(indices, self.crop, random))
        x = augmented(x, self.recipe, self.colours)
        with self._precision():
            loss = self.loss(self._outputs(self.wrapped, x), labels)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss * self.processes.share(len(indices))).backward()
        if self.recipe.clip:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.average:
            self.average.update_parameters(self.network)
        return float(loss.detach())

    def _precision(self) -> Any:
        dtype = DTYPES.get(self.recipe.precision)
        return torch.autocast(self.processes.device.type, dtype, enabled=dtype is not None)

    def _tensors(self, arrays: tuple[Array, Array]) -> tuple[Tensor, Tensor]:
        x, labels = (torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)
        return x.to(self.processes.device), labels.long().to(self.processes.device)

    def _outputs(self, network: nn.Module, x: Tensor) -> Mapping[str, Tensor]:
        found = network(x)
        return found if isinstance(found, dict) else {self.output: found}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _evaluate(self, images: Images) -> tuple[float, float]:
        """The mean loss and the accuracy of the main output."""
        network = self._evaluated().eval()
        own = np.arange(len(images))[self.processes.rank :: self.processes.count]
        loss, right = 0.0, 0.0
        for start in range(0, len(own), SAMPLES):
            indices = own[start : start + SAMPLES]
            x, labels = self._tensors(images.batch(indices))
            with self._precision():
                outputs = self._outputs(network, x)
            loss += float(self.loss(outputs, labels)) * len(indices)
            answers = self.loss.scores(self.output, outputs[self.output]).argmax(1)
            right += float((answers == labels).sum())
        loss, right, count = self.processes.total(loss, right, len(own))
        return loss / count, right / count

    def _evaluated(self) -> nn.Module:
        """The network, or the average of those of all steps."""
        return self.average.module if self.average else self.network

    def _weights(self) -> dict[str, Array]:
        state = self._evaluated().state_dict()
        kept = {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")}
        return {name: value.detach().cpu().numpy() for name, value in kept.items()}

    def _state(self) -> dict[str, Any]:
        average = self.average.state_dict() if self.average else None
        return {
            **self.facts,
            "weights": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": average,
            "epochs": [vars(epoch) for epoch in self.epochs],
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
