"""The cpu target on 8-bit codes, bit by bit: all cases, random layers, random graphs, the zoo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cnndsl
from cnndsl.backends.cpu.machine import find_machine
from cnndsl.ir.attributes import build
from cnndsl.ir.operators import BY_NAME, Add, Dequantise, Identity, Quantised
from cnndsl.quantise.collect import Settings, calibrate
from cnndsl.quantise.precision import on_codes
from cnndsl.quantise.prepare import prepare
from cnndsl.runtime.module import Array
from cnndsl.weights.bind import bind
from tests.cpu.codes import assert_same_codes, together
from tests.cpu.support import Unoptimised, compiled, machine
from tests.operators.cases import Case
from tests.passes.random_graphs import Sample, samples
from tests.quantise.test_meaning import QUANTISED

TOGETHER = 16
EXTENSIONS = (None, "avx512", "avx2", "sse", "neon", "scalar")


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("first", range(0, len(QUANTISED), TOGETHER))
def test_all_cases(first: int, extension: str | None) -> None:
    graph, values, inputs = together(QUANTISED[first : first + TOGETHER], seed=first)
    module = compiled(graph, values, batch=2, extension=extension)
    assert_same_codes(module, graph, values, inputs)


@st.composite
def layers(draw: st.DrawFn) -> Case:
    """Convolutions and fully connected layers of all kinds of sizes."""
    channels = draw(st.integers(1, 70))
    spatial = tuple(draw(st.integers(1, 13)) for _ in range(draw(st.integers(1, 3))))
    if draw(st.integers(0, 5)) == 0:
        op = build(BY_NAME["fc"], {"units": draw(st.integers(1, 70))})
        return Case("fc", op, ((channels, *spatial),))
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    each = draw(st.integers(1, max(1, 70 // groups)))
    given = {
        "filters": groups * each,
        "kernel": draw(st.sampled_from([1, 3, 3, 2, 5])),
        "stride": draw(st.sampled_from([1, 1, 2, 3])),
        "dilation": draw(st.sampled_from([1, 1, 1, 2])),
        "pad": draw(st.sampled_from(["same", "full", 4])),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    return Case("conv", build(BY_NAME["conv"], given), ((channels, *spatial),))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(case=layers(), seed=st.integers(0, 1000), batch=st.sampled_from([1, 2]))
def test_random_layers(case: Case, seed: int, batch: int) -> None:
    """Each once as it is, and once with a sum behind it."""
    graph, values, inputs = together([case, case], seed)
    layer, other = graph["y0"], graph["y1"]
    assert isinstance(layer.op, Quantised)
    assert isinstance(other.op, Quantised)
    copied = graph.add("other", Quantised(Identity(), other.op.result, 5, 240), [other])
    total = Quantised(Add(), layer.op.result, 2, 255)
    both = graph.add("sum", total, [copied, layer])
    graph.redefine(graph["f0"], Dequantise(), [both], {}, frozenset())
    module = compiled(graph, values, batch=batch)
    assert_same_codes(module, graph, values, inputs)


@pytest.mark.parametrize("spatial", [(4, 4), (5, 7), (13, 12), (9, 31)])
@pytest.mark.parametrize(("channels", "filters"), [(16, 16), (21, 40), (64, 72), (96, 24)])
def test_winograd(channels: int, filters: int, spatial: tuple[int, int]) -> None:
    """With the widest sums that there are."""
    op = build(BY_NAME["conv"], {"filters": filters, "kernel": 3, "pad": "same"})
    graph, values, inputs = together([Case("conv", op, ((channels, *spatial),))], seed=filters)
    values = {name: np.sign(value) + 0.001 * value for name, value in values.items()}
    inputs = {name: np.where(array > array.mean(), 1e3, -1e3) for name, array in inputs.items()}
    for batch in (1, 2):
        module = compiled(graph, values, batch=batch)
        assert_same_codes(module, graph, values, inputs)
        if find_machine().extension == "avx2":
            assert "winograd" in {layer.family for layer in module.layers}


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(sample=samples())
def test_random_graphs(sample: Sample) -> None:
    """By code that is not optimised, as that of other widths is not either."""
    exact = prepare(sample.graph, 2)
    inputs = {name: array.astype(np.float32) for name, array in sample.inputs.items()}
    found = calibrate(exact, sample.values, [inputs], 2, Settings(method="minmax"))
    _, low = on_codes(sample.graph, found, level=2)
    target = Unoptimised(**vars(machine(find_machine().extension)))
    module = compiled(low, sample.values, target=target)
    assert_same_codes(module, low, sample.values, inputs)


ZOO = (
    *("lenet5", "alexnet", "vgg11", "resnet18", "resnet50", "resnext50_32x4d", "se_resnet50"),
    *(
        "preact_resnet110_cifar",
        "densenet121",
        "inception_v3",
        "googlenet",
        "squeezenet1_0",
        "xception",
    ),
    *("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v1_g3_1x"),
    *("shufflenet_v2_x1_0", "efficientnet_b0", "resnet20_cifar"),
)
LARGEST = 96


def of_the_zoo(name: str) -> tuple[cnndsl.Network, str, tuple[int, ...]]:
    """A network for small images if it takes them, its input, and the shape of that."""
    network = cnndsl.parse(name)
    ((image, kind),) = network.inputs.items()
    channels, *sizes = kind.sizes
    if max(sizes) > LARGEST and name != "inception_v3":
        shape = (channels, *(LARGEST for _ in sizes))
        network = cnndsl.parse(name, input_shapes={image: shape})
    return network, image, network.inputs[image].sizes


@pytest.mark.parametrize("name", ZOO)
def test_networks(name: str) -> None:
    network, image, shape = of_the_zoo(name)
    images: Array = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    found = cnndsl.calibrate(network, [{image: images}], seed=0)
    _, low = on_codes(network.graph, found, level=2)
    values = bind(low.parameters(), None, seed=0).values
    module = compiled(low, values)
    assert_same_codes(module, low, values, {image: images[:1]})
