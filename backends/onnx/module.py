"""ONNX models that run: a session of onnxruntime behind the module interface."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnndsl.backends.onnx.limit import SUFFIX
from cnndsl.backends.onnx.sizes import check_sizes, from_metadata
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import Dim, input_dim
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.types import TensorType
from cnndsl.runtime.backend import Reader
from cnndsl.runtime.files import atomic_write, check_suffix
from cnndsl.runtime.module import Array, Module, Port
from cnndsl.weights.bind import bind, warn_of
from cnndsl.weights.rename import read_weights

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg

WHOLE = "cnndsl.whole_batch"
"""Metadata key: the outputs that are one for all samples, and have no batch axis."""

FLOATS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}


@dataclass(frozen=True)
class Recipe:
    """What a model was made from: the parameters, and how it follows from their arrays.

    `nodes` are the names of the graph's nodes.
    """

    parameters: Mapping[str, Parameter]
    nodes: Collection[str]
    export: Callable[[Mapping[str, Array]], bytes]


class OnnxModule(Module):
    """A model in memory (`bytes`) or in a file. The session is made when it first runs.

    `threads` bounds the threads inside an operator; None leaves the choice to onnxruntime. Only
    with a `recipe`, that is, if it was compiled and not loaded, it can take other weights. It can
    be copied and pickled, with the model's bytes and without the session.
    Raises ValueError if the metadata is broken.
    """

    def __init__(
        self,
        model: bytes | Path,
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        metadata: Mapping[str, str],
        threads: int | None = None,
        recipe: Recipe | None = None,
    ):
        super().__init__(inputs, outputs, metadata)
        self._model = model
        self._recipe = recipe
        self.formats: dict[str, str] = {}
        self._threads = threads
        self._smallest_sizes = from_metadata(self.metadata)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name != "session"}
        return {**kept, "_model": self.serialized}

    @cached_property
    def session(self) -> InferenceSession:
        """The onnxruntime session, on the CPU."""
        return start_session(self._model, self._threads)

    @property
    def serialized(self) -> bytes:
        """The model as it is in its file."""
        return self._model if isinstance(self._model, bytes) else self._model.read_bytes()

    @property
    def weight_bytes(self) -> int:
        """Memory of the model's initializers."""
        from cnndsl.backends.onnx.trace import initializer_bytes

        return initializer_bytes(self.serialized)

    @property
    def facts(self) -> dict[str, int | str]:
        """See `Module`."""
        from cnndsl.backends.onnx.trace import model_facts

        return {**super().facts, **model_facts(self.serialized)}

    def set_weights(self, weights: str | Path | Mapping[str, Array]) -> None:
        """See `Module`."""
        if self._recipe is None:
            raise CnnError.of(
                "E0417",
                "an .onnx file does not tell what its weights were made from",
                hint="compile the network with other weights",
            )
        arrays = read_weights(weights, None)
        bound = bind(self._recipe.parameters, arrays, seed=None)
        self._model = self._recipe.export(bound.values)
        self.warnings = bound.warnings
        self.__dict__.pop("session", None)
        warn_of(bound)

    def number_format(self, name: str) -> str:
        """See `Module`."""
        return self.formats.get(name, "float32")

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs; inputs are cast to the model's number format, float32 as a rule.

        Raises CnnError (E0702) if the model cannot take these arrays.
        """
        for port in self.inputs:
            check_sizes(port, arrays[port.name], self._smallest_sizes)
        names = [port.name for port in self.outputs]
        try:
            results = self.session.run(names, self._feeds(arrays))
        except Exception as error:
            raise CnnError.of(
                "E0702",
                f"onnxruntime cannot run the model: {first_line(error)}",
                hint="is an input too small for a window, or of another batch size?",
            ) from None
        return dict(zip(names, results, strict=True))

    def _feeds(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The arrays in the number formats of the model."""
        return {n: np.ascontiguousarray(a, self.number_format(n)) for n, a in arrays.items()}

    def trace(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """See `cnndsl.runtime.layers.Traceable`."""
        from cnndsl.backends.onnx.trace import with_all_results

        nodes = self._recipe.nodes if self._recipe else None
        model, tensors = with_all_results(self.serialized, nodes)
        session = start_session(model, self._threads)
        results = session.run(list(tensors.values()), self._feeds(arrays))
        return {n: _as_codes(a) for n, a in zip(tensors, results, strict=True)}

    def save(self, path: str | Path) -> None:
        """Write the model to a file, atomically."""
        check_suffix(path, SUFFIX)
        with atomic_write(path) as file:
            if isinstance(self._model, bytes):
                file.write(self._model)
            else:
                with self._model.open("rb") as source:
                    shutil.copyfileobj(source, file)


def _as_codes(made: Array) -> Array:
    """Codes from 0 on, however the model has them; other arrays as they are."""
    return made.view(np.uint8) ^ np.uint8(128) if made.dtype == np.int8 else made


BROKEN = ("INVALID_PROTOBUF", "No graph was found")
"""What onnxruntime says of files that are no models."""
ANEW = "make it anew with `cnndsl compile`, or export it anew"


def load_module(path: Path, threads: int | None, read: Reader | None = None) -> OnnxModule:
    """A module from a file; see `cnndsl.runtime.backend.Backend.load`."""
    model = read(path) if read else path
    try:
        if isinstance(model, bytes):
            from cnndsl.backends.onnx.external import require_whole

            require_whole(model)
        else:
            model.open("rb").close()
        return _from_session(path, model, start_session(model, threads), threads)
    except CnnError:
        raise
    except OSError as error:
        raise CnnError.of("E0601", f"cannot read {path}: {error.strerror}") from None
    except Exception as error:
        reason = first_line(error)
        broken = any(sign in reason for sign in BROKEN)
        problem = ", or damaged" if broken else f" that onnxruntime takes: {reason}"
        raise CnnError.of("E0603", f"{path} is not an ONNX model{problem}", hint=ANEW) from None


def _from_session(
    path: Path, model: bytes | Path, session: InferenceSession, threads: int | None
) -> OnnxModule:
    about = session.get_modelmeta()
    metadata = {"network": about.graph_name, "version": "", "source_hash": "", "target": "onnx"}
    inputs = tuple(_port(path, value) for value in session.get_inputs())
    whole = about.custom_metadata_map.get(WHOLE, "").split(",")
    outputs = tuple(_port(path, value, value.name in whole) for value in session.get_outputs())
    module = OnnxModule(model, inputs, outputs, metadata | about.custom_metadata_map, threads)
    module.session = session
    module.formats = {value.name: FLOATS[value.type] for value in session.get_inputs()}
    return module


def start_session(model: bytes | Path, threads: int | None) -> InferenceSession:
    """A session on the CPU that prints nothing: its errors reach us as exceptions.

    It takes ONNX alone of the formats that onnxruntime knows. Without an instruction for sums of
    products of 8 bits, x86 CPUs saturate them in 16 bits unless onnxruntime is asked for precision.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(
        source, options, providers=["CPUExecutionProvider"], enable_fallback=0
    )


def _port(path: Path, value: NodeArg, is_whole: bool = False) -> Port:
    if value.type not in FLOATS or not value.shape:
        raise CnnError.of(
            "E0603",
            f"{path}: {value.name!r} is a {value.type} of shape {value.shape}, not floating point "
            "numbers with a batch axis",
        )
    if is_whole:
        return Port(value.name, TensorType(tuple(value.shape), batched=False))
    batch, *shape = value.shape
    dims: list[Dim] = [
        dim if isinstance(dim, int) else input_dim(dim or f"axis{axis}")
        for axis, dim in enumerate(shape, 1)
    ]
    return Port(value.name, TensorType(tuple(dims)), batch if isinstance(batch, int) else None)


def first_line(error: Exception) -> str:
    """The gist of an error of onnxruntime, without its own prefix."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].removeprefix("[ONNXRuntimeError] : ")
