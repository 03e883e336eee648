"""Models to read, and how what is read is compared with onnxruntime on the original."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from cnndsl.backends.numpy import BACKEND as REFERENCE
from cnndsl.backends.numpy.options import ReferenceOptions
from cnndsl.importers.onnx.load import Imported, load
from cnndsl.ir.verify import verify
from cnndsl.runtime.backend import Backend, CompileOptions

Array = NDArray[Any]

TOLERANCE = 1e-5
"""Largest error, relative to the largest output."""


def model(text: str, opset: int = 17, **constants: Any) -> ModelProto:
    """A model from a graph in onnx's text form, with ' as quotes; constants are initialisers."""
    header = f'<ir_version: 8, opset_import: ["" : {opset}]> g '
    proto = onnx.parser.parse_model(header + text.replace("'", '"'))
    for name, array in constants.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return proto


def numbers(*shape: int, seed: int = 0) -> Array:
    """Normal float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def saved(proto: ModelProto, folder: Path) -> Path:
    """The model in a file."""
    path = folder / "model.onnx"
    onnx.save(proto, path)
    return path


def original(path: Path, feeds: Mapping[str, Array], *, exact: bool = False) -> dict[str, Array]:
    """The outputs of the model by onnxruntime, unoptimised.

    If `exact`, it is optimised so that sums of codes do not saturate.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    else:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"], enable_fallback=0
    )
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def feeds_of(path: Path, batch: int, spread: float = 1.0) -> dict[str, Array]:
    """Normal numbers for each input of a model; open sizes are the batch, then 7, 8, ..."""
    proto = onnx.load(path, load_external_data=False)
    stored = {tensor.name for tensor in proto.graph.initializer}
    feeds = {}
    for seed, info in enumerate(i for i in proto.graph.input if i.name not in stored):
        dims = info.type.tensor_type.shape.dim
        sizes = [d.dim_value or (batch if a == 0 else 6 + a) for a, d in enumerate(dims)]
        feeds[info.name] = numbers(*sizes, seed=seed) * np.float32(spread)
    return feeds


def compared(
    path: Path,
    batch: int = 2,
    spread: float = 1.0,
    backend: Backend = REFERENCE,
    tolerance: float = TOLERANCE,
) -> Imported:
    """What is read of a model, once its outputs are those of onnxruntime."""
    found = load(path)
    verify(found.graph)
    assert set(found.graph.parameters()) == set(found.weights)
    feeds = feeds_of(path, batch, spread)
    wanted = original(path, feeds)
    options = ReferenceOptions(dtype="float64") if backend is REFERENCE else CompileOptions()
    module = backend.compile(found.graph, found.weights, options)
    mine = dict(zip(found.graph.inputs, map(channels_first(found, feeds), feeds), strict=True))
    results = module.run(mine)
    for (name, array), made in zip(wanted.items(), results.values(), strict=True):
        assert made.size == array.size, (name, made.shape, array.shape)
        scale = np.abs(array).max() or 1
        assert np.abs(made.reshape(array.shape) - array).max() <= tolerance * scale, name
        assert made.shape == array.shape[: made.ndim], name
    return found


def channels_first(found: Imported, feeds: Mapping[str, Array]) -> Any:
    """Each array as the network takes it: an input may be channels last in the model alone."""
    names = dict(zip(feeds, found.graph.inputs, strict=True))

    def turned(name: str) -> Array:
        array = feeds[name]
        shape = found.graph[names[name]].type.shape
        return array if array.shape[1:] == shape else np.moveaxis(array, -1, 1)

    return turned


def operators(found: Imported) -> list[str]:
    """The operators of the graph behind its inputs."""
    return [node.op.name for node in found.graph.nodes() if node.op.name != "input"]
