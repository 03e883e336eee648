"""Equalised graphs compute what they did before, with channels of ranges that suit codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import cnndsl
from cnndsl.ir.graph import Graph
from cnndsl.quantise.equalise import equalisable, equalise
from cnndsl.quantise.prepare import prepare
from cnndsl.runtime.backend import backend
from cnndsl.runtime.layers import Traceable
from cnndsl.runtime.module import Array
from cnndsl.weights.initialise import initialise

STREAM = """
block inverted(width, stride=1) {
    add { conv(24, 1) -> relu6 -> depthwise(3, stride=stride) -> relu6 -> conv(width, 1)
        | if channels != width or stride > 1 { conv(width, 1, stride=stride) } }
}
network stream {
    input image [3, 12, 12]
    first: conv(8, 3) -> relu
    inverted(8) -> inverted(12, 2)
    last: inverted(12)
    END
}
"""
ENDS = {
    "layers": "maxpool(2) -> conv(16, 1) -> relu -> global_avgpool -> fc(5)",
    "concat": "concat { identity | avgpool(3, stride=1, pad=1) } -> fc(5)",
    "output": "let x = identity\n output half = x\n output y = x -> conv(5, 1) -> relu",
    "sigmoid": "sigmoid -> fc(5)",
}


@dataclass
class Prepared:
    graph: Graph
    values: dict[str, Array]
    image: Array
    peaks: dict[str, Array]

    def results(self, graph: Graph) -> dict[str, Array]:
        """Of all nodes by name, in float64."""
        chosen = backend("reference")
        module = chosen.compile(graph, self.values, chosen.options(metadata={}, dtype="float64"))
        assert isinstance(module, Traceable)
        return module.trace({"image": self.image})


def prepared(end: str) -> Prepared:
    graph = prepare(cnndsl.parse(STREAM.replace("END", ENDS[end])).graph, 2)
    image = np.random.default_rng(1).normal(size=(4, 3, 12, 12))
    result = Prepared(graph, initialise(graph.parameters(), 0), image, {})
    traced = result.results(graph)
    result.peaks = {
        name: np.abs(traced[name]).max((0, *range(2, traced[name].ndim)))
        for name in equalisable(graph)
    }
    return result


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("scale", [0.1, 30.0])
def test_nothing_is_computed_otherwise(end: str, scale: float) -> None:
    """With values below the clamps, and with values that reach them."""
    given = prepared(end)
    given.image *= scale
    given.peaks = {name: peak * scale for name, peak in given.peaks.items()}
    equal = given.graph.copy()
    equalise(equal, given.peaks)
    before, after = given.results(given.graph), given.results(equal)
    for name in given.graph.outputs.values():
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, atol=1e-12)


def test_a_stream_of_residuals_is_divided_as_one() -> None:
    given = prepared("layers")
    stream = {name for name in given.peaks if name.startswith("last") and "depthwise" not in name}
    assert {"last.add1", "last.conv2"} <= stream
    given.image *= 0.1
    equal = given.graph.copy()
    equalise(equal, given.peaks)
    before, after = given.results(given.graph), given.results(equal)
    factors = {
        name: np.nanmedian(before[name] / after[name], (0, 2, 3))
        for name in ("last.add1", "last.conv2")
    }
    np.testing.assert_allclose(factors["last.add1"], factors["last.conv2"], rtol=1e-9)
    assert np.ptp(factors["last.add1"]) > 0.1


@pytest.mark.parametrize("end", ["concat", "output", "sigmoid"])
def test_what_others_read_stays(end: str) -> None:
    assert not {"last.add1", "last.conv2"} & set(prepared(end).peaks)
