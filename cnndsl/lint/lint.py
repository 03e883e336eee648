"""What a lint says of a node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cnndsl.ir.graph import Graph, Node


@dataclass(frozen=True)
class Remark:
    """What is unwise about a node, and what could be done."""

    node: Node
    message: str
    hint: str


Lint: TypeAlias = Callable[[Graph], Iterator[Remark]]
