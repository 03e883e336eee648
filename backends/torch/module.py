"""The module of the target `torch`: a text, its weights, and what PyTorch makes of both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnndsl.backends.torch.options import TorchOptions
from cnndsl.backends.torch.plain import PlainGraph, plain
from cnndsl.backends.torch.run import load_weights, network_of, results_of
from cnndsl.backends.torch.source import source_of
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import Dim, OpenDim
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Input
from cnndsl.ir.types import TensorType
from cnndsl.runtime.backend import Reader
from cnndsl.runtime.files import atomic_write, check_suffix, text_with_others
from cnndsl.runtime.module import Array, Module, Port, graph_ports
from cnndsl.weights.bind import bind, warn_of
from cnndsl.weights.evaluate import Evaluator
from cnndsl.weights.initialise import initialise
from cnndsl.weights.rename import read_weights

if TYPE_CHECKING:
    from torch import nn

MARK = "# cnndsl: "
"""What the last line of a file begins with: facts that the text does not tell."""

SEED = 0
"""What weights that nobody gave are made from."""


class TorchModule(Module):
    """A PyTorch module. `network` is the `nn.Module`, at inference until it is set to training.

    `arrays` are the weights by the names of its state dict, None if none were given.
    """

    def __init__(
        self,
        source: str,
        arrays: Mapping[str, Array] | None,
        ports: tuple[tuple[Port, ...], tuple[Port, ...]],
        metadata: Mapping[str, str],
        dtype: str = "float32",
        threads: int | None = None,
    ):
        super().__init__(*ports, metadata)
        self.source = source
        self.arrays = arrays
        self.dtype = dtype
        self.threads = threads

    @cached_property
    def network(self) -> nn.Module:
        """The module, with its weights."""
        network = network_of(self.source, self.metadata.get("network", "network"), self.dtype)
        load_weights(network, self._arrays())
        return network.eval()

    def _arrays(self) -> Mapping[str, Array]:
        """The weights, or starting values."""
        return self.arrays or {}

    @property
    def weight_bytes(self) -> int:
        """See `Module`."""
        return sum(array.nbytes for array in self._arrays().values())

    def number_format(self, name: str) -> str:
        """See `Module`."""
        return self.dtype

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs from batched, checked arrays by input name."""
        names = [port.name for port in self.outputs]
        given = [arrays[port.name] for port in self.inputs]
        return results_of(self.network, names, given, self.threads)

    def set_weights(self, weights: str | Path | Mapping[str, Array]) -> None:
        """See `Module`."""
        state = self._arrays()
        known = {name: Parameter(name, array.shape, "zeros") for name, array in state.items()}
        self._take(weights, known)

    def _take(
        self, weights: str | Path | Mapping[str, Array], parameters: Mapping[str, Parameter]
    ) -> None:
        bound = bind(parameters, read_weights(weights, None), seed=None)
        self.arrays = self._state(bound.values)
        self.warnings = bound.warnings
        self.__dict__.pop("network", None)
        warn_of(bound)

    def _state(self, values: Mapping[str, Array]) -> Mapping[str, Array]:
        """Arrays by the names of the state dict."""
        return values

    def files(self, path: str | Path) -> list[Path]:
        """See `Module`."""
        text = Path(path)
        return [text] if self.arrays is None else [text, text.with_suffix(".safetensors")]

    def save(self, path: str | Path) -> None:
        """Write the text, and the weights, if there are, beside it as safetensors; atomically."""
        from safetensors.numpy import save

        path = Path(path)
        check_suffix(path, ".py")
        weights = path.with_suffix(".safetensors")
        facts = {
            "weights": None if self.arrays is None else weights.name,
            "inputs": {port.name: _shape(port) for port in self.inputs},
            "outputs": {port.name: _shape(port) for port in self.outputs},
            "metadata": self.metadata,
        }
        with text_with_others(path, f"{self.source}\n{MARK}{json.dumps(facts)}\n"):
            if self.arrays is not None:
                with atomic_write(weights) as file:
                    file.write(save(dict(self.arrays)))


