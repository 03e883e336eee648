"""Several processes that train one network, as torchrun starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn

from cnndsl.diagnostics import CnnError


@dataclass(frozen=True)
class Processes:
    """How many there are, which of them this is, and the device that it computes on."""

    count: int
    rank: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network with gradients that are means over all processes."""
        if self.count == 1:
            return network
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(network, device_ids=ids)

    def share(self, samples: int) -> float:
        """What the mean over this process's samples counts, so that all have the same weight.

        Gradients are means over processes, whose shares of a batch may differ by a sample.
        """
        return 1.0 if self.count == 1 else samples * self.count / self.total(samples)[0]

    def total(self, *numbers: float) -> list[float]:
        """Sums over all processes."""
        if self.count == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        return [float(value) for value in sums]


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """This process among those of torchrun, or alone. Raises CnnError (E0761) without a GPU."""
    if device == "cuda" and not torch.cuda.is_available():
        raise CnnError.of("E0761", "PyTorch sees no GPU", hint="--device cpu")
    use_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    count, rank = (int(os.environ.get(n, d)) for n, d in (("WORLD_SIZE", "1"), ("RANK", "0")))
    place = torch.device("cpu")
    if use_gpu:
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
    if count > 1:
        distributed.init_process_group("nccl" if use_gpu else "gloo")
    try:
        yield Processes(count, rank, place)
    finally:
        if count > 1:
            distributed.destroy_process_group()
