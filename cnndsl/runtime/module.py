"""The compiled module: numpy arrays in, numpy arrays out, by name."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.diagnostics import CnnError, Diagnostic
from cnndsl.ir.dims import Dim, OpenDim, at
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BACKWARD
from cnndsl.ir.types import FLOAT32, UINT8, TensorType
from cnndsl.notebook.rich import Rich
from cnndsl.runtime.given import as_array

Array = NDArray[Any]


@dataclass(frozen=True)
class Port:
    """A named input or output; the type is that of one sample, without the batch axis.

    `batch` is the fixed batch size, or None if any will do.
    """

    name: str
    type: TensorType
    batch: int | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.shown}"

    @property
    def shown(self) -> str:
        """The shape with the batch axis."""
        sizes = str(self.type)
        if not self.type.batched:
            return sizes
        between = " x " if " x " in sizes else "x"
        return f"{'batch' if self.batch is None else self.batch}{between}{sizes}"

    def __repr__(self) -> str:
        return f"Port({self})"


def graph_ports(graph: Graph, batch: int | None) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """The inputs and the outputs of a graph."""
    inputs = tuple(Port(name, graph[name].type, batch) for name in graph.inputs)
    outputs = tuple(Port(name, graph[node].type, batch) for name, node in graph.outputs.items())
    return inputs, outputs


def require_float32(graph: Graph) -> None:
    """Raise CnnError (E0710) if a tensor is not float32, or (E0630) for gradients."""
    for node in graph.nodes():
        if not node.type.batched or isinstance(node.op, BACKWARD):
            message = f"the target has no kernels for gradients: {node.name} ({node.op.name})"
            raise CnnError.of("E0630", message, hint="reference, onnx and cpu have them")
        if node.type.dtype != FLOAT32:
            raise CnnError.of("E0710", f"{node.name} is {node.type}: modules have float32 alone")


def require_formats(graph: Graph, formats: Collection[str]) -> None:
    """Raise CnnError (E0710) for an input or output that is not float32, or another format."""
    outside = {*graph.inputs, *graph.outputs.values()}
    for node in graph.nodes():
        dtype = node.type.dtype
        is_known = dtype.name in formats and (dtype != UINT8 or node.type.quantisation is not None)
        if dtype != FLOAT32 and (node.name in outside or not is_known):
            raise CnnError.of("E0710", f"{node.name} is {node.type}, which the target has not")


class Module(Rich):
    """A network that can run. Subclasses implement `run`, `save` and `weight_bytes`.

    `metadata` holds at least: network, version (of cnndsl), source_hash, target, input_shapes,
    parameters; options if other ones than the defaults were asked for.
    `warnings` are findings from its compilation, `remarks` what was decided for the user,
    `origin` the inference graph that it was compiled from, None if it was loaded from a file.
    """

    def __init__(
        self, inputs: tuple[Port, ...], outputs: tuple[Port, ...], metadata: Mapping[str, str]
    ):
        self.inputs = inputs
        self.outputs = outputs
        self.metadata = dict(metadata)
        self.warnings: tuple[Diagnostic, ...] = ()
        self.remarks: tuple[str, ...] = ()
        self.origin: Graph | None = None

    def __repr__(self) -> str:
        inputs, outputs = (", ".join(map(str, ports)) for ports in (self.inputs, self.outputs))
        name = self.metadata.get("network", "")
        return f"{type(self).__name__}({name!r}, {inputs} -> {outputs})"

    def fact_rows(self, **more: int | str) -> list[list[str]]:
        """Names and values: metadata, facts (after `more` of them), inputs and outputs."""
        from cnndsl.notebook.facts import fact_rows

        ports = {f"input {port.name}": port.shown for port in self.inputs}
        ports |= {f"output {port.name}": port.shown for port in self.outputs}
        return fact_rows(self.metadata, {**more, **self.facts}, ports)

    def _repr_html_(self) -> str:
        """What it is, and the blocks of its network if that is known, for notebooks."""
        from cnndsl.notebook.facts import facts_html

        return facts_html(repr(self), self.fact_rows(), self._network())

    def _repr_text_(self) -> str:
        from cnndsl.notebook.facts import facts_text

        return facts_text(repr(self), self.fact_rows(), self._network())

    def _network(self) -> Graph | None:
        """The graph that it was made from, or that its file holds (see `Portable`)."""
        found = self.origin or getattr(self, "graph", None)
        return found if isinstance(found, Graph) else None

    @property
    @abstractmethod
    def weight_bytes(self) -> int:
        """Memory of the weights in the form in which they are used."""

    @property
    def facts(self) -> dict[str, int | str]:
        """Figures of its form that tell what it takes to run; names of bytes end in `_bytes`."""
        return {"weights_bytes": self.weight_bytes}

    @abstractmethod
    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs from batched, checked arrays by input name."""

    @abstractmethod
    def set_weights(self, weights: str | Path | Mapping[str, Array]) -> None:
        """Use other weights, from a file or as arrays by the network's names.

        Names that are not parameters of the network are among the `warnings` then. Raises CnnError
        as `cnndsl.weights.bind.bind` does, and (E0417) for a module that does not know what its
        weights were made from.
        """

    def number_format(self, name: str) -> str:
        """The dtype in which the values of an input enter the network."""
        return "float32"

    @abstractmethod
    def save(self, path: str | Path) -> None:
        """Write the module to a file with the ending of its target, atomically. Raises CnnError."""

    def files(self, path: str | Path) -> list[Path]:
        """What `save` has written there: the file, or all of a folder."""
        place = Path(path)
        return sorted(place.iterdir()) if place.is_dir() else [place]

    def __call__(self, *arrays: Array, **named: Array) -> Array | dict[str, Array]:
        """Run on one array for each input, in order or by name.

        An array is [batch, *shape], or [*shape] for a single sample; then the results have no
        batch axis either; those that are one for all samples never have one. Numbers of another
        format are rounded to that of the module. A single output is returned as it is, several as
        a dict by name. Raises CnnError for missing, unknown, empty or wrong-shaped inputs, and
        numbers too large for the format.
        """
        batched, single = self.batched(*arrays, **named)
        results = self.run(batched)
        if single:
            whole = {port.name for port in self.outputs if not port.type.batched}
            results = {n: result if n in whole else result[0] for n, result in results.items()}
        return next(iter(results.values())) if len(results) == 1 else results

    def batched(self, *arrays: Array, **named: Array) -> tuple[dict[str, Array], bool]:
        """The arrays of a call, checked, as `run` takes them, and whether they were one sample.

        Raises CnnError as a call does.
        """
        named = self.by_name(arrays, named)
        given = {name: as_array(f"input {name!r}", array) for name, array in named.items()}
        single = all(given[port.name].ndim == len(port.type.shape) for port in self.inputs)
        if not single:
            check_batch_axes(self.inputs, given)
        result = {name: array[None] if single else array for name, array in given.items()}
        for port in self.inputs:
            check_input(port, result[port.name])
        check_batch_sizes(self.inputs, result)
        check_open_sizes(self.inputs, result)
        formats = {name: self.number_format(name) for name in result}
        return {n: rounded(n, array, formats[n]) for n, array in result.items()}, single

    def declared_type(self, port: Port) -> TensorType:
        """See the function of that name."""
        return declared_type(port, self.metadata)

    def by_name(self, arrays: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by input name. Raises CnnError unless there is one for each."""
        names = [port.name for port in self.inputs]
        if len(arrays) > len(names):
            raise CnnError.of("E0604", f"{len(arrays)} inputs given, the network has {len(names)}")
        given = dict(zip(names, arrays, strict=False))
        for name, array in named.items():
            if name not in names or name in given:
                problem = "is given twice" if name in given else "is not an input of the network"
                raise CnnError.of(
                    "E0604", f"{name!r} {problem}", hint=f"inputs: {', '.join(names)}"
                )
            given[name] = array
        missing = [name for name in names if name not in given]
        if missing:
            inputs = ", ".join(f"{port.name} {port.type}" for port in self.inputs)
            message = f"no value for input {', '.join(missing)}"
            raise CnnError.of("E0604", message, hint=f"inputs: {inputs}")
        return given


def check_input(port: Port, array: Array) -> None:
    """Raise CnnError unless the array, batch axis included, fits the port."""
    if not _fits(array.shape, (port.batch, *port.type.shape)):
        given = "x".join(map(str, array.shape)) or "a single number"
        raise CnnError.of("E0604", f"input {port.name!r} is {port.shown}, not {given}")
    if array.dtype.kind not in "fiu":
        raise CnnError.of("E0604", f"input {port.name!r} holds {array.dtype}, not numbers")
    if array.size == 0:
        given = "x".join(map(str, array.shape))
        raise CnnError.of("E0604", f"input {port.name!r} is empty: {given}")


def rounded(name: str, array: Array, dtype: str) -> Array:
    """The values of an input in another number format.

    Raises CnnError (E0604) if a finite one becomes infinite.
    """
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
    if not np.can_cast(array.dtype, dtype):
        lost = np.isinf(result) & np.isfinite(array)
        if lost.any():
            number = array[np.unravel_index(int(lost.argmax()), array.shape)]
            raise CnnError.of("E0604", f"input {name!r} holds {number}, too large for {dtype}")
    return result


def check_batch_axes(ports: Sequence[Port], arrays: Mapping[str, Array]) -> None:
    """Raise CnnError if some arrays are batches and others, right otherwise, single samples."""
    samples = [port for port in ports if _fits(arrays[port.name].shape, port.type.shape)]
    batches = [port for port in ports if port not in samples]
    if not samples or not batches:
        return
    for port in batches:
        check_input(port, arrays[port.name])
    shown = ["x".join(map(str, arrays[p.name].shape)) for p in (samples[0], batches[0])]
    raise CnnError.of(
        "E0604",
        f"input {samples[0].name!r} is a single sample, {shown[0]}, "
        f"but {batches[0].name!r} a batch, {shown[1]}",
        hint="give all inputs with a batch axis, or none",
    )


def check_batch_sizes(ports: Sequence[Port], arrays: Mapping[str, Array]) -> None:
    """Raise CnnError unless all batches have as many samples as the first."""
    first = ports[0].name
    for name in (port.name for port in ports):
        if len(arrays[name]) != len(arrays[first]):
            sizes = f"{len(arrays[first])} in input {first!r}, but {len(arrays[name])} in {name!r}"
            raise CnnError.of("E0604", f"the batches differ: {sizes}")


def _fits(sizes: Sequence[int], wanted: Sequence[Dim | None]) -> bool:
    """True if the whole numbers among the wanted sizes are met; anything else fits any size."""
    return len(sizes) == len(wanted) and all(
        not isinstance(want, int) or want == have for want, have in zip(wanted, sizes, strict=True)
    )


def check_open_sizes(ports: Sequence[Port], arrays: Mapping[str, Array]) -> None:
    """Raise CnnError (E0604) as `open_sizes` does."""
    open_sizes(ports, {name: array.shape[1:] for name, array in arrays.items()})


def declared_type(port: Port, metadata: Mapping[str, str]) -> TensorType:
    """An input's type with the sizes of the network's text where any size will do.

    They stand in the metadata: `input_shapes` is, say, `image=3x224x224,mask=1x224x224`. Without
    them it is the port's own type.
    """
    declared = metadata.get("input_shapes", "")
    for name, text in re.findall(r"(\w+)=([1-9]\d{0,8}(?:x[1-9]\d{0,8})*)", declared):
        shape = tuple(map(int, text.split("x")))
        if name == port.name and _fits(shape, port.type.shape):
            return replace(port.type, shape=shape)
    return port.type


def open_sizes(ports: Sequence[Port], shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """What H is, and other open sizes, if the inputs have these shapes, without the batch.

    Raises CnnError (E0604) if it is two numbers, or the size of an input is no multiple as it has
    to be.
    """
    found: dict[str, int] = {}
    first: dict[str, str] = {}
    for port in ports:
        for dim, size in zip(port.type.shape, shapes[port.name], strict=True):
            if isinstance(dim, int):
                continue
            value = dim.solve(size)
            if value is None:
                near = [at(dim, dict.fromkeys(dim.symbols(), n)) for n in _around(dim, size)]
                raise CnnError.of(
                    "E0604",
                    f"input {port.name!r} is {port.type}, and {size} is not {dim}",
                    hint=f"near it {'are' if len(near) > 1 else 'is'} "
                    f"{' and '.join(map(str, near))}",
                )
            (symbol,) = dim.symbols()
            if found.setdefault(symbol, value) != value:
                at_first = f"{symbol} is {found[symbol]} in input {first[symbol]!r}"
                raise CnnError.of("E0604", f"{at_first}, but {value} in {port.name!r}")
            first.setdefault(symbol, port.name)
    return found


def _around(dim: OpenDim, size: int) -> list[int]:
    """The values of the symbol that give the sizes next to one."""
    below = (size - dim.constant) // dim.step
    return [n for n in (below, below + 1) if n > 0]
