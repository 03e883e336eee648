"""One table of operator applications, shared by the tests of all backends.

`CASES` holds at least one `Case` for each operator: it can make a graph (inputs `x0`, `x1`, ...,
one node and output `y`), values for its parameters and inputs, always the same for the same case.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from cnndsl.ir.attributes import build
from cnndsl.ir.expressions import Constant, Expression, Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import BY_NAME, Input
from cnndsl.ir.part import Part, chained
from cnndsl.ir.types import Shape
from cnndsl.runtime.module import Array


@dataclass(frozen=True)
class Case:
    """An operator as the language would make it (not bound), and the shapes of its operands.

    Inputs are normal numbers times `spread`, [batch, *shape]; if `positive`, their sizes.
    """

    id: str
    operator: Operator
    shapes: tuple[Shape, ...]
    batch: int = 2
    spread: float = 1.0
    positive: bool = False

    def graph(self, shapes: tuple[Shape, ...] | None = None) -> Graph:
        """Inputs x0, x1, ... -> y. Other shapes, open ones for example, can be given."""
        graph = Graph("case")
        shapes = self.shapes if shapes is None else shapes
        operands = [graph.add(f"x{i}", Input(shape), []) for i, shape in enumerate(shapes)]
        graph.inputs = [node.name for node in operands]
        apply(graph, "y", self.operator, operands)
        graph.outputs = {"y": "y"}
        return graph

    def values(self) -> dict[str, Array]:
        """float64 values of the parameters by name; variances are positive."""
        return parameter_values(self.graph(), self._seed())

    def inputs(self) -> dict[str, Array]:
        """float64 arrays [batch, *shape] by input name."""
        rng = np.random.default_rng(self._seed() + 1)
        shapes = {f"x{i}": (self.batch, *shape) for i, shape in enumerate(self.shapes)}
        found = {name: self.spread * rng.normal(size=shape) for name, shape in shapes.items()}
        return {name: np.abs(x) for name, x in found.items()} if self.positive else found

    def _seed(self) -> int:
        return zlib.crc32(self.id.encode())


def apply(graph: Graph, name: str, operator: Operator, operands: list[Node]) -> Node:
    """Add a node with its parameters, named `<node>.<role>`, and its constants."""
    part = Part.of(operator, [operand.type for operand in operands])
    return graph.add(name, part.op, operands, _params(name, part))


@dataclass(frozen=True)
class Chain:
    """The operators of a node, `core` between those before and after it."""

    core: Operator
    prologue: tuple[Operator, ...] = ()
    epilogue: tuple[Operator, ...] = ()

    def labels(self) -> list[str]:
        """The names of the parts, as in `Node.labelled`."""
        before = [f"prologue{index}" for index in range(len(self.prologue))]
        return [*before, "core", *(f"epilogue{index}" for index in range(len(self.epilogue)))]

    def operators(self) -> tuple[Operator, ...]:
        """All of them in order."""
        return (*self.prologue, self.core, *self.epilogue)


def apply_chain(graph: Graph, name: str, chain: Chain, operands: list[Node]) -> Node:
    """Add a fused node, the parameters of each part named `<node>.<label>.<role>`."""
    types = [operand.type for operand in operands]
    bare = chained([(operator, {}) for operator in chain.operators()], types)
    steps = [
        (part.op, _params(f"{name}.{label}", part))
        for label, part in zip(chain.labels(), bare, strict=True)
    ]
    return graph.put(Node.of(name, steps, types, len(chain.prologue)), operands)


def _params(name: str, part: Part[Operator]) -> dict[str, Expression]:
    params: dict[str, Expression] = {
        role: Parameter(f"{name}.{role}", spec.shape, spec.init, spec.learned)
        for role, spec in part.op.parameters(part.inputs).items()
    }
    return params | {role: Constant(values) for role, values in part.op.constants().items()}


def parameter_values(graph: Graph, seed: int) -> dict[str, Array]:
    """Random float64 values for all parameters of a graph; variances are positive."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.uniform(0.1, 3, parameter.shape)
        if name.endswith("running_var")
        else rng.normal(size=parameter.shape)
        for name, parameter in graph.parameters().items()
    }


