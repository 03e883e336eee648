"""The operators: one file for each family, and their one list."""

from __future__ import annotations

from cnndsl.ir.operator import Operator
from cnndsl.ir.operators.convolution import Conv
from cnndsl.ir.operators.structure import Identity, Input

OPERATORS: tuple[type[Operator], ...] = (
    Input,
    Identity,
    Conv,
)
"""Every operator. Backends and tests walk this list, so that none can lack an operator."""

BY_NAME: dict[str, type[Operator]] = {operator.name: operator for operator in OPERATORS}
