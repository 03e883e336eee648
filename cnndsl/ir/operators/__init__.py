"""The operators: one file for each family, and their one list."""

from __future__ import annotations

from cnndsl.ir.operator import Operator
from cnndsl.ir.operators.activation import (
    ACTIVATIONS,
    PLAIN_ACTIVATIONS,
    ChannelMax,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Maxout,
    PRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Softmax,
    Tanh,
)
from cnndsl.ir.operators.constant import Normalize, Scale
from cnndsl.ir.operators.convolution import Conv, Depthwise
from cnndsl.ir.operators.dense import Flatten, FullyConnected, RadialBasis
from cnndsl.ir.operators.join import Add, Average, Concat, Max, Mul
from cnndsl.ir.operators.local import LocalConv, TiledConv
from cnndsl.ir.operators.normalisation import Affine, BatchNorm, LocalResponseNorm
from cnndsl.ir.operators.pooling import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    DistanceAvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    L2Pool,
    MaxPool,
)
from cnndsl.ir.operators.shape import PadChannels, Shuffle, Slice, Subsample, Upsample
from cnndsl.ir.operators.squeeze_excite import SqueezeExcite
from cnndsl.ir.operators.structure import Identity, Input
from cnndsl.ir.operators.training import Dropout, StochasticDepth
from cnndsl.ir.operators.transposed import ConvTranspose

__all__ = [
    "ACTIVATIONS",
    "BY_NAME",
    "INTERNAL",
    "OPERATORS",
    "PLAIN_ACTIVATIONS",
    "SHORTHANDS",
    "AdaptiveAvgPool",
    "AdaptiveMaxPool",
    "Add",
    "Affine",
    "Average",
    "AvgPool",
    "BatchNorm",
    "ChannelMax",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Depthwise",
    "DistanceAvgPool",
    "Dropout",
    "Flatten",
    "FullyConnected",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "Input",
    "L2Pool",
    "LeakyRelu",
    "LocalConv",
    "LocalResponseNorm",
    "Max",
    "MaxPool",
    "Maxout",
    "Mul",
    "Normalize",
    "PRelu",
    "PadChannels",
    "RadialBasis",
    "Relu",
    "Relu6",
    "Scale",
    "Shuffle",
    "Sigmoid",
    "Silu",
    "Slice",
    "Softmax",
    "SqueezeExcite",
    "StochasticDepth",
    "Subsample",
    "Tanh",
    "TiledConv",
    "Upsample",
]

OPERATORS: tuple[type[Operator], ...] = (
    Input,
    Identity,
    Conv,
    ConvTranspose,
    LocalConv,
    TiledConv,
    MaxPool,
    AvgPool,
    L2Pool,
    DistanceAvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    BatchNorm,
    LocalResponseNorm,
    Affine,
    Scale,
    FullyConnected,
    RadialBasis,
    Flatten,
    Relu,
    Relu6,
    LeakyRelu,
    PRelu,
    Sigmoid,
    Tanh,
    Silu,
    HardSigmoid,
    HardSwish,
    Softmax,
    Maxout,
    ChannelMax,
    Add,
    Mul,
    Max,
    Average,
    Concat,
    Slice,
    Shuffle,
    PadChannels,
    Subsample,
    Upsample,
    Dropout,
    StochasticDepth,
)
"""Every operator of the language that a graph can hold. Backends and tests walk this list, so
that none can lack an operator."""

INTERNAL: tuple[type[Operator], ...] = (SqueezeExcite,)
"""Operators that passes put into a graph; the language has no word for them."""

SHORTHANDS: tuple[type[Operator], ...] = (Depthwise, Normalize)
"""Operators of the language that bind to another one; graphs and backends never see them."""

BY_NAME: dict[str, type[Operator]] = {op.name: op for op in (*OPERATORS, *SHORTHANDS)}
