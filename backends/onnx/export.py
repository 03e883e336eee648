"""From a graph to the bytes of an ONNX model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from onnx import ModelProto, TensorProto, ValueInfoProto, helper

import cnndsl
from cnndsl.backends.onnx.check import check_model
from cnndsl.backends.onnx.emitter import Emitter, Site
from cnndsl.backends.onnx.limit import check_bytes
from cnndsl.backends.onnx.lower import LOWERINGS
from cnndsl.backends.onnx.module import WHOLE, OnnxModule, Recipe
from cnndsl.backends.onnx.options import OnnxOptions
from cnndsl.backends.onnx.sizes import smallest_sizes, to_metadata
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.part import Part
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Array, graph_ports, require_formats
from cnndsl.runtime.options import CompileOptions, silent

ELEMENTS = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
}
SMALL = 1024
"""Arrays up to this length can be shapes and axes, which shape inference has to see."""


def compile_module(
    graph: Graph, values: Mapping[str, Array], options: CompileOptions
) -> OnnxModule:
    """A module for the graph; see `cnndsl.runtime.backend.Backend.compile`."""
    options = OnnxOptions.of(options)
    require_formats(graph, ("float32", "float16", "uint8"))
    whole = [name for name, node in graph.outputs.items() if not graph[node].type.batched]
    metadata = {
        "network": graph.name,
        "version": cnndsl.__version__,
        "target": "onnx",
        **options.metadata,
        **to_metadata(smallest_sizes(graph)),
        **({WHOLE: ",".join(whole)} if whole else {}),
    }
    kept = replace(options, progress=silent, source=None)
    made = partial(export, graph, options=kept, metadata=metadata)
    recipe = Recipe(graph.parameters(), frozenset(x.name for x in graph.nodes()), made)
    ports = graph_ports(graph, options.batch)
    return OnnxModule(recipe.export(values), *ports, metadata, options.threads, recipe)


def export(
    graph: Graph, values: Mapping[str, Array], options: OnnxOptions, metadata: Mapping[str, str]
) -> bytes:
    """The checked, serialised model. Raises CnnError (E0701, E0703, E0704)."""
    _check_names(graph)
    emitter = Emitter(graph, values, options.batch)
    for node in graph.nodes():
        _lower(emitter, node)
    for output, name in graph.outputs.items():
        made = emitter.tensors[name]
        if not graph[name].type.batched:
            emitter.add_node(f"{output}/output", output, "Squeeze", [made], axes=[0])
        elif made != output:
            emitter.add_node(f"{output}/output", output, "Identity", [made])
    opset = emitter.finish(options.opset)
    check_bytes(sum(array.nbytes for array in emitter.initializers.values()))
    weights = {name: a for name, a in emitter.initializers.items() if a.size > SMALL}
    constants = {name: a for name, a in emitter.initializers.items() if a.size <= SMALL}
    model = _skeleton(emitter, options.batch, opset, metadata)
    _add_initializers(model, constants)
    types = {tensor: graph[name].type for name, tensor in emitter.tensors.items()}
    steps = check_model(model, weights, types)
    _add_initializers(model, weights)
    _add_shapes(model, types, steps, emitter.signed)
    return bytes(model.SerializeToString(deterministic=True))


def _lower(emitter: Emitter, node: Node) -> None:
    """Write a node, its parts one after another: the last one has its name."""
    labels = iter(label for label, _ in node.labelled())
    tensors = [emitter.tensors[producer.name] for producer in emitter.graph.producers(node)]

    def write(part: Part[Operator], inputs: list[str]) -> str:
        label = next(labels)
        if part is node.parts[-1]:
            site = Site(emitter, node.name, part, inputs, emitter.tensors[node.name])
        else:
            site = Site(emitter, f"{node.name}/{label}", part, inputs)
        LOWERINGS[type(part.op)](site, part.op)
        return site.tensor

    node.fold(tensors, write)


def _skeleton(
    emitter: Emitter, batch: int | None, opset: int, metadata: Mapping[str, str]
) -> ModelProto:
    """The model without its initializers."""
    graph = emitter.graph
    size = batch if batch is not None else _batch_symbol(graph)
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        helper.make_graph(
            emitter.nodes,
            graph.name,
            [_value_info(name, graph[name].type, size) for name in graph.inputs],
            [_output_info(name, graph[node].type, size) for name, node in graph.outputs.items()],
        ),
        opset_imports=imports,
        ir_version=helper.find_min_ir_version_for(imports),
        producer_name="cnndsl",
        producer_version=cnndsl.__version__,
    )
    helper.set_model_props(model, dict(metadata))
    return model


def _add_shapes(
    model: ModelProto,
    types: Mapping[str, TensorType],
    steps: Iterable[ValueInfoProto],
    signed: bool,
) -> None:
    """The shapes of all tensors between inputs and outputs, which viewers show."""
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    size = batch.dim_param or batch.dim_value
    public = {value.name for value in [*model.graph.input, *model.graph.output]}
    ours = {name: _value_info(name, kind, size, signed) for name, kind in types.items()}
    theirs = {value.name: value for value in steps}
    for node in model.graph.node:
        for name in node.output:
            if name not in public and name in {**theirs, **ours}:
                model.graph.value_info.append(ours.get(name) or theirs[name])


def _value_info(
    name: str, kind: TensorType, batch: int | str, signed: bool = False
) -> ValueInfoProto:
    shape = [
        batch if kind.batched else 1,
        *(dim if isinstance(dim, int) else str(dim) for dim in kind.shape),
    ]
    dtype = "int8" if signed and kind.quantisation is not None else kind.dtype.name
    return helper.make_tensor_value_info(name, ELEMENTS[dtype], shape)


def _output_info(name: str, kind: TensorType, batch: int | str) -> ValueInfoProto:
    """What is one for all samples has no batch axis."""
    if kind.batched:
        return _value_info(name, kind, batch)
    return helper.make_tensor_value_info(name, ELEMENTS[kind.dtype.name], kind.sizes)


def _batch_symbol(graph: Graph) -> str:
    """`batch`, unless the network uses that name for one of its own open sizes."""
    open_sizes = {str(dim) for name in graph.inputs for dim in graph[name].type.shape}
    symbol = "batch"
    while symbol in open_sizes:
        symbol += "_"
    return symbol


def _add_initializers(model: ModelProto, arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        tensor = model.graph.initializer.add()
        tensor.name = name
        tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor.dims.extend(array.shape)
        tensor.raw_data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _check_names(graph: Graph) -> None:
    for output, node in graph.outputs.items():
        if output in graph.inputs and node != output:
            raise CnnError.of(
                "E0703",
                f"ONNX cannot name an input and another tensor alike: output {output!r}",
                hint="give the output another name",
            )
