"""The operators: one file for each family. The registry is what the files define."""

from __future__ import annotations

from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    activation,
    attention,
    backward,
    channels,
    constant,
    convolution,
    dense,
    elementary,
    formats,
    join,
    local,
    normalisation,
    pooling,
    positions,
    resize,
    shape,
    squeeze_excite,
    structure,
    training,
    transposed,
)
from cnndsl.ir.operators.activation import *
from cnndsl.ir.operators.attention import *
from cnndsl.ir.operators.backward import *
from cnndsl.ir.operators.bases import *
from cnndsl.ir.operators.channels import *
from cnndsl.ir.operators.constant import *
from cnndsl.ir.operators.convolution import *
from cnndsl.ir.operators.dense import *
from cnndsl.ir.operators.elementary import *
from cnndsl.ir.operators.formats import *
from cnndsl.ir.operators.join import *
from cnndsl.ir.operators.local import *
from cnndsl.ir.operators.normalisation import *
from cnndsl.ir.operators.pooling import *
from cnndsl.ir.operators.positions import *
from cnndsl.ir.operators.resize import *
from cnndsl.ir.operators.shape import *
from cnndsl.ir.operators.squeeze_excite import *
from cnndsl.ir.operators.structure import *
from cnndsl.ir.operators.training import *
from cnndsl.ir.operators.transposed import *

ALL: tuple[type[Operator], ...] = tuple(
    operator
    for module in (
        *(structure, convolution, transposed, local, pooling, normalisation, constant, dense),
        *(activation, elementary, channels, join, attention, shape, positions, resize, training),
        squeeze_excite,
    )
    for operator in family(module)
)

SHORTHANDS = tuple(op for op in ALL if issubclass(op, Shorthand))
"""Operators of the language that bind to another one; graphs and backends never see them."""

INTERNAL = tuple(op for op in ALL if op.internal)
"""Operators that passes put into a graph; the language has no word for them."""

OPERATORS = tuple(op for op in ALL if op not in (*SHORTHANDS, *INTERNAL))
"""Every operator of the language that a graph can hold. Backends and tests walk this list, so
that none can lack an operator."""

FORMATS: tuple[type[Operator], ...] = family(formats)
"""Operators that passes put into graphs of other formats than float32, for backends that take
them."""

BACKWARD: tuple[type[Operator], ...] = family(backward)
"""Operators that differentiation puts into graphs, for backends that take them."""

BY_NAME: dict[str, type[Operator]] = {op.name: op for op in (*OPERATORS, *SHORTHANDS)}