def _case(
    label: str,
    name: str,
    *shapes: Shape,
    spread: float = 1.0,
    positive: bool = False,
    **attributes: object,
) -> Case:
    operator = build(BY_NAME[name], attributes)
    name = f"{name}-{label}" if label else name
    return Case(name, operator, shapes, spread=spread, positive=positive)


SIGNAL, IMAGE, VOLUME = (4, 11), (4, 9, 8), (4, 5, 6, 7)
PADS = {
    "same": "same",
    "valid": "valid",
    "full": "full",
    "same_upper": "same_upper",
    "same_lower": "same_lower",
    "number": 1,
    "sides": [[2, 0], [1, 2]],
}
LENET_TABLE = [[0, 1, 2], [1, 2, 3], [0, 3], [0, 1, 2, 3], [2]]
EDGES = [[[[0.0, 1.0], [-1.0, 0.5]]] * 4, [[[2.0, 0.0], [0.0, 1.0]]] * 4]


def _convolutions() -> list[Case]:
    conv = [
        _case(f"pad_{mode}", "conv", IMAGE, filters=3, kernel=[3, 4], stride=[2, 1], pad=pad)
        for mode, pad in PADS.items()
    ]
    conv += [
        _case("1d", "conv", SIGNAL, filters=3, kernel=3, stride=2, dilation=2),
        _case("3d", "conv", VOLUME, filters=3, kernel=[1, 2, 3], stride=[1, 2, 1]),
        _case("pointwise", "conv", IMAGE, filters=5, kernel=1, bias=False),
        _case("pointwise_strided", "conv", IMAGE, filters=5, kernel=1, stride=2),
        _case("dilated", "conv", IMAGE, filters=2, kernel=3, dilation=[2, 1], stride=[1, 2]),
        _case("groups", "conv", IMAGE, filters=6, kernel=3, groups=2, stride=2),
        _case("groups_1d", "conv", SIGNAL, filters=8, kernel=3, groups=4, dilation=2),
        _case("groups_3d", "conv", VOLUME, filters=2, kernel=2, groups=2),
        _case("asymmetric", "conv", IMAGE, filters=2, kernel=[1, 5]),
        _case("flip", "conv", IMAGE, filters=3, kernel=[2, 3], flip=True),
        _case("flip_groups_1d", "conv", SIGNAL, filters=4, kernel=3, groups=2, flip=True),
        _case("table", "conv", IMAGE, filters=5, kernel=3, pad="valid", table=LENET_TABLE),
        _case("table_flip", "conv", SIGNAL, filters=5, kernel=2, table=LENET_TABLE, flip=True),
        _case("constant", "conv", IMAGE, filters=2, kernel=2, weight=EDGES, bias=False),
        _case("constant_flip", "conv", IMAGE, filters=2, kernel=2, weight=EDGES, flip=True),
    ]
    depthwise = [
        _case("", "depthwise", IMAGE, kernel=3),
        _case("multiplier", "depthwise", IMAGE, kernel=3, multiplier=2, stride=2),
        _case("1d", "depthwise", SIGNAL, kernel=4, dilation=2, bias=False),
        _case("3d", "depthwise", VOLUME, kernel=2, pad="full"),
        _case("constant", "depthwise", IMAGE, kernel=[1, 3], weight=((1.0, 2.0, -0.5),)),
    ]
    small = (4, 4, 3)
    transposed = [
        _case(f"pad_{mode}", "conv_transpose", small, filters=3, kernel=[3, 4], stride=2, pad=pad)
        for mode, pad in PADS.items()
    ]
    transposed += [
        _case("1d", "conv_transpose", (4, 5), filters=3, kernel=3, stride=3, bias=False),
        _case("3d", "conv_transpose", (2, 3, 2, 4), filters=2, kernel=[2, 1, 3], stride=2),
        _case("gap", "conv_transpose", small, filters=2, kernel=1, stride=3, pad="same"),
        _case("gap_upper", "conv_transpose", small, filters=2, kernel=2, stride=3,
              pad="same_upper"),
        _case("constant", "conv_transpose", small, filters=2, kernel=[2, 1], stride=2,
              weight=((0.5,), (-2.0,)), bias=False),
        _case("groups", "conv_transpose", small, filters=6, kernel=3, stride=2, groups=2),
        _case("dilated", "conv_transpose", small, filters=2, kernel=3, dilation=[2, 1], pad=1),
        _case("output_pad", "conv_transpose", small, filters=2, kernel=3, stride=2, pad=1,
              output_pad=1),
        _case("output_pad_dilated", "conv_transpose", small, filters=2, kernel=2, stride=1,
              dilation=3, output_pad=[2, 1]),
    ]  # fmt: skip
    local = [
        _case("", "local_conv", IMAGE, filters=3, kernel=3),
        _case("1d", "local_conv", SIGNAL, filters=3, kernel=3, stride=2, pad="same"),
        _case("3d", "local_conv", (2, 3, 4, 3), filters=2, kernel=2, pad=1, bias=False),
        _case("strided", "local_conv", IMAGE, filters=2, kernel=[2, 3], stride=[2, 3]),
        _case("groups", "local_conv", IMAGE, filters=6, kernel=[2, 3], groups=2, stride=2, pad=1),
        _case("groups_1d", "local_conv", SIGNAL, filters=4, kernel=3, groups=4, bias=False),
        _case("groups_3d", "local_conv", (4, 3, 4, 3), filters=2, kernel=2, groups=2),
        _case("table", "local_conv", (4, 5, 4), filters=5, kernel=[2, 3], table=LENET_TABLE),
        _case("table_1d", "local_conv", SIGNAL, filters=5, kernel=3, stride=2, pad="same",
              table=LENET_TABLE),
        _case("", "tiled_conv", IMAGE, filters=3, kernel=3, period=2),
        _case("period1", "tiled_conv", IMAGE, filters=3, kernel=3, period=1),
        _case("1d", "tiled_conv", SIGNAL, filters=3, kernel=3, period=3, stride=2, pad="same"),
        _case("3d", "tiled_conv", (2, 3, 4, 3), filters=2, kernel=2, period=2, bias=False),
        _case("beyond", "tiled_conv", (2, 4, 5), filters=2, kernel=3, period=5),
    ]  # fmt: skip
    return conv + depthwise + transposed + local


