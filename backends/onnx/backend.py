"""The plug-in object; what it needs from onnx and onnxruntime is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cnndsl.backends.onnx.limit import SUFFIX, check_graph
from cnndsl.backends.onnx.options import OnnxOptions
from cnndsl.ir.graph import Graph
from cnndsl.runtime.backend import Backend, CompileOptions, Reader
from cnndsl.runtime.extras import require_onnx
from cnndsl.runtime.module import Array, Module


class OnnxBackend:
    """Makes `.onnx` models of standard operators in float32 and runs them with onnxruntime."""

    target = "onnx"
    description = "an ONNX model of standard operators, run by onnxruntime"
    suffix = SUFFIX
    fusions: frozenset[str] = frozenset()
    options: type[CompileOptions] = OnnxOptions

    def compile(self, graph: Graph, values: Mapping[str, Array], options: CompileOptions) -> Module:
        """A module from an inference graph and the arrays of all its parameters by name.

        Raises CnnError (E0701) if the model does not fit into one ONNX file, (E0703) if an output
        has the name of an input, (E0704) if the opset is too old, (E0705) without
        onnx.
        """
        require_onnx()
        from cnndsl.backends.onnx.export import compile_module

        return compile_module(graph, values, options)

    def check_size(self, graph: Graph) -> None:
        """See `cnndsl.runtime.backend.Limited`."""
        check_graph(graph)

    def start(self) -> None:
        """Import all that its modules need to run. Raises CnnError (E0705) without onnx."""
        require_onnx()
        import onnxruntime  # noqa: F401

        import cnndsl.backends.onnx.module  # noqa: F401

    def load(self, path: Path, threads: int | None = None, read: Reader | None = None) -> Module:
        """A module from any ONNX file whose inputs and outputs are floating point numbers.

        What is read by `read` must have no tensors in other files. Raises CnnError: E0601 if the
        file cannot be read, E0603 if it is not such a model, E0705 without onnx.
        """
        require_onnx()
        from cnndsl.backends.onnx.module import load_module

        return load_module(path, threads, read)


BACKEND: Backend = OnnxBackend()