class CompiledModule(TorchModule):
    """One that knows its graph, so that it takes weights by the names of the network."""

    def __init__(self, found: PlainGraph, values: Mapping[str, Array], graph: Graph,
                 asked: TorchOptions):  # fmt: skip
        self.graph = asked.source or graph
        self._plain = found
        self._given = graph
        ports = graph_ports(graph, asked.batch)
        super().__init__(source_of(found), None, ports, asked.metadata, asked.dtype, asked.threads)
        self.arrays = self._state(values) if values else None

    def _arrays(self) -> Mapping[str, Array]:
        if self.arrays is not None:
            return self.arrays
        return self._state(initialise(self._given.parameters(), SEED))

    def _state(self, values: Mapping[str, Array]) -> Mapping[str, Array]:
        evaluate = Evaluator(values)
        return {n: evaluate(e, self.dtype) for n, e in self._plain.expressions.items()}

    def set_weights(self, weights: str | Path | Mapping[str, Array]) -> None:
        """See `Module`."""
        self._take(weights, self._given.parameters())

    def trace(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """See `cnndsl.runtime.layers.Traceable`."""
        found = plain(self._given)
        names = [n.name for n in self._given.nodes() if not isinstance(n.op, Input)]
        found.graph.outputs = {name: name for name in names}
        found.graph.auxiliaries = {}
        network = network_of(source_of(found), "trace", self.dtype)
        load_weights(network, self._arrays())
        given = [arrays[port.name] for port in self.inputs]
        return dict(arrays) | results_of(network, names, given, self.threads)


def compiled(graph: Graph, values: Mapping[str, Array], asked: TorchOptions) -> CompiledModule:
    """See `cnndsl.runtime.backend.Backend.compile`."""
    return CompiledModule(plain(graph), values, graph, asked)


def load_module(path: Path, threads: int | None, read: Reader | None = None) -> TorchModule:
    """A module from its file, by `read` if that is given. Raises CnnError (E0601, E0603)."""
    try:
        text = str((read or Path.read_bytes)(path), "utf-8")
    except OSError as error:
        raise CnnError.of("E0601", f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise _foreign(path, "it is not a text") from None
    source, mark, last = text.rpartition(MARK)
    try:
        facts = json.loads(last) if mark else None
        if not isinstance(facts, dict):
            raise ValueError("its last line is not that of such a file")
        ports = _ports(facts["inputs"]), _ports(facts["outputs"])
        metadata = {str(name): str(value) for name, value in facts["metadata"].items()}
        weights = facts["weights"] and path.with_name(facts["weights"])
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _foreign(path, str(error)) from None
    arrays = _read_arrays(weights, read) if weights else None
    return TorchModule(source, arrays, ports, metadata, threads=threads)


def _read_arrays(path: Path, read: Reader | None) -> Mapping[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from cnndsl.weights.files import load_weights

    if read is None:
        return dict(load_weights(path))
    try:
        return load(read(path))
    except (SafetensorError, KeyError, TypeError) as error:
        raise _foreign(path, str(error)) from None


def _foreign(path: Path, problem: str) -> CnnError:
    hint = "make it anew with `cnndsl compile --target torch`"
    message = f"{path} is no module that cnndsl wrote: {problem}"
    return CnnError.of("E0603", message, hint=hint)


def _shape(port: Port) -> list[Any]:
    return [size if isinstance(size, int) else str(size) for size in port.type.shape]


def _ports(shapes: Mapping[str, list[Any]]) -> tuple[Port, ...]:
    def dim(size: Any) -> Dim:
        return size if isinstance(size, int) else OpenDim.symbol(str(size))

    return tuple(Port(n, TensorType(tuple(map(dim, shape)))) for n, shape in shapes.items())
