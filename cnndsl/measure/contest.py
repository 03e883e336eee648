"""One module against other runtimes that run the same network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnndsl.measure.bench import Timing, measure
from cnndsl.measure.layers import LayerReport, layer_reports, peak_data
from cnndsl.measure.models import input_shapes, onnx_twin, torch_twin
from cnndsl.measure.runtimes import Job, check_installed
from cnndsl.measure.shown import contest_html, contest_text
from cnndsl.notebook.rich import Rich
from cnndsl.runtime.backend import backend
from cnndsl.runtime.layers import Layered, OnDevice
from cnndsl.runtime.module import Module


@dataclass(frozen=True)
class Contestant:
    """What was measured of a runtime; `weight_bytes` are those of the model that it was given."""

    name: str
    timing: Timing
    weight_bytes: int

    @property
    def working_bytes(self) -> int:
        """Memory at the peak beyond the weights."""
        return self.timing.peak - self.weight_bytes

    def data(self, batch: int, own: Timing) -> dict[str, Any]:
        """Everything as plain data: times in milliseconds, memory in bytes."""
        timing = self.timing
        return {
            "name": self.name,
            "calls": len(timing.seconds),
            "min_ms": min(timing.seconds) * 1e3,
            "p50_ms": timing.percentile(50) * 1e3,
            "p90_ms": timing.percentile(90) * 1e3,
            "p99_ms": timing.percentile(99) * 1e3,
            "samples_per_second": timing.throughput(batch),
            "ratio": own.ratio(timing),
            "peak_bytes": timing.peak,
            "weight_bytes": self.weight_bytes,
            "working_bytes": self.working_bytes,
            "rounds_ms": [[seconds * 1e3 for seconds in calls] for calls in timing.rounds],
        }


@dataclass(frozen=True)
class Contest(Rich):
    """The contestants, the module's own target first.

    `arena_bytes` is the memory that was planned for its tensors, None if there is no plan;
    `layers` is empty unless it was asked for.
    """

    network: str
    batch: int
    threads: int
    arena_bytes: int | None
    contestants: tuple[Contestant, ...]
    layers: Sequence[LayerReport]

    @property
    def own(self) -> Contestant:
        """The module."""
        return self.contestants[0]

    def data(self) -> dict[str, Any]:
        """Everything as plain data, which `cnndsl bench --json` writes."""
        peak = self.layers[0].peak if self.layers else None
        return {
            "network": self.network,
            "batch": self.batch,
            "threads": self.threads,
            "arena_bytes": self.arena_bytes,
            "runtimes": [c.data(self.batch, self.own.timing) for c in self.contestants],
            "layers": [layer.data() for layer in self.layers],
            "layers_ms": sum(layer.seconds for layer in self.layers) * 1e3,
            "machine": peak and peak_data(peak),
        }

    def _repr_html_(self) -> str:
        return contest_html(self.data())

    def _repr_text_(self) -> str:
        return contest_text(self.data())


def contest(
    module: Module,
    rivals: Sequence[str] = (),
    *,
    batch: int | None = None,
    threads: int | None = None,
    seconds: float = 5.0,
    layers: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> Contest:
    """Time a module, and rivals on its network as an ONNX model, for some seconds each.

    All take the same threads, by default one on each core; against a module on a GPU, rivals run
    there if they can. Raises CnnError: E0604 if the batch
    size or an open size does not fit, E0730 to E0734 for what cannot be measured.
    """
    for rival in rivals:
        check_installed(rival)
    shapes = input_shapes(module, batch)
    samples = next(iter(shapes.values()))[0]
    workers = threads or len(os.sched_getaffinity(0))
    on_gpu = isinstance(module, OnDevice)
    precision = module.metadata.get("precision", "f32")
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:

        def job(runtime: str, model: Module) -> Job:
            path = Path(folder) / f"{runtime}{backend(model.metadata['target']).suffix}"
            model.save(path)
            return Job(runtime, path, shapes, workers, on_gpu, precision)

        twin = onnx_twin(module, samples) if rivals else module
        names = [module.metadata["target"], *rivals]
        place = Path(folder)
        models = [module, *(torch_twin(twin, place) if r == "torch" else twin for r in rivals)]
        jobs = [job(name, model) for name, model in zip(names, models, strict=True)]
        result = measure(jobs, seconds, layers=layers, progress=progress)
    contestants = tuple(
        Contestant(name, timing, model.weight_bytes)
        for name, timing, model in zip(names, result.timings, models, strict=True)
    )
    steps = module.layers if isinstance(module, Layered) else ()
    reports = layer_reports(steps, result.layers) if result.layers else []
    arena = module.arena_bytes if isinstance(module, Layered) else None
    name = module.metadata["network"]
    return Contest(name, samples, workers, arena, contestants, reports)