def _poolings() -> list[Case]:
    cases = []
    for name in ("maxpool", "avgpool", "l2pool", "distance_avgpool"):
        cases += [
            _case("", name, IMAGE, kernel=2),
            _case("1d", name, SIGNAL, kernel=3, stride=2),
            _case("3d", name, VOLUME, kernel=[2, 3, 2], stride=[1, 2, 3]),
            _case("overlapping", name, IMAGE, kernel=3, stride=2, pad=1),
            _case("ceil", name, IMAGE, kernel=3, stride=[3, 2], ceil=True),
            _case("ceil_pad", name, IMAGE, kernel=[3, 2], stride=3, pad=1, ceil=True),
            _case("ceil_left_out", name, (4, 6, 9), kernel=2, stride=[3, 4], pad=1, ceil=True),
            _case("ceil_1d", name, (4, 12), kernel=4, stride=3, pad=[[0, 2]], ceil=True),
        ]
        cases += [
            _case(f"pad_{mode}", name, IMAGE, kernel=[4, 3], stride=2, pad=pad)
            for mode, pad in PADS.items()
        ]
    cases += [
        _case("dilated", "maxpool", IMAGE, kernel=3, stride=2, dilation=2, pad=2),
        _case("dilated_ceil", "maxpool", IMAGE, kernel=2, stride=3, dilation=[2, 3], ceil=True),
        _case("include", "avgpool", IMAGE, kernel=3, stride=2, pad=1, include_pad=True),
        _case("include_sides", "avgpool", IMAGE, kernel=2, stride=1, pad=[[0, 1], [0, 1]],
              include_pad=True),
        _case("include_axes", "avgpool", IMAGE, kernel=3, pad=[1, 0], include_pad=True),
        _case("include_full", "avgpool", SIGNAL, kernel=4, pad="full", include_pad=True),
        _case("include_ceil", "avgpool", IMAGE, kernel=[3, 2], stride=3, pad=1, ceil=True,
              include_pad=True),
        _case("include_3d", "avgpool", VOLUME, kernel=2, pad=1, ceil=True, include_pad=True),
        _case("sigma", "distance_avgpool", IMAGE, kernel=4, stride=1, pad="same", sigma=0.7),
    ]  # fmt: skip
    for name in ("global_avgpool", "global_maxpool"):
        cases += [_case("1d", name, SIGNAL), _case("", name, IMAGE), _case("3d", name, VOLUME)]
    for name in ("adaptive_avgpool", "adaptive_maxpool"):
        cases += [
            _case("", name, IMAGE, size=[4, 3]),
            _case("1d", name, SIGNAL, size=4),
            _case("3d", name, VOLUME, size=2),
            _case("enlarging", name, (2, 3, 4), size=[5, 4]),
        ]
    return cases


