"""Every case of data/operators.npz: results that were made independently of this code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnndsl.backends.numpy import run_graph
from cnndsl.ir.attributes import build
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import BY_NAME, Input
from cnndsl.runtime.module import Array
from tests.operators.cases import apply
from tests.operators.gradients import input_gradient, kernel_gradient
from tests.operators.matrix_forms import circulant, doubly_block_circulant

ARRAYS = dict(np.load(Path(__file__).parents[1] / "data" / "operators.npz"))


class Facts:
    """The arrays of one case; remembers which were read."""

    def __init__(self, case: str):
        self.case = case
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Array:
        self.read.add(name)
        return ARRAYS[f"{self.case}/{name}"]


class Net:
    """A graph under construction, with the arrays of its parameters."""

    def __init__(self) -> None:
        self.graph = Graph("facts")
        self.values: dict[str, Array] = {}
        self.inputs: dict[str, Array] = {}

    def input(self, array: Array) -> Node:
        name = f"x{len(self.inputs)}"
        self.inputs[name] = array[None]
        self.graph.inputs.append(name)
        return self.graph.add(name, Input(array.shape), [])

    def __call__(self, name: str, *operands: Node, arrays: dict[str, Array] | None = None,
                 **attributes: object) -> Node:  # fmt: skip
        operator = build(BY_NAME[name], attributes)
        node = apply(self.graph, f"n{len(self.graph)}", operator, list(operands))
        self.values |= {f"{node.name}.{role}": array for role, array in (arrays or {}).items()}
        return node

    def conv(self, x: Node, weight: Array, bias: Array | None = None, **attributes: object) -> Node:
        arrays = {"weight": weight} | ({} if bias is None else {"bias": bias})
        attributes = {"pad": "valid"} | attributes
        return self("conv", x, arrays=arrays, filters=len(weight), kernel=list(weight.shape[2:]),
                    bias=bias is not None, **attributes)  # fmt: skip

    def result(self, node: Node) -> Array:
        return run_graph(self.graph, self.values, self.inputs, keep=[node.name])[node.name][0]


def same(found: Array, expected: Array) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def circulant_1d(f: Facts) -> None:
    matrix = circulant(f["w"], len(f["x"]))
    same(matrix, f["W"])
    same(matrix @ np.pad(f["x"], (0, len(f["w"]) - 1)), f["s"])
    net = Net()
    full = net.conv(net.input(f["x"][None]), f["w"][None, None], pad="full", flip=True)
    same(net.result(full)[0], f["s"])


def circulant_2d(f: Facts) -> None:
    matrix = doubly_block_circulant(f["K"], f["I"].shape)
    same(matrix, f["Gb"])
    image = np.pad(f["I"], [(0, k - 1) for k in f["K"].shape])
    same((matrix @ image.ravel()).reshape(image.shape), f["S"])
    net = Net()
    full = net.conv(net.input(f["I"][None]), f["K"][None, None], pad="full", flip=True)
    same(net.result(full)[0], f["S"])


def padding(stride: int) -> Callable[[Facts], None]:
    def check(f: Facts) -> None:
        net = Net()
        x = net.input(f["V"])
        modes = ("valid", "same_upper", "same_lower", "full")
        nodes = {mode: net.conv(x, f["K"], pad=mode, stride=stride) for mode in modes}
        for mode, node in nodes.items():
            same(net.result(node), f[mode])
        begin_end = tuple(f["same_pads_begin_end"])
        assert nodes["same_upper"].op.pads == (begin_end, begin_end)
        assert nodes["same_lower"].op.pads == (begin_end[::-1], begin_end[::-1])

    return check


def strided_gradient(f: Facts) -> None:
    stride = tuple(int(s) for s in f["stride"])
    net = Net()
    same(net.result(net.conv(net.input(f["V"]), f["K"], stride=list(stride))), f["Z"])
    same(kernel_gradient(f["V"], f["G"], f["K"].shape[2:], stride), f["g"])
    same(input_gradient(f["G"], f["K"], f["V"].shape[1:], stride), f["h"])
    transposed = net("conv_transpose", net.input(f["G"]), filters=2, kernel=[3, 2], bias=False,
                     stride=list(stride), arrays={"weight": f["K"]})  # fmt: skip
    same(net.result(transposed), f["h"])


def pooling(f: Facts) -> None:
    net = Net()
    x = net.input(f["V"])
    window = {"kernel": 3, "stride": 2}
    same(net.result(net("maxpool", x, **window)), f["floor_max"])
    same(net.result(net("maxpool", x, **window, ceil=True)), f["ceil_max"])
    same(net.result(net("avgpool", x, **window)), f["floor_avg"])
    dense = {"kernel": 3, "stride": 1, "pad": 1}
    same(net.result(net("avgpool", x, **dense)), f["avg_pad1_exclude"])
    same(net.result(net("avgpool", x, **dense, include_pad=True)), f["avg_pad1_include"])
    same(net.result(net("l2pool", x, **window)), f["l2"])


def local(f: Facts) -> None:
    net = Net()
    node = net("local_conv", net.input(f["V"]), filters=3, kernel=3, bias=False,
               arrays={"weight": f["W"]})  # fmt: skip
    same(net.result(node), f["Z"])


def tiled(f: Facts) -> None:
    net = Net()
    node = net("tiled_conv", net.input(f["V"]), filters=3, kernel=3, period=2, bias=False,
               arrays={"weight": f["K"]})  # fmt: skip
    same(net.result(node), f["Z"])


def group_shuffle(f: Facts) -> None:
    net = Net()
    grouped = net.conv(net.input(f["V"]), f["K"], groups=3)
    same(net.result(grouped), f["Z"])
    shuffled = net.result(net("shuffle", grouped, groups=3))
    same(shuffled, f["shuffled"])
    same(shuffled, f["Z"][f["perm"]])


def dilated(f: Facts) -> None:
    """One skipped position is dilation 2. `seed` starts its windows one position later (indices
    counted from 1), so it is the middle of the standard result."""
    net = Net()
    result = net.result(net.conv(net.input(f["V"]), f["K"], dilation=2))
    same(result, f["standard"])
    same(result[:, 1:5, 1:5], f["seed"])


def conv_1d(f: Facts) -> None:
    net = Net()
    same(net.result(net.conv(net.input(f["V"]), f["K"], stride=2)), f["Z"])


def lrn(f: Facts) -> None:
    net = Net()
    same(net.result(net("lrn", net.input(f["x"]))), f["y"])


def squeeze_excitation(f: Facts) -> None:
    net = Net()
    x = net.input(f["U"])
    hidden = net("fc", net("global_avgpool", x), units=2,
                 arrays={"weight": f["W1"], "bias": f["b1"]})  # fmt: skip
    gates = net("fc", net("relu", hidden), units=8, arrays={"weight": f["W2"], "bias": f["b2"]})
    gates = net("sigmoid", gates)
    same(net.result(gates), f["s"])
    same(net.result(net("mul", x, gates)), f["Y"])


def resnext(f: Facts) -> None:
    """The three forms of Xie et al. (2017), figure 3: summed branches, concat, grouped conv."""
    down, middle, up = f["A"], f["B"], f["E"]
    branches, width, _ = down.shape
    net = Net()
    x = net.input(f["X"])

    def early(i: int) -> Node:
        narrow = net("relu", net.conv(x, down[i][..., None, None]))
        return net("relu", net.conv(narrow, middle[i], pad="same"))

    middles = [early(i) for i in range(branches)]
    ends = [net.conv(middles[i], up[i][..., None, None]) for i in range(branches)]
    same(net.result(net("add", x, *ends)), f["Y"])
    merged = up.transpose(1, 0, 2).reshape(-1, branches * width, 1, 1)
    same(net.result(net("add", x, net.conv(net("concat", *middles), merged))), f["Y"])
    wide = net("relu", net.conv(x, down.reshape(branches * width, -1, 1, 1)))
    kernels = middle.reshape(-1, width, 3, 3)
    grouped = net("relu", net.conv(wide, kernels, pad="same", groups=branches))
    same(net.result(net("add", x, net.conv(grouped, merged))), f["Y"])


def rbf(f: Facts) -> None:
    net = Net()
    node = net("rbf", net.input(f["x"]), units=10, arrays={"centres": f["centres"]})
    same(net.result(node), f["y"])


def shortcut_a(f: Facts) -> None:
    """`seed_maxpool2_pad` pools where the paper subsamples: another network."""
    net = Net()
    x = net.input(f["X"])
    same(net.result(net("pad_channels", net("subsample", x, stride=2), channels=5)),
         f["subsample_pad"])  # fmt: skip
    same(net.result(net("pad_channels", net("maxpool", x, kernel=2), channels=5)),
         f["seed_maxpool2_pad"])  # fmt: skip


def stochastic_depth(f: Facts) -> None:
    """The expected number of blocks: each contributes its survival probability."""
    net = Net()
    x = net.input(np.ones(1))
    blocks = [net("stochastic_depth", x, survival=float(p)) for p in f["p"]]
    same(net.result(net("add", *blocks))[0], f["expected"])


CHECKS: dict[str, Callable[[Facts], None]] = {
    "circulant1d": circulant_1d,
    "dbc2d": circulant_2d,
    "pad_k3_s1_n5": padding(1),
    "pad_k4_s1_n6": padding(1),
    "pad_k3_s2_n6": padding(2),
    "strided_grad": strided_gradient,
    "pool_n6_w3_s2": pooling,
    "local": local,
    "tiled_t2": tiled,
    "group_shuffle": group_shuffle,
    "dilated_d1": dilated,
    "conv1d": conv_1d,
    "lrn": lrn,
    "se": squeeze_excitation,
    "resnext": resnext,
    "rbf": rbf,
    "shortcut_A": shortcut_a,
    "stochastic_depth": stochastic_depth,
}


def test_no_case_is_left_out() -> None:
    assert {key.split("/")[0] for key in ARRAYS} == set(CHECKS)


@pytest.mark.parametrize("case", CHECKS)
def test_case(case: str) -> None:
    facts = Facts(case)
    CHECKS[case](facts)
    assert facts.read == {key.split("/")[1] for key in ARRAYS if key.startswith(f"{case}/")}
