"""From a compiled module to what its runtime, and others, are given to run."""

from __future__ import annotations

from pathlib import Path

from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.passes.pipeline import inference_graph, optimise
from cnndsl.runtime.backend import CompileOptions, backend
from cnndsl.runtime.layers import Portable
from cnndsl.runtime.module import Module
from cnndsl.weights.bind import bind
from cnndsl.weights.moments import starts

ONNX = "onnx"
SEED = 0


def input_shapes(module: Module, batch: int | None) -> dict[str, tuple[int, ...]]:
    """The shape of each input, batch first; 1 sample if nothing else is asked for.

    Raises CnnError (E0604) if the module has another batch size, or a size is open.
    """
    shapes = {}
    for port in module.inputs:
        if batch and port.batch not in (None, batch):
            raise CnnError.of("E0604", f"the module takes batches of {port.batch}, not {batch}")
        sizes = module.declared_type(port).shape
        known = tuple(size for size in sizes if not isinstance(size, OpenDim))
        if len(known) < len(sizes):
            shown = "x".join(map(str, sizes))
            raise CnnError.of(
                "E0604",
                f"input {port.name!r} has the open size {shown}",
                hint=f"give a network and its size, such as --input-shape {port.name}=3x224x224",
            )
        shapes[port.name] = (port.batch or batch or 1, *known)
    return shapes


def torch_twin(twin: Module, folder: Path) -> Module:
    """The network of an ONNX model as a PyTorch module, with its weights; uses the folder."""
    from cnndsl.api import compile as compile_network
    from cnndsl.api import load_onnx

    path = folder / "twin.onnx"
    twin.save(path)
    return compile_network(load_onnx(path), "torch")


def onnx_twin(module: Module, batch: int) -> Module:
    """The module itself if it is an ONNX model, else its network as one, with random weights.

    Raises CnnError (E0734) if the module does not know its network.
    """
    if module.metadata["target"] == ONNX:
        return module
    if not isinstance(module, Portable):
        target = module.metadata["target"]
        raise CnnError.of("E0734", f"a module of the target {target} does not keep its network")
    chosen = backend(ONNX)
    graph, _ = optimise(module.graph, fusions=chosen.fusions)
    known = starts(inference_graph(module.graph))
    values = bind(graph.parameters(), None, seed=SEED, starts=known).values
    return chosen.compile(graph, values, CompileOptions(batch=batch))