def _pointwise() -> list[Case]:
    cases = []
    plain = ("identity", "relu", "relu6", "sigmoid", "tanh", "silu", "hard_sigmoid", "hard_swish")
    for name in (*plain, "leaky_relu", "prelu", "elu", "gelu", "softplus", "softmax", "channel_max",
                 "affine", "bn", "lrn", "dropout", "scale", "log_softmax", "channel_mean",
                 "layer_norm", "rms_norm", "l2_normalise"):  # fmt: skip
        shapes = {"vector": (6,), "1d": SIGNAL, "": IMAGE, "3d": VOLUME}
        cases += [_case(label, name, shape, spread=4.0) for label, shape in shapes.items()]
    others = ("celu", "selu", "mish", "softsign", "thresholded_relu", "exp", "abs", "square")
    return [
        *cases,
        *(_case("", name, IMAGE, spread=4.0) for name in (*others, "reciprocal")),
        _case("slope", "leaky_relu", IMAGE, slope=-0.3),
        _case("", "clamp", IMAGE, low=-1.5, high=3, spread=4.0),
        _case("alpha", "elu", IMAGE, alpha=0.5, spread=4.0),
        _case("tanh", "gelu", IMAGE, tanh=True, spread=4.0),
        _case("beta", "softplus", IMAGE, beta=3, spread=4.0),
        _case("low", "clamp", IMAGE, low=0.5, spread=4.0),
        _case("high", "clamp", IMAGE, high=-0.5, spread=4.0),
        _case("alpha", "celu", IMAGE, alpha=2.5, spread=4.0),
        _case("alpha", "selu", IMAGE, alpha=1.5, scale=0.5, spread=4.0),
        _case("below", "thresholded_relu", IMAGE, alpha=-0.5),
        _case("line", "hard_sigmoid", IMAGE, alpha=0.2, beta=0.3, spread=4.0),
        *(_case("", name, IMAGE, positive=True) for name in ("log", "sqrt")),
        *(_case("odd", name, (3, 5, 4), positive=True) for name in ("log", "sqrt", "reciprocal")),
        *(_case(str(n), "pow", IMAGE, exponent=n) for n in (-2, -1, 0, 1, 3, 7)),
        *(_case(str(n), "pow", IMAGE, exponent=n, positive=True) for n in (-1.5, 0.5, 2.4)),
        _case("factor", "affine", IMAGE, bias=False),
        _case("", "layer_scale", IMAGE),
        _case("", "neg", (3, 4)),
        _case("", "drop_path", IMAGE, rate=0.2),
        _case("eps", "bn", IMAGE, eps=0.5),
        _case("wide", "lrn", (7, 3, 4), size=3, alpha=0.3, beta=0.5, k=1.5, spread=4.0),
        _case("all", "lrn", (3, 2), size=9, alpha=0.1),
        _case("channels", "softmax", (19, 2, 3), spread=4.0),
        _case("channels", "layer_norm", (19, 2, 9), eps=0.1),
        _case("plain", "layer_norm", (8, 3, 2), affine=False, spread=4.0),
        _case("plain", "rms_norm", (9, 3), affine=False, eps=0.1),
        _case("scaled", "l2_normalise", (9, 3, 5), scale=True, spread=4.0),
        _case("long", "l2_normalise", (3, 4), eps=2.0),
        *(
            _case(label, "instance_norm", shape, spread=4.0)
            for label, shape in {"1d": SIGNAL, "": IMAGE, "3d": VOLUME, "wide": (19, 5, 3)}.items()
        ),
        _case("plain", "instance_norm", IMAGE, affine=False, eps=0.1),
        _case("vector", "group_norm", (6,), groups=2),
        _case("1d", "group_norm", SIGNAL, groups=2),
        _case("", "group_norm", IMAGE, groups=2, spread=4.0),
        _case("3d", "group_norm", VOLUME, groups=4),
        _case("all", "group_norm", (19, 5, 3), groups=1),
        _case("across", "group_norm", (36, 3, 3), groups=3, affine=False, eps=0.1),
        _case("whole", "group_norm", (32, 2, 3), groups=4),
        _case("numbers", "scale", IMAGE, factor=-2, shift=0.5),
        _case("channels", "scale", (3, 4, 2), factor=[1, -2, 0.5], shift=[0, 1, 2]),
        _case("vector_channels", "scale", (3,), factor=[1, -2, 0.5]),
        _case("", "normalize", (3, 4, 2), mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 2]),
        _case("1d", "normalize", (3, 4), mean=0.5, std=0.25),
        _case("", "stochastic_depth", IMAGE, survival=0.8),
        _case("vector", "stochastic_depth", (5,), survival=0.25),
        _case("", "argmax", IMAGE),
        _case("vector", "argmax", (9,)),
        _case("", "parameter", IMAGE, shape=[3, 4, 5]),
        _case("wide", "parameter", SIGNAL, shape=[9, 5], learned=False),
        _case("vector", "parameter", (5,), shape=7, init="normal"),
        _case("", "constant", IMAGE, values=[[1, 2.5, -3], [0, 4, 5]]),
        _case("number", "constant", VOLUME, values=0.5),
        _case("", "maxout", IMAGE, pieces=2),
        _case("vector", "maxout", (12,), pieces=3),
        _case("3d", "maxout", VOLUME, pieces=4),
    ]


