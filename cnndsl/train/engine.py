"""Steps by PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
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
from cnndsl.recipes.augmentations import PcaColour
from cnndsl.recipes.recipe import Recipe
from cnndsl.runtime.module import Array
from cnndsl.train.augment import augmented, colours_of
from cnndsl.train.checkpoint import read_checkpoint, write_checkpoint
from cnndsl.train.data import Data, Images
from cnndsl.train.initial import initial_weights
from cnndsl.train.loop import Loop
from cnndsl.train.losses import objective_of, reads_scores
from cnndsl.train.plan import Epoch, Plan
from cnndsl.train.processes import Processes, joined
from cnndsl.train.steps import optimiser_of
from cnndsl.weights.sparsity import zeros

SAMPLES = 256
"""Samples of a batch that is evaluated, and of those that tell the colours."""

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


def train(network: Network, data: Data, recipe: Recipe, plan: Plan) -> list[Epoch]:
    """Train a network; returns all epochs.

    Raises CnnError: E0763 if the loss is not finite, E0615 for what only native code does.
    """
    if plan.recompute is not None:
        message = "PyTorch keeps what gradients need: --recompute is for native code"
        raise CnnError.of("E0615", message, hint="--engine native")
    if plan.threads:
        torch.set_num_threads(plan.threads)
    with joined(plan.device) as processes:
        return TorchTraining(network, data, recipe, plan, processes).run()


class TorchTraining(Loop):
    """One run of training."""

    def __init__(
        self, network: Network, data: Data, recipe: Recipe, plan: Plan, processes: Processes
    ):
        super().__init__(network, data, recipe, plan, processes.rank, processes.count)
        self.processes = processes
        scored = reads_scores(recipe)
        graph = with_logits(network.graph) if scored else network.graph
        distances = smaller_is_better(network.graph)
        self.loss = objective_of(graph, distances, recipe, len(data.classes))
        self.output = next(iter(graph.outputs))
        module: Any = compile_network(
            network, "torch", weights=plan.weights, seed=plan.seed, logits=scored
        )
        self.network: nn.Module = module.network.to(processes.device)
        if plan.weights is None:
            self._initialise(network.graph)
        if plan.keep_zeros:
            self._keep_zeros(network.graph)
        self.wrapped = processes.wrapped(self.network)
        self.optimiser = optimiser_of(recipe.optimiser, list(self.network.parameters()))
        self.average = self._average() if recipe.average else None
        enabled = recipe.precision == "f16" and processes.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(enabled=enabled)
        self.colours = self._colours() if recipe.all(PcaColour) else None

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _initialise(self, graph: Graph) -> None:
        weights = self.network.state_dict()
        for name, array in initial_weights(graph, self.recipe, self.plan.seed).items():
            weights[name].copy_(torch.tensor(array))  # arrays of files cannot be written to

    def _keep_zeros(self, graph: Graph) -> None:
        """What has no gradient stays zero with every optimiser."""
        weights = dict(self.network.named_parameters(remove_duplicate=False))
        values = {name: weight.detach().cpu().numpy() for name, weight in weights.items()}
        for name, zero in zeros(graph, values).items():
            mask = torch.from_numpy(zero).to(self.processes.device)
            weights[name].register_hook(partial(Tensor.masked_fill, mask=mask, value=0))

    def _average(self) -> AveragedModel:
        function = get_ema_multi_avg_fn(self.recipe.average)
        return AveragedModel(self.network, multi_avg_fn=function, use_buffers=True)

    def _colours(self) -> Tensor:
        order = np.random.default_rng(self.plan.seed).permutation(len(self.data.train))
        return colours_of(torch.from_numpy(self.data.train.batch(order[:SAMPLES])[0]))

    def total(self, *numbers: float) -> list[float]:
        """See `Loop`."""
        return self.processes.total(*numbers)

    def begin(self, seeds: tuple[int, int, int]) -> None:
        """See `Loop`."""
        torch.manual_seed(hash(seeds) % 2**63)
        self.wrapped.train()

    def step(self, x: Array, labels: Array, rate: float) -> float:
        """See `Loop`."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        images, classes = self._tensors(x, labels)
        images = augmented(images, self.recipe, self.colours)
        with self._precision():
            loss = self.loss(self._outputs(self.wrapped, images), classes)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss * self.processes.share(len(labels))).backward()
        if self.recipe.clip:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        try:
            self.scaler.step(self.optimiser)
        except RuntimeError as error:
            if "without overflow" not in str(error):
                raise
            message = "the optimiser multiplies by more than float32 has"
            raise CnnError.of("E0763", message, hint="a smaller --rate or --decay") from None
        self.scaler.update()
        if self.average:
            self.average.update_parameters(self.network)
        return float(loss.detach())

    def _precision(self) -> Any:
        dtype = DTYPES.get(self.recipe.precision)
        return torch.autocast(self.processes.device.type, dtype, enabled=dtype is not None)

    def _tensors(self, x: Array, labels: Array) -> tuple[Tensor, Tensor]:
        images, classes = (torch.from_numpy(np.ascontiguousarray(array)) for array in (x, labels))
        return images.to(self.processes.device), classes.long().to(self.processes.device)

    def _outputs(self, network: nn.Module, x: Tensor) -> Mapping[str, Tensor]:
        found = network(x)
        return found if isinstance(found, dict) else {self.output: found}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def evaluate(self, images: Images) -> tuple[float, float]:
        """See `Loop`."""
        network = self._evaluated().eval()
        own = np.arange(len(images))[self.rank :: self.count]
        loss, right = 0.0, 0.0
        for start in range(0, len(own), SAMPLES):
            indices = own[start : start + SAMPLES]
            x, labels = self._tensors(*images.batch(indices))
            with self._precision():
                outputs = self._outputs(network, x)
            loss += float(self.loss(outputs, labels)) * len(indices)
            answers = self.loss.scores(self.output, outputs[self.output]).argmax(1)
            right += float((answers == labels).sum())
        loss, right, count = self.total(loss, right, len(own))
        return loss / count, right / count

    def _evaluated(self) -> nn.Module:
        """The network, or the average of those of all steps."""
        return self.average.module if self.average else self.network

    def weights(self) -> dict[str, Array]:
        """See `Loop`."""
        state = self._evaluated().state_dict()
        kept = {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")}
        return {name: value.detach().cpu().numpy() for name, value in kept.items()}

    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        """See `Loop`."""
        state = {
            "weights": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.state_dict() if self.average else None,
        }
        write_checkpoint(path, {**facts, **state})

    def read(self, path: Path) -> list[dict[str, Any]]:
        """See `Loop`."""
        state = read_checkpoint(path, self.facts)
        self.network.load_state_dict(state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.load_state_dict(state["average"])
        return list(state["epochs"])
