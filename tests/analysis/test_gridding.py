"""The rule of hybrid dilation against counting which inputs a position really depends on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import cnndsl
from cnndsl.analysis.gridding import covered, gridding, is_hybrid


def stack(layers, between="relu"):
    convs = "\n".join(
        f"conv(1, {kernel}, dilation={rate}, pad=full, bias=false) -> {between}"
        for kernel, rate in layers
    )
    return cnndsl.parse(f"network stack {{\ninput x [1, 1]\n{convs}\n}}")


def seen_positions(network) -> int:
    """Every input position as a sample of its own; with all weights 1, how many reach the middle.

    With full padding, an input of one position spreads to everything that depends on it.
    """
    ones = {name: np.ones(p.shape) for name, p in network.graph.parameters().items()}
    response = cnndsl.compile(network, target="reference", weights=ones)(np.ones((1, 1)))
    return int(np.count_nonzero(response))


@pytest.mark.parametrize(
    "layers",
    [
        [(3, 1), (3, 2), (3, 5)],
        [(3, 2), (3, 2), (3, 2)],
        [(3, 1), (3, 2), (3, 9)],
        [(3, 2), (3, 3)],
        [(5, 1), (3, 4), (3, 2)],
        [(2, 3), (4, 2)],
    ],
)
def test_coverage_is_what_an_impulse_reaches(layers):
    network = stack(layers)
    seen, field = covered(layers)
    assert seen == seen_positions(network)
    (output,) = network.graph.outputs.values()
    assert network.graph[output].type.shape == (1, field)


@pytest.mark.parametrize("kernel", [3, 5])
def test_hybrid_rates_from_1_skip_nothing(kernel):
    for count in (1, 2, 3):
        for rates in itertools.product(range(1, 8), repeat=count):
            layers = [(kernel, rate) for rate in (1, *rates)]
            seen, field = covered(layers)
            assert seen == field or not is_hybrid(layers)


@pytest.mark.parametrize("rates", [(2, 2), (2, 4, 8), (3, 6), (6, 2, 4)])
def test_a_common_divisor_always_leaves_a_grid(rates):
    layers = [(3, rate) for rate in rates]
    assert not is_hybrid(layers)
    assert covered(layers)[0] < covered(layers)[1]


@pytest.mark.parametrize(
    ("rates", "gap"),
    [((1, 2, 5), 2), ((1, 2, 9), 5), ((1, 3, 7), 3), ((1, 4, 2), 6), ((1, 2, 3, 10), 2)],
)
def test_the_largest_gap_of_the_second_layer(rates, gap):
    """M_2, computed by hand from the formula of Wang et al. (2018); (1, 2, 9) is their example."""
    assert is_hybrid([(gap, rate) for rate in rates])
    assert not is_hybrid([(gap - 1, rate) for rate in rates])


def warnings(text):
    return [finding.message for finding in gridding(cnndsl.parse(text).graph)]


NETWORK = """
network dilated {{
    input image [3, 64, 64]
    conv(8, 3, stride=2) -> relu
    {body}
    conv(8, 1) -> global_avgpool -> fc(2)
}}
"""
TWICE = "conv(8, 3, dilation=2) -> bn -> relu -> conv(8, 1) -> conv(8, 3, dilation=2)"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (TWICE, "rates 2, 2 leave a grid vertically (common divisor 2): 5 of 9 positions"),
        ("repeat 3 { conv(8, 3, dilation=4) -> relu }", "rates 4, 4, 4 leave a grid vertically"),
        ("conv(8, 3) -> conv(8, 3, dilation=[1, 5]) -> relu", "1, 5 leave a grid horizontally"),
        ("conv(8, 3) -> conv(8, 3, dilation=6)", "gaps between the rates are too wide): 9 of 15"),
    ],
)
def test_what_is_warned_of(body, expected):
    (message,) = warnings(NETWORK.format(body=body))
    assert expected in message


@pytest.mark.parametrize(
    "body",
    [
        "conv(8, 3) -> conv(8, 3) -> conv(8, 3)",
        "conv(8, 3) -> relu -> conv(8, 3, dilation=2) -> relu -> conv(8, 3, dilation=5)",
        "conv(8, 3, dilation=2) -> maxpool(2) -> conv(8, 3, dilation=2)",
        "conv(8, 3, dilation=6)",
        "concat { conv(8, 3, dilation=6) | conv(8, 3, dilation=12) }",
        "conv(8, 3) -> conv(8, 3, dilation=4) -> conv(8, 3, dilation=2)",
    ],
)
def test_what_is_fine(body):
    """The last: the rule fails, but all positions are seen."""
    assert warnings(NETWORK.format(body=body)) == []


def test_the_place_is_the_last_convolution_of_the_run():
    text = NETWORK.format(body="conv(8, 3, dilation=2) -> relu\n    conv(9, 3, dilation=2)")
    (finding,) = gridding(cnndsl.parse(text).graph)
    assert finding.code == "W0206"
    written = finding.span.source.text[finding.span.start : finding.span.end]
    assert written == "conv(9, 3, dilation=2)"
    assert [note.text for note in finding.notes] == ["rate 2x2: conv2", "rate 2x2: conv3"]


def test_no_published_network_has_a_grid():
    assert gridding(cnndsl.parse("hybrid_dilation").graph) == []