def _vectors() -> list[Case]:
    return [
        _case("", "fc", (7,), units=3),
        _case("map", "fc", (3, 2, 4), units=5),
        _case("1d", "fc", (3, 4), units=5, bias=False),
        _case("3d", "fc", (2, 3, 2, 2), units=2),
        _case("", "rbf", (7,), units=3),
        _case("map", "rbf", (3, 2, 4), units=5),
        _case("vector", "flatten", (7,)),
        _case("1d", "flatten", (3, 4)),
        _case("", "flatten", IMAGE),
        _case("3d", "flatten", VOLUME),
    ]


def _joins() -> list[Case]:
    cases = []
    for name in ("add", "sub", "mul", "div", "max", "min", "average"):
        cases += [
            _case("", name, IMAGE, IMAGE),
            _case("three", name, SIGNAL, SIGNAL, SIGNAL),
            _case("3d", name, VOLUME, VOLUME),
            _case("vectors", name, (5,), (5,)),
            _case("vector_last", name, IMAGE, (4,)),
            _case("vector_first", name, (4,), VOLUME, (4,)),
            _case("square", name, (4, 4), (4,)),
            _case("one_channel", name, (1, 9, 8), (9, 9, 8)),
            _case("one_position", name, (9, 9, 8), (9, 1, 1), (1,)),
            _case("one_row", name, (1, 1, 8), (3, 4, 8), (3, 4, 1)),
        ]
    return [
        *cases,
        _case("", "softmax_sum", IMAGE, IMAGE),
        _case("four", "softmax_sum", *[SIGNAL] * 4, spread=4.0),
        _case("vectors", "softmax_sum", *[(9,)] * 6),
        _case("vector_scores", "softmax_sum", VOLUME, VOLUME, (4,), (4,)),
        _case("vector_first", "softmax_sum", (9,), (9, 5, 3), (9, 5, 3), (9,)),
        _case("", "matmul", (5, 3, 4), (12, 2, 7)),
        _case("1d", "matmul", (19, 10), (10, 9)),
        _case("3d", "matmul", (3, 2, 2, 3), (12, 3, 2, 5)),
        _case("vectors", "matmul", (9, 3), (3,)),
        _case("vector", "matmul", (6,), (1, 5)),
        _case("", "matmul_transposed", (5, 3, 4), (5, 2, 7)),
        _case("1d", "matmul_transposed", (19, 10), (19, 9)),
        _case("3d", "matmul_transposed", (3, 2, 3, 2), (3, 5)),
        _case("vectors", "matmul_transposed", (4,), (4,)),
        _case("", "concat", (2, 3, 4), (1, 3, 4), (3, 3, 4)),
        _case("vectors", "concat", (2,), (5,)),
        _case("1d", "concat", (2, 7), (3, 7)),
        _case("3d", "concat", VOLUME, (1, 5, 6, 7)),
        _case("", "concat_length", (4, 5), (4, 11), (4, 7)),
        _case("", "concat_height", (3, 2, 4), (3, 5, 4), (3, 2, 4)),
        _case("3d", "concat_height", (9, 2, 3, 4), (9, 2, 6, 4)),
        _case("", "concat_width", (9, 3, 4), (9, 3, 9)),
        _case("equal", "concat_width", (9, 3, 4), (9, 3, 4)),
        _case("", "concat_depth", (9, 2, 3, 4), (9, 4, 3, 4)),
    ]


