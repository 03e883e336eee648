import pytest

from cnndsl.analysis.cost import Cost, graph_cost, node_costs
from cnndsl.diagnostics.units import exact, si
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.operators import BatchNorm, Conv, FullyConnected, GlobalAvgPool, Relu
from tests.analysis.sketch import chain, put, residual, start


def test_cost_of_a_small_network_by_hand():
    graph, x = start((3, 8, 8))
    x = chain(graph, "", x, Conv(4, (3,)), BatchNorm(), Relu(), GlobalAvgPool(), FullyConnected(5))
    costs = node_costs(graph)
    assert costs["conv0"] == Cost(4 * 3 * 9 + 4, 0, 4 * 3 * 9 * 64, 4 * 64 * 4, 4)
    assert costs["bn1"] == Cost(8, 8, 0, 4 * 64 * 4, 4)
    assert costs["fc4"] == Cost(4 * 5 + 5, 0, 20, 20, 5)
    whole = graph_cost(graph)
    assert (whole.params, whole.unlearned, whole.macs) == (112 + 8 + 25, 8, 6912 + 20)
    assert whole.bytes == 4 * (192 + 3 * 256 + 4 + 5)
    assert whole.weight_bytes == 4 * (145 + 8)


def test_a_shared_parameter_counts_at_its_first_node():
    graph, x = start((4, 6, 6))
    first = put(graph, "one", Conv(4, (3,)), x)
    graph.add("two", Conv(4, (3,)), [first], first.params)
    costs = node_costs(graph)
    assert (costs["one"].params, costs["two"].params) == (4 * 4 * 9 + 4, 0)
    assert costs["one"].macs == costs["two"].macs == 4 * 4 * 9 * 36


def test_open_sizes_leave_macs_and_bytes_unknown_but_not_params():
    graph, x = start((3, OpenDim.symbol("H"), OpenDim.symbol("W")))
    x = chain(graph, "", x, Conv(4, (3,)), Relu(), GlobalAvgPool(), FullyConnected(5))
    costs = node_costs(graph)
    assert costs["conv0"] == Cost(112, 0, None, None, 4)
    assert costs["relu1"] == Cost(0, 0, 0, None)
    assert costs["fc3"] == Cost(25, 0, 20, 20, 5)
    assert graph_cost(graph) == Cost(137, 0, None, None, 9)


def test_the_shapes_of_a_residual_network_give_its_parameters():
    def unit(inside, width, project):
        weights = (
            inside * width + 9 * width * width + 4 * width * width + project * inside * 4 * width
        )
        return weights + 2 * (width + width + 4 * width + project * 4 * width)

    expected = 3 * 49 * 16 + 32 + unit(16, 16, 1) + unit(64, 16, 0) + unit(64, 32, 1)
    expected += unit(128, 32, 0) + 128 * 10 + 10
    assert graph_cost(residual().graph).params == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "?"), (0, "0"), (999, "999"), (1000, "1.00 k"), (9_996, "10.0 k"),
        (99_949, "99.9 k"), (99_951, "100 k"), (999_600, "1.00 M"), (4_089_184_256, "4.09 G"),
    ],
)  # fmt: skip
def test_si(value, text):
    assert si(value) == text


def test_units():
    assert si(102_474_640, "B") == "102 MB"
    assert si(40, "B") == "40 B"
    assert exact(25557032) == "25,557,032"
