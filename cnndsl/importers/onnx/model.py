"""A checked view of an ONNX graph, in plain data: nothing behind it touches protobuf.

Functions of the model are inlined, nodes are in the order of computation, and what the wanted
outputs do not need is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnndsl.importers.onnx.bodies import with_bodies
from cnndsl.importers.onnx.modules import modules
from cnndsl.importers.onnx.names import is_weight
from cnndsl.importers.onnx.patches import with_local_layers
from cnndsl.importers.onnx.qlinear import on_numbers
from cnndsl.importers.onnx.refusal import Refusal, damaged
from cnndsl.importers.onnx.spellings import respelled
from cnndsl.importers.onnx.step import STANDARD, Body, Step, as_written
from cnndsl.importers.onnx.tensors import Tensors
from cnndsl.ir.attributes import LARGEST
from cnndsl.ir.photo import Photo
from cnndsl.runtime.photos import from_metadata

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto

OLDEST_OPSET = 7
NODES = 100_000
"""Nodes of a model, its functions inlined."""


@dataclass(frozen=True)
class Declared:
    """An input of the model. Open axes have their name, or none; None if the rank is unknown."""

    name: str
    dtype: int
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True)
class Model:
    """What a model says, of the wanted outputs alone; `classes` are those of modules by path.

    `photos` tell how photos become its inputs, by the names of these.
    """

    name: str
    opset: int
    inputs: tuple[Declared, ...]
    outputs: tuple[str, ...]
    steps: tuple[Step, ...]
    tensors: Tensors
    classes: Mapping[tuple[str, ...], str]
    uses: Counter[str] = field(default_factory=Counter)
    photos: Mapping[str, Photo] = field(default_factory=dict)


def view(proto: ModelProto, path: Path, outputs: Sequence[str] | None) -> Model:
    """The model in a file as plain data. Raises Refusal if it contradicts itself."""
    opset = _opset(proto)
    photos = _photos(proto)
    if proto.functions:
        proto = _inlined(proto)
    graph = proto.graph
    if len(graph.node) > NODES:
        raise Refusal("E0805", f"the model has more than {NODES:,} nodes")
    tensors = Tensors(graph, path)
    made = [with_bodies(_step(node, tensors), node, tensors, _step) for node in graph.node]
    if sum(1 for _ in _all(made)) > NODES:
        raise Refusal("E0805", f"the model has more than {NODES:,} nodes")
    taken = Counter(name for step in made for name in step.outputs)
    taken.update(info.name for info in (*graph.input, *graph.output))
    kept = [step for step in made if not _renames(step, taken, tensors)]
    steps = respelled(with_local_layers(list(on_numbers(kept))), tensors)
    inputs = [_declared(info) for info in graph.input if info.name not in tensors]
    makers = _makers(steps, [item.name for item in inputs], tensors)
    wanted = _wanted(graph, outputs, makers, inputs)
    ordered = _needed(steps, wanted, makers)
    uses = Counter(name for step in _all(ordered) for name in step.inputs)
    uses.update(name for body in _bodies(ordered) for name in body.outputs)
    uses.update(wanted)
    used = tuple(item for item in inputs if item.name in uses)
    classes: dict[tuple[str, ...], str] = {}
    for node in graph.node:
        classes |= {tuple(path.split(".")): kind for path, kind in modules(node)}
    parts = (tuple(wanted), tuple(ordered), tensors, classes, uses, photos)
    return Model(graph.name, opset, used, *parts)


def _photos(proto: ModelProto) -> dict[str, Photo]:
    """What the metadata say of photos, if they are those of a model that was made here."""
    try:
        return from_metadata({entry.key: entry.value for entry in proto.metadata_props})
    except ValueError:
        return {}


def _all(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps, and those of branches."""
    for step in steps:
        yield step
        for body in _bodies([step]):
            yield from body.steps


def _bodies(steps: Iterable[Step]) -> Iterator[Body]:
    """The branches of steps, those inside others too."""
    for step in steps:
        for body in step.attributes.values():
            if isinstance(body, Body):
                yield body
                yield from _bodies(body.steps)


def _opset(proto: ModelProto) -> int:
    from onnx.defs import onnx_opset_version

    newest = onnx_opset_version()
    versions = [item.version for item in proto.opset_import if item.domain in STANDARD]
    if not proto.HasField("graph") or not versions:
        raise damaged("there is no graph, or no operator set")
    (version, *_) = versions
    if not OLDEST_OPSET <= version <= newest:
        raise Refusal(
            "E0802",
            f"the model has the operator set {version}; {OLDEST_OPSET} to {newest} are read",
            "export it again, or convert it with onnx.version_converter",
        )
    return int(version)


