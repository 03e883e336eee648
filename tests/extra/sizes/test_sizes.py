"""One model and one module at ten random sizes, against what is compiled for each; half an hour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.onnx.sizes import from_metadata
from cnndsl.ir.dims import at
from cnndsl.language.loader import concrete_networks
from cnndsl.network import Network
from cnndsl.passes.pipeline import inference_graph
from cnndsl.runtime.module import Array, Module, Port
from cnndsl.weights.bind import bind
from cnndsl.weights.moments import starts

AXES = ("depth", "height", "width", "length")
COUNT = 10
SPAN = 64
"""Positions by which the sizes differ at most."""
TOLERANCE = {"onnx": 1e-5, "cpu": 1e-4}
"""Of the largest number of a result."""
ON_CPU: dict[str, dict[str, Any]] = {
    "unet": {},
    "unet_2015": {"depth": 2, "filters": 4},
    "deeplabv3_resnet50": {"counts": [1, 1, 1, 1]},
    "retinanet": {},
}
"""Networks of which one module has kernels for all sizes, with settings that leave it small."""


@pytest.mark.parametrize("name", sorted(concrete_networks(cnndsl.zoo())))
def test_one_onnx_model_at_ten_sizes(name: str):
    """Networks that take one size alone say so."""
    net = cnndsl.parse(name)
    if net.graph.auxiliaries:
        pytest.skip("heads need larger inputs; the zoo has the network without them")
    try:
        net.open_graph(AXES)
    except cnndsl.CnnError as error:
        found = error
    else:
        compare(net, "onnx")
        return
    assert [each.code for each in found.diagnostics] == ["E0617"]
    assert name not in ON_CPU


@pytest.mark.parametrize("network", ON_CPU)
def test_one_module_at_ten_sizes(network: str):
    compare(cnndsl.parse(network, settings=ON_CPU[network]), "cpu")


def compare(net: Network, target: str) -> None:
    """The open compilation against one in ONNX for each size."""
    graph = inference_graph(net.graph)
    weights = bind(graph.parameters(), None, seed=0, starts=starts(graph)).values
    module = cnndsl.compile(net, target, weights=weights, dynamic=AXES)
    model = cnndsl.compile(net, weights=weights, dynamic=AXES)
    settings = {n: given.value for n, given in (net.source.settings if net.source else {}).items()}
    spec = f"{net.file}:{net.name}"
    for arrays in samples(model):
        shapes = {port: array.shape[1:] for port, array in arrays.items()}
        known = cnndsl.parse(spec, settings=settings, input_shapes=shapes)
        fixed = cnndsl.compile(known, weights=weights)
        wanted, found = (as_dict(each(**arrays)) for each in (fixed, module))
        for output, array in wanted.items():
            error = np.abs(found[output] - array).max() / np.abs(array).max()
            assert error <= TOLERANCE[target], (shapes, output)
    if target == "cpu":
        assert module.facts["compiled"] == 0


def samples(model: Module) -> Iterator[dict[str, Array]]:
    """Inputs of sizes from the least one on."""
    rng = np.random.default_rng(0)
    least = from_metadata(model.metadata)
    for _ in range(COUNT):
        sizes: dict[str, int] = {}
        for port in model.inputs:
            for dim in port.type.shape:
                if not isinstance(dim, int):
                    (symbol,) = dim.symbols()
                    first = dim.solve(least[str(dim)]) or 1
                    more = int(rng.integers(0, max(2, SPAN // dim.step)))
                    sizes.setdefault(symbol, first + more)
        yield {port.name: array(port, sizes, rng) for port in model.inputs}


def array(port: Port, sizes: dict[str, int], rng: np.random.Generator) -> Array:
    shape = [at(dim, sizes) for dim in port.type.shape]
    return rng.normal(size=(1, *shape)).astype(np.float32)


def as_dict(result: Array | dict[str, Array]) -> dict[str, Array]:
    return result if isinstance(result, dict) else {"": result}
