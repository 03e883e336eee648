"""From a file to a graph with its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.diagnostics import CnnError, Diagnostic
from cnndsl.importers.onnx.builder import Builder
from cnndsl.importers.onnx.model import Model, view
from cnndsl.importers.onnx.names import identifier
from cnndsl.importers.onnx.reader import Reader
from cnndsl.importers.onnx.refusal import Refusal, damaged
from cnndsl.importers.onnx.roundings import separated
from cnndsl.importers.onnx.wire import parsed
from cnndsl.ir.graph import Graph
from cnndsl.quantise.explicit import Explicit
from cnndsl.runtime.extras import require_onnx
from cnndsl.runtime.files import check_regular

FILE_BYTES = 2**31
"""Size of a model without its external files; protobuf takes no more."""

UNEXPECTED = (ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError)
"""What may come of a model that contradicts itself in a new way."""


@dataclass(frozen=True, eq=False)
class Imported:
    """The graph of a model, and its weights by name.

    `origins` has the initialisers that are weights as they are, `paths` the modules that nodes
    were in, each with its own name, and `classes` those of modules by their paths. `codes` are
    the roundings of a quantised model.
    """

    graph: Graph
    weights: Mapping[str, NDArray[Any]]
    origins: Mapping[str, str]
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    codes: Explicit | None = None


def load(
    path: Path,
    outputs: Sequence[str] | None = None,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Imported:
    """The graph of an ONNX model, down to the tensors that `outputs` names.

    `input_shapes` replace the shapes of one sample, channels first. Raises CnnError: E0601 if
    the file cannot be read, E0801 to E0807 with all that cannot be understood, E0705 without onnx.
    """
    require_onnx()
    try:
        model = _model(path, outputs)
        made = _read(Reader(model, input_shapes or {}), path)
        made.graph.name = name_of(path)
        codes = separated(made)
    except UNEXPECTED as error:
        reason = f"{type(error).__name__}: {str(error)[:80]}"
        message = f"{path} is damaged in a way that nothing here expects ({reason})"
        raise CnnError.of("E0801", message, file=str(path)) from error
    except Refusal as error:
        diagnostic = Diagnostic(
            error.code, f"{path}: {error.message}", hint=error.hint, file=str(path)
        )
        raise CnnError([diagnostic], usage=error.code != "E0802") from None
    weights = {name: np.ascontiguousarray(array) for name, array in made.weights.items()}
    origins = {
        name: origin
        for name, origin in made.origins.items()
        if np.array_equal(model.tensors[origin], weights[name])
    }
    paths = {name: path for name, path in made.names.paths.items() if name in made.graph}
    return Imported(made.graph, weights, origins, paths, model.classes, codes)


def _read(reader: Reader, path: Path) -> Builder:
    """What a reader makes. Raises CnnError, its findings about the file."""
    try:
        return reader.read()
    except CnnError as error:
        found = (
            replace(finding, message=f"{path}: {finding.message}", file=str(path))
            for finding in error.diagnostics
        )
        raise CnnError([*found], usage=error.usage) from None


def name_of(path: Path) -> str:
    """The name of the network of a file."""
    return identifier(path.stem) or "network"


NO_MODEL = "it is not an ONNX model, or damaged"
OTHERS = {
    ".cnn": (
        "a text of the language already",
        "every verb takes it as it is, such as cnndsl inspect",
    ),
    ".onnx.data": ("numbers of a model beside it", "name the .onnx file"),
    **dict.fromkeys(
        (".pt", ".pth", ".ckpt", ".bin"),
        ("a file of PyTorch", "torch.onnx.export(model, ...) makes an ONNX model"),
    ),
    **dict.fromkeys(
        (".h5", ".keras", ".pb", ".tflite"),
        (
            "a file of TensorFlow",
            "tf2onnx, or model.export(..., format='onnx'), makes an ONNX model",
        ),
    ),
    **dict.fromkeys(
        (".safetensors", ".npz", ".npy"),
        ("weights without a network", "cnndsl compile NETWORK --weights takes them"),
    ),
}
"""What is often named in the place of an ONNX model, by the end of its name, and what to do."""


def _model(path: Path, outputs: Sequence[str] | None) -> Model:
    check_regular(path)
    try:
        if path.stat().st_size > FILE_BYTES:
            raise Refusal("E0805", f"the file has more than {FILE_BYTES:,} bytes")
        return view(parsed(path), path, outputs)
    except (CnnError, MemoryError):
        raise
    except OSError as error:
        raise CnnError.of("E0601", f"cannot read {path}: {error.strerror}") from None
    except Refusal as error:
        raise (error.code == "E0801" and _other(path)) or error from None
    except Exception:  # protobuf raises errors of its own, onnx others
        raise _other(path) or damaged(NO_MODEL) from None


def _other(path: Path) -> Refusal | None:
    """Why a file that cannot be read is none of ONNX, if its name tells."""
    for ending, (what, hint) in OTHERS.items():
        if path.name.lower().endswith(ending):
            return Refusal("E0801", f"it is {what}, not an ONNX model", hint)
    return None
