"""The plug-in object of the target `torch`; PyTorch is imported when a module runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cnndsl.backends.torch.options import TorchOptions
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.runtime.backend import CompileOptions, Reader
from cnndsl.runtime.module import Array, Module, require_float32

SUFFIX = ".py"


@dataclass(frozen=True)
class TorchBackend:
    """Writes networks as PyTorch modules, as they are in the text: for training, and to run."""

    target: str = "torch"
    description: str = "a PyTorch module to read and to train"
    suffix: str = SUFFIX
    fusions: frozenset[str] = frozenset()
    options: type[CompileOptions] = TorchOptions
    trainable: bool = True

    def compile(self, graph: Graph, values: Mapping[str, Array], options: CompileOptions) -> Module:
        """A module from any graph; without values it starts as `--seed 0` would.

        Raises CnnError (E0710) for a dtype other than float32 and float64, or a tensor that is
        not float32.
        """
        from cnndsl.backends.torch.module import compiled

        asked = TorchOptions.of(options)
        require_float32(graph)
        if asked.dtype not in ("float32", "float64"):
            message = f"the torch backend computes in float32 or float64, not {asked.dtype}"
            raise CnnError.of("E0710", message)
        return compiled(graph, values, asked)

    def start(self) -> None:
        """Import all that its modules need to run."""
        from cnndsl.backends.torch.run import require_torch

        require_torch()

    def load(self, path: Path, threads: int | None = None, read: Reader | None = None) -> Module:
        """A module from a file that this target wrote, and the weights beside it.

        The file is run, as Python runs it. Raises CnnError (E0601, E0603) if it is not one.
        """
        from cnndsl.backends.torch.module import load_module

        return load_module(path, threads, read)


BACKEND = TorchBackend()