def _shapes() -> list[Case]:
    return [
        _case("", "slice", IMAGE, start=1, stop=3),
        _case("vector", "slice", (6,), start=0, stop=2),
        _case("3d", "slice", VOLUME, start=3, stop=4),
        _case("", "shuffle", (6, 3, 2), groups=3),
        _case("vector", "shuffle", (8,), groups=4),
        _case("1d", "shuffle", (6, 5), groups=2),
        _case("3d", "shuffle", VOLUME, groups=2),
        _case("", "pad_channels", IMAGE, channels=7),
        _case("none", "pad_channels", SIGNAL, channels=4),
        _case("vector", "pad_channels", (2,), channels=5),
        _case("3d", "pad_channels", VOLUME, channels=5),
        _case("", "subsample", IMAGE, stride=2),
        _case("1d", "subsample", SIGNAL, stride=3),
        _case("3d", "subsample", VOLUME, stride=[1, 2, 3]),
        _case("", "upsample", IMAGE, factor=2),
        _case("1d", "upsample", SIGNAL, factor=3),
        _case("3d", "upsample", VOLUME, factor=[1, 2, 3]),
        *_resizes(),
        *_positions(),
    ]


def _positions() -> list[Case]:
    sides = [[2, 0], [1, 3]]
    cases = [
        _case(mode, "pad", IMAGE, pads=sides, mode=mode)
        for mode in ("constant", "reflect", "edge", "wrap")
    ]
    for mode in ("constant", "reflect", "edge", "wrap"):
        cases += [
            _case(f"1d_{mode}", "pad", SIGNAL, pads=[[0, 5]], mode=mode, value=-1.5),
            _case(f"3d_{mode}", "pad", (9, 2, 3, 4), pads=1, mode=mode),
        ]
    for name in ("pixel_shuffle", "pixel_unshuffle"):
        for order in ("crd", "dcr"):
            shape = (12, 4, 6) if name == "pixel_shuffle" else (3, 4, 6)
            cases += [
                _case(order, name, shape, factor=2, order=order),
                _case(f"{order}_uneven", name, shape, factor=[2, 3], order=order),
                _case(f"{order}_1d", name, (9, 6), factor=3, order=order),
                _case(f"{order}_3d", name, (12, 2, 3, 4), factor=[2, 3, 2], order=order),
            ]
    return [
        *cases,
        _case("wide", "pad", (20, 3, 20), pads=[0, 2], mode="reflect"),
        _case("none", "pad", SIGNAL, pads=0, mode="wrap"),
        _case("", "crop", IMAGE, sides=sides),
        _case("size", "crop", (9, 5, 6), size=[4, 3]),
        _case("1d", "crop", SIGNAL, sides=[[0, 3]]),
        _case("3d", "crop", VOLUME, sides=1),
        _case("last", "permute", (3, 4, 2), axes=[1, 2, 0]),
        _case("positions", "permute", IMAGE, axes=[0, 2, 1]),
        _case("square", "permute", (3, 3), axes=[1, 0]),
        _case("3d", "permute", VOLUME, axes=[0, 3, 1, 2]),
        _case("", "reshape", (12, 2, 3), shape=[9, 4, -1]),
        _case("vector", "reshape", (24,), shape=[2, 3, 4]),
        _case("to_vector", "reshape", (3, 4), shape=[-1]),
        _case("3d", "reshape", VOLUME, shape=[20, 2, 3, 7]),
        _case("1d", "reshape", IMAGE, shape=[8, -1]),
    ]


