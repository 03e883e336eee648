"""Static and open sizes, of one input and of several with sizes of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnndsl
from cnndsl.backends.onnx.module import OnnxModule
from cnndsl.diagnostics import CnnError
from cnndsl.runtime.module import Array, Module
from tests.onnx.support import assert_close, model_of

TOWERS = """network two_towers {
    input photo [3, 16, 16]
    input thumbnail [3, 8, 8]
    photo -> conv(8, 3, stride=2) -> relu -> global_avgpool
    concat { identity | thumbnail -> conv(8, 3) -> relu -> global_avgpool }
    fc(10) -> softmax
}"""


def images(sizes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=(2, *shape)).astype(np.float32) for name, shape in sizes.items()}


def sizes_in(module: Module) -> list[list[int | str]]:
    assert isinstance(module, OnnxModule)
    return [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in model_of(module).graph.input
    ]


@pytest.mark.parametrize(
    ("options", "photo", "thumbnail"),
    [
        ({}, ["batch", 3, 16, 16], ["batch", 3, 8, 8]),
        ({"batch": 1}, [1, 3, 16, 16], [1, 3, 8, 8]),
        ({"dynamic": ["width"]}, ["batch", 3, 16, "W_photo"], ["batch", 3, 8, "W_thumbnail"]),
        ({"dynamic": ["batch"]}, ["batch", 3, 16, 16], ["batch", 3, 8, 8]),
    ],
)
def test_sizes_are_static_unless_axes_are_dynamic(options, photo, thumbnail):
    assert sizes_in(cnndsl.compile(TOWERS, seed=0, **options)) == [photo, thumbnail]


def test_sizes_that_the_text_leaves_open_stay_so():
    text = "network n {\n input x [1, H, 8]\n conv(1, 3)\n}"
    assert sizes_in(cnndsl.compile(text, seed=0)) == [["batch", 1, "H", 8]]
    sized = cnndsl.parse(text, input_shapes={"x": (1, 6, 8)})
    assert sizes_in(cnndsl.compile(sized, seed=0, batch=3)) == [[3, 1, 6, 8]]


COMPUTED = """network computed {
    input x [4, 32, 32]
    let rows = height
    let columns = width
    conv(6, 3, stride=2)
    let half = height
    let spread = {
        adaptive_avgpool([3, 2]) -> resize(size=[height + half, 5]) -> adaptive_maxpool(1)
        resize(size=[7, 6]) -> adaptive_maxpool([1, 4]) -> adaptive_avgpool([3, 4])
        resize(size=[rows/2, columns/2], mode="linear")
    }
    concat { identity | spread } -> pixel_unshuffle(2)
    output y = resize(size=[rows, columns])
}"""


def test_sizes_that_are_computed_of_those_of_the_input():
    """Adaptive pools, sizes of other values, and blocks of positions, as at known sizes."""
    net = cnndsl.parse(COMPUTED)
    weights = {
        name: np.random.default_rng(1).normal(size=each.shape).astype(np.float32)
        for name, each in net.graph.parameters().items()
    }
    options = {"weights": weights, "dynamic": ["height", "width"]}
    modules = [cnndsl.compile(net, target, **options) for target in ("onnx", "reference")]
    assert sizes_in(modules[0]) == [["batch", 4, "4*H", "4*W"]]
    for shape in ((4, 32, 32), (4, 48, 20), (4, 4, 60)):
        fixed = cnndsl.parse(COMPUTED, input_shapes={"x": shape})
        wanted = cnndsl.compile(fixed, "reference", weights=weights)(**images({"x": shape}))
        for module in modules:
            assert_close(module(**images({"x": shape})), wanted)
    for module in modules:
        with pytest.raises(CnnError, match=r"E0604.*30 is not 4\*H.*\n.*28 and 32"):
            module(**images({"x": (4, 30, 32)}))


def test_a_model_tells_the_multiples_that_it_takes(tmp_path):
    cnndsl.compile(COMPUTED, seed=0, dynamic=["height"]).save(tmp_path / "m.onnx")
    loaded = cnndsl.load(tmp_path / "m.onnx")
    assert str(loaded.inputs[0]) == "x batch x 4 x 4*H x 32"
    assert isinstance(loaded(**images({"x": (4, 36, 32)})), np.ndarray)
    with pytest.raises(CnnError, match="E0604"):
        loaded(**images({"x": (4, 35, 32)}))


def test_static_leaves_nothing_open():
    assert sizes_in(cnndsl.compile(TOWERS, seed=0, static=True)) == [[1, 3, 16, 16], [1, 3, 8, 8]]
    assert sizes_in(cnndsl.compile(TOWERS, seed=0, static=True, batch=4))[0][0] == 4
    with pytest.raises(CnnError, match="E0615"):
        cnndsl.compile("network n {\n input x [1, H, 8]\n conv(1, 3)\n}", seed=0, static=True)


@st.composite
def networks(draw: st.DrawFn) -> tuple[str, dict[str, tuple[int, ...]], bool]:
    """A text, the shapes of its inputs, and whether two sizes in it belong together."""
    names = "abc"[: draw(st.integers(2, 3))]
    size = st.integers(5, 9)
    shapes = {name: (draw(st.integers(1, 3)), draw(size), draw(size)) for name in names}
    if draw(st.booleans()):
        shapes["b"] = shapes["a"]
    steps = [draw(st.sampled_from(["conv(2, 3)", "conv(2, 3, stride=2)"])) for _ in names]
    if joined := shapes["a"] == shapes["b"] and draw(st.booleans()):
        steps[1] = steps[0]
    heads = [f"{n} -> {s} -> global_avgpool" for n, s in zip(names, steps, strict=True)]
    if joined:
        heads[:2] = [f"add {{ a -> {steps[0]} | b -> {steps[1]} }} -> global_avgpool"]
    inputs = [f"input {n} [{', '.join(map(str, shape))}]" for n, shape in shapes.items()]
    lines = [*inputs, f"concat {{ {' | '.join(heads)} }}" if len(heads) > 1 else heads[0]]
    return "network n {\n" + "\n".join(lines) + "\n}", shapes, joined


@settings(max_examples=15)
@given(networks())
def test_several_inputs_of_different_sizes(made: tuple[str, dict[str, tuple[int, ...]], bool]):
    text, shapes, joined = made
    wanted: Any = None
    for target in ("reference", "onnx"):
        module = cnndsl.compile(text, target, seed=0)
        opened = cnndsl.compile(text, target, seed=0, dynamic=["height", "width"])
        larger = {n: (c, h + i, w + 1) for i, (n, (c, h, w)) in enumerate(shapes.items())}
        if joined:
            larger["b"] = (larger["b"][0], *larger["a"][1:])
        results = [module(**images(shapes)), opened(**images(shapes)), opened(**images(larger))]
        wanted = wanted or results
        for found, right in zip(results, wanted, strict=True):
            assert_close(found, right)
        if joined:
            with pytest.raises(CnnError, match="E0604"):
                opened(**images({**larger, "a": shapes["a"]}))
