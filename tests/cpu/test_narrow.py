"""Maps of few channels on the cpu target: they lie channel by channel, and agree."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cpu import BACKEND
from cnndsl.backends.cpu.program.lower import lower
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimise
from tests.cpu.support import assert_agrees, compiled, machine
from tests.marks import whole
from tests.onnx.support import start, then
from tests.operators.cases import parameter_values


def _net(channels: int, *size: int) -> Graph:
    """Operators of every family on maps of few channels, some with readers that need a halo."""
    graph, x = start(channels, *size)
    x = then(graph, "scaled", "affine", x)
    outputs = {
        "up": then(graph, "up", "upsample", x, factor=(2, 3)),
        "sub": then(graph, "sub", "subsample", x, stride=2),
        "max": then(graph, "max", "maxpool", x, kernel=3, stride=2, pad=1),
        "gaps": then(graph, "gaps", "maxpool", x, kernel=3, stride=1, pad=2, dilation=2),
        "mean": then(graph, "mean", "avgpool", x, kernel=2, stride=1),
        "l2": then(graph, "l2", "l2pool", x, kernel=2, stride=3),
        "adaptive": then(graph, "adaptive", "adaptive_avgpool", x, size=(3, 5)),
        "global": then(graph, "global", "global_maxpool", x),
        "slice": then(graph, "slice", "slice", x, start=channels - 1, stop=channels),
        "wider": then(graph, "wider", "pad_channels", x, channels=4),
    }
    outputs["padded"] = then(graph, "padded", "pad", x, pads=((2, 1), (3, 4)), mode="reflect")
    outputs["framed"] = then(graph, "framed", "pad", x, pads=((1, 0), (5, 2)), value=-1.5)
    outputs["cropped"] = then(graph, "cropped", "crop", outputs["framed"], sides=((1, 2), (3, 0)))
    outputs["resized"] = then(graph, "resized", "resize", x, size=(7, 40), mode="linear")
    outputs["turned"] = then(graph, "turned", "permute", outputs["framed"], axes=(0, 2, 1))
    joined = then(graph, "joined", "add", x, then(graph, "act", "sigmoid", x))
    outputs["conv"] = then(graph, "conv", "conv", joined, filters=5, kernel=3)
    outputs["deep"] = then(
        graph, "deep", "conv", then(graph, "two", "upsample", joined, factor=2), filters=9, kernel=5
    )
    outputs["both"] = then(graph, "both", "concat", joined, outputs["slice"])
    outputs["shuffled"] = then(graph, "shuffled", "shuffle", joined, groups=channels)
    outputs["fc"] = then(graph, "fc", "fc", outputs["sub"], units=3)
    outputs["softmax"] = then(graph, "softmax", "softmax", outputs["up"])
    graph.outputs = {name: node.name for name, node in outputs.items()}
    return graph


@pytest.mark.parametrize(
    ("channels", "batch", "extension"),
    [(1, None, "avx2"), whole(2, 2, "avx2"), (3, None, "avx512"), whole(4, 2, "avx2")],
)
def test_agrees_with_the_reference(channels: int, batch: int | None, extension: str):
    graph = _net(channels, 11, 37)
    values = parameter_values(graph, 0)
    rng = np.random.default_rng(0)
    image = rng.standard_normal((batch or 1, channels, 11, 37)).astype(np.float32)
    module = compiled(graph, values, batch=batch, extension=extension)
    assert_agrees(module, graph, values, {"image": image})
    traced, results = module.trace({"image": image}), module.run({"image": image})
    for name, node in graph.outputs.items():
        np.testing.assert_array_equal(traced[node], results[name])


@pytest.mark.parametrize("extension", ["avx2", "avx512"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("upsample", {"factor": 2}),
        ("maxpool", {"kernel": 2, "stride": 2}),
        ("avgpool", {"kernel": 3, "stride": 1, "pad": 1}),
        ("sigmoid", {}),
    ],
)
def test_maps_lie_in_the_arrays_of_the_caller(
    operator: str, attributes: dict[str, object], channels: int, extension: str
):
    graph, x = start(channels, 64, 64)
    then(graph, "y", operator, x, **attributes)
    graph.outputs = {"out": "y"}
    program = lower(graph, 1, machine(extension))
    assert (len(program.steps), program.arena) == (1, 0)


def test_memory_of_maps_between_is_that_of_their_numbers():
    graph, x = start(2, 64, 64)
    large = then(graph, "large", "upsample", x, factor=2)
    joined = then(graph, "joined", "concat", then(graph, "act", "sigmoid", large), large)
    then(graph, "y", "avgpool", joined, kernel=2, stride=2)
    graph.outputs = {"out": "y"}
    arena = lower(graph, 1, machine("avx512")).arena
    assert arena <= 2 * large.type.elements + joined.type.elements


FEW = [
    (16, 1, (9, 21), {"kernel": 3}, "avx2"),
    (20, 2, (9, 37), {"kernel": 3, "stride": 2}, "avx2"),
    (5, 3, (17, 16), {"kernel": 1}, "avx2"),
    (13, 4, (12, 23), {"kernel": 5, "dilation": 2}, "avx512"),
    (2, 3, (9, 90), {"kernel": 3}, "avx2"),
    (1, 1, (5, 140), {"kernel": 3, "stride": (1, 2)}, "avx512"),
    (40, 3, (33,), {"kernel": 3}, "avx512"),
    (16, 2, (3, 4, 17), {"kernel": 2}, "avx2"),
]


@pytest.mark.parametrize(("channels", "filters", "size", "attributes", "extension"), FEW)
def test_convolutions_to_few_filters(
    channels: int,
    filters: int,
    size: tuple[int, ...],
    attributes: dict[str, object],
    extension: str,
):
    """From blocks of channels that NaN may fill up, with a join and a reader that needs zeros."""
    graph, x = start(6, *size)
    x = then(graph, "first", "relu6", then(graph, "wide", "conv", x, filters=channels, kernel=1))
    x = then(graph, "few", "conv", x, filters=filters, **attributes)
    x = then(graph, "joined", "mul", x, then(graph, "act", "sigmoid", x))
    last = then(graph, "last", "conv", x, filters=9, kernel=3)
    graph.outputs = {"out": x.name, "last": last.name}
    graph = optimise(graph, fusions=BACKEND.fusions)[0]
    values = parameter_values(graph, 0)
    image = np.random.default_rng(0).standard_normal((2, 6, *size)).astype(np.float32)
    image[0, 0, 2] = np.inf
    module = compiled(graph, values, batch=2, extension=extension)
    assert any(layer.family == "few" for layer in module.layers)
    assert_agrees(module, graph, values, {"image": image})


def test_few_filters_take_the_memory_of_their_maps():
    graph, x = start(8, 64, 64)
    x = then(graph, "few", "conv", x, filters=2, kernel=3)
    x = then(graph, "act", "sigmoid", x)
    then(graph, "y", "conv", x, filters=1, kernel=3)
    graph.outputs = {"out": "y"}
    arena = lower(graph, 1, machine("avx512")).arena
    assert arena < 16 * 66 * 66 + 2 * 2 * 66 * 66