def _resizes() -> list[Case]:
    coordinates = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
    roundings = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    return [
        *(
            _case(f"{mode}_{place}", "resize", (3, 5, 4), size=[7, 3], mode=mode, coordinates=place)
            for mode in ("linear", "cubic")
            for place in coordinates
        ),
        *(
            _case(f"{rounding}_{place}", "resize", (3, 7, 5), size=[3, 10], coordinates=place,
                  rounding=rounding)
            for rounding in roundings
            for place in coordinates
        ),
        _case("factor", "resize", IMAGE, factor=[1.7, 0.5], mode="linear"),
        _case("factor_nearest", "resize", IMAGE, factor=1.3),
        _case("single", "resize", (9, 4, 3), size=1, mode="linear",
              coordinates="pytorch_half_pixel"),
        _case("corner", "resize", (3, 4, 3), size=[1, 2], mode="linear",
              coordinates="align_corners"),
        _case("cubic", "resize", (9, 3, 4), factor=2, mode="cubic", cubic_coeff=-0.5),
        _case("same", "resize", (2, 3, 4), size=[3, 4], mode="cubic"),
        _case("1d", "resize", SIGNAL, factor=2.5, mode="linear"),
        _case("1d_cubic", "resize", SIGNAL, size=6, mode="cubic", coordinates="align_corners"),
        _case("1d_nearest", "resize", SIGNAL, size=25),
        _case("3d", "resize", (4, 2, 3, 4), size=[3, 2, 6], mode="linear"),
        _case("3d_nearest", "resize", (4, 2, 3, 4), factor=[1, 2, 0.5], rounding="ceil"),
    ]  # fmt: skip


CASES: tuple[Case, ...] = (
    *_convolutions(),
    *_poolings(),
    *_pointwise(),
    *_vectors(),
    *_joins(),
    *_shapes(),
)
