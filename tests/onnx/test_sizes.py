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
