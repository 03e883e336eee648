"""Everything that is known of a network, as plain data for `cnndsl inspect --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cnndsl import __version__
from cnndsl.analysis.cost import Cost, node_costs, total
from cnndsl.analysis.crops import crops
from cnndsl.analysis.gridding import gridding
from cnndsl.analysis.layers import Layer, layers, weighted_depth, whole_network
from cnndsl.analysis.modules import Module, modules, whole
from cnndsl.analysis.receptive_field import Fields, receptive_fields
from cnndsl.diagnostics import Diagnostic, Span
from cnndsl.ir.described import Described
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import attribute_values
from cnndsl.ir.types import DType, TensorType


def report(network: Described) -> dict[str, Any]:
    """The network as JSON-ready data.

    `macs` counts convolutions and fully connected layers for one sample, auxiliary heads
    included; numbers that depend on an open size are null, open sizes are strings. `stages` are
    [name, channels, *spatial sizes], with 1, 1 as the spatial sizes of a vector.
    """
    graph = network.graph
    costs = node_costs(graph)
    whole = total(costs.values())
    return {
        "name": network.name,
        "version": __version__,
        "source_hash": network.source_hash,
        "params": whole.params,
        "params_unlearned": whole.unlearned,
        "macs": whole.macs,
        "activation_bytes": whole.bytes,
        "weight_bytes": whole.weight_bytes,
        "inputs": [{"name": name, "shape": _sizes(graph[name].type)} for name in graph.inputs],
        "outputs": [
            {"name": name, "node": node, "shape": _sizes(graph[node].type)}
            for name, node in graph.outputs.items()
        ],
        "auxiliaries": [
            {
                "name": name,
                "node": auxiliary.node,
                "weight": auxiliary.weight,
                "shape": _sizes(graph[auxiliary.node].type),
            }
            for name, auxiliary in graph.auxiliaries.items()
        ],
        "stages": [stage_row(label, graph[node].type) for label, node in graph.stages],
        "receptive_fields": _stage_fields(graph),
        "crops": _crops(network),
        "gridding": [_remark(finding) for finding in gridding(graph)],
        "nodes": [_node(graph, node, costs) for node in graph.nodes()],
    }


def layers_report(graph: Graph) -> dict[str, Any]:
    """The table of the layers as JSON-ready data: `layers`, `total` and `depth`.

    `inputs` and `outputs` are lists of shapes; what a layer has not is null.
    """
    return {
        "name": graph.name,
        "layers": [_layer(row) for row in layers(graph)],
        "total": _layer(whole_network(graph)),
        "depth": weighted_depth(graph),
    }


def modules_report(graph: Graph, depth: int = 1) -> dict[str, Any]:
    """The table of the blocks as JSON-ready data: `blocks`, `total` and `depth`.

    `outputs` are lists of shapes; what a block has not is null.
    """
    rows = modules(graph, depth)
    return {
        "name": graph.name,
        "blocks": [_layer(row) for row in rows],
        "total": _layer(whole(graph, rows)),
        "depth": weighted_depth(graph),
    }


def _layer(row: Layer | Module) -> dict[str, Any]:
    return {field.name: _plain(getattr(row, field.name)) for field in fields(row)}


def stage_row(label: str, result: TensorType) -> list[Any]:
    """[label, channels, *spatial sizes]; a vector counts as an image of 1 by 1."""
    sizes = _sizes(result)
    return [label, *sizes, *([1, 1] if len(sizes) == 1 else [])]


def _crops(network: Described) -> dict[str, Any] | None:
    found = crops(network)
    if found is None:
        return None
    return {
        "count": found.count,
        "shape": _sizes(found.shape),
        "macs": found.macs,
        "dense_macs": found.dense_macs,
        "exact": not found.unlike,
    }


def _remark(finding: Diagnostic) -> dict[str, Any]:
    place = str(finding.span) if finding.span else None
    return {"code": finding.code, "message": finding.message, "source": place}


def _stage_fields(graph: Graph) -> list[dict[str, Any]]:
    found = receptive_fields(graph)
    return [_field_row(label, found[node]) for label, node in graph.stages]


def _field_row(label: str, axes: Fields) -> dict[str, Any]:
    """One number for each axis; null where every position sees the whole input."""
    row: dict[str, Any] = {"stage": label, "size": None, "stride": None, "padding": None}
    if axes is not None:
        row["size"] = [axis.size for axis in axes]
        row["stride"] = [
            int(axis.stride) if axis.stride.denominator == 1 else float(axis.stride)
            for axis in axes
        ]
        row["padding"] = [axis.padding for axis in axes]
    return row


def _node(graph: Graph, node: Node, costs: Mapping[str, Cost]) -> dict[str, Any]:
    cost = costs[node.name]
    place = first_span(node)
    return {
        "name": node.name,
        "op": node.op.name,
        "attributes": {name: _plain(value) for name, value in attribute_values(node.op).items()},
        "inputs": [producer.name for producer in graph.producers(node)],
        "shape": _sizes(node.type),
        "params": cost.params,
        "macs": cost.macs,
        "bytes": cost.bytes,
        "source": str(place) if place else None,
    }


def first_span(node: Node) -> Span | None:
    """The place that comes first in the source, of those a node stands for."""
    return min(node.spans, key=lambda span: (span.source.name, span.start), default=None)


def _sizes(tensor: TensorType) -> list[int | str]:
    return [_plain(size) for size in tensor.shape]


def _plain(value: Any) -> Any:
    if isinstance(value, OpenDim | DType):
        return str(value)
    if isinstance(value, TensorType):
        return _sizes(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