def _inlined(proto: ModelProto) -> ModelProto:
    """The model without functions of its own."""
    from onnx import inliner

    bodies = {(f.domain, f.name): f for f in proto.functions}
    sizes: dict[tuple[str, str], int] = {}
    calls = {
        key: [(n.domain, n.op_type) for n in f.node if (n.domain, n.op_type) in bodies]
        for key, f in bodies.items()
    }
    try:
        order = list(TopologicalSorter(calls).static_order())
    except CycleError:
        raise damaged("a function of the model calls itself") from None
    for key in order:
        nodes = bodies[key].node
        sizes[key] = sum(sizes.get((n.domain, n.op_type), 1) for n in nodes)
    total = sum(sizes.get((n.domain, n.op_type), 1) for n in proto.graph.node)
    if total > NODES:
        raise Refusal("E0805", f"the model has more than {NODES:,} nodes")
    return inliner.inline_local_functions(proto)


def _step(node: NodeProto, tensors: Tensors) -> Step:
    attributes = {item.name: _attribute(item, tensors) for item in node.attribute}
    return Step(
        node.op_type,
        node.domain,
        node.name,
        tuple(node.input),
        tuple(node.output),
        attributes,
        next((path for path, _ in reversed(modules(node))), ""),
    )


def _renames(step: Step, taken: Counter[str], tensors: Tensors) -> bool:
    """Whether a node only calls an initialiser by the name of another weight.

    PyTorch's exporter stores weights that are equal once. They are told apart here, as they were.
    """
    if step.kind != "Identity" or step.domain not in STANDARD:
        return False
    match step.inputs, step.outputs:
        case (source,), (name,) if source in tensors and taken[name] == 1 and is_weight(name):
            return tensors.add_name(name, source)
    return False


def _attribute(item: AttributeProto, tensors: Tensors) -> Any:
    """A number, text, list or array; a graph or something rare as None."""
    from onnx import AttributeProto

    match item.type:
        case AttributeProto.FLOAT:
            return as_written(item.f)
        case AttributeProto.INT:
            return int(item.i)
        case AttributeProto.STRING:
            return item.s.decode("utf-8", "replace")
        case AttributeProto.TENSOR:
            return tensors.array(item.t)
        case AttributeProto.FLOATS:
            return [as_written(value) for value in item.floats]
        case AttributeProto.INTS:
            return list(item.ints)
        case AttributeProto.STRINGS:
            return [text.decode("utf-8", "replace") for text in item.strings]
    return None


def _declared(info: ValueInfoProto) -> Declared:
    if not info.type.HasField("tensor_type"):
        raise damaged(f"the input {info.name!r} is no tensor")
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return Declared(info.name, kind.elem_type, None)
    dims: list[int | str] = []
    for dim in kind.shape.dim:
        known = dim.WhichOneof("value") == "dim_value"
        if known and not (1 if dims else 0) <= dim.dim_value <= LARGEST:
            raise damaged(f"the input {info.name!r} has an axis of size {dim.dim_value}")
        dims.append(dim.dim_value if known and dim.dim_value > 0 else dim.dim_param)
    return Declared(info.name, kind.elem_type, tuple(dims))


def _makers(steps: Sequence[Step], inputs: Collection[str], tensors: Tensors) -> dict[str, Step]:
    """What makes each tensor. Raises Refusal for a tensor that is made twice, or by nothing."""
    if len(set(inputs)) != len(inputs):
        raise damaged("two inputs have one name")
    makers: dict[str, Step] = {}
    for step in steps:
        for name in filter(None, step.outputs):
            if name in makers or name in inputs or name in tensors:
                raise damaged(f"the tensor {name!r} is made twice")
            makers[name] = step
    for step in steps:
        for name in filter(None, step.inputs):
            if name not in makers and name not in inputs and name not in tensors:
                raise damaged(f"{step} reads the tensor {name!r}, which nothing makes")
    return makers


def _wanted(
    graph: GraphProto,
    outputs: Sequence[str] | None,
    makers: Mapping[str, Step],
    inputs: Sequence[Declared],
) -> list[str]:
    """The names of the outputs: those of the model, or those that are asked for."""
    from cnndsl.diagnostics.spelling import did_you_mean

    declared = [info.name for info in graph.output]
    known = {*makers, *(item.name for item in inputs)}
    for name in outputs or ():
        if name not in known:
            hint = did_you_mean(name, known) or f"outputs of the model: {', '.join(declared)}"
            raise Refusal("E0807", f"the model has no tensor {name!r}", hint)
    wanted = list(dict.fromkeys(outputs or declared))
    if not wanted:
        raise damaged("the model has no output")
    for name in wanted:
        if name not in known:
            raise damaged(f"nothing makes the output {name!r}")
    return wanted


def _needed(steps: Sequence[Step], wanted: Sequence[str], makers: Mapping[str, Step]) -> list[Step]:
    """The nodes that the outputs need, each behind those that it reads."""
    places = {id(step): index for index, step in enumerate(steps)}
    before: dict[int, list[int]] = {}
    waiting = [places[id(makers[name])] for name in wanted if name in makers]
    while waiting:
        place = waiting.pop()
        if place not in before:
            reads = [makers[name] for name in steps[place].inputs if name in makers]
            before[place] = [places[id(step)] for step in reads]
            waiting += before[place]
    order = sorted(before)
    if any(place <= needed for place in order for needed in before[place]):
        try:
            order = list(TopologicalSorter(before).static_order())
        except CycleError:
            raise damaged("the nodes of the model read one another in a circle") from None
    return [steps[place] for place in order]
