"""Trained weights for an edited network: those that stay, and low-rank factors of kernels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Node
from cnndsl.runtime.module import Array


@dataclass(frozen=True)
class Factors:
    """A kernel [filters, channels, *positions] as two, and the relative error of their product.

    `first` is [rank, channels, h, 1], `second` [filters, rank, 1, w]. The error is the Frobenius
    norm of what is lost over that of the kernel.
    """

    first: Array
    second: Array
    error: float


def factorise_kernel(kernel: Array, rank: int) -> Factors:
    """The best factors of a rank: K[o,i,y,x] = sum_r second[o,r,x] first[r,i,y].

    With one axis, and for 1x1 kernels, `second` has a single position. The truncated singular
    value decomposition of the matrix [(i,y), (o,x)] is the best in the Frobenius norm (Eckart
    and Young 1936). Raises ValueError if the matrix has no such rank.
    """
    axes = kernel.ndim - 2
    height, width = (*kernel.shape[2:], 1)[:2]
    filters, channels = kernel.shape[:2]
    cube = np.asarray(kernel, np.float64).reshape(filters, channels, height, width)
    matrix = cube.transpose(1, 2, 0, 3).reshape(channels * height, filters * width)
    if rank > min(matrix.shape):
        raise ValueError(f"a rank of {rank} is over the full rank of {min(matrix.shape)}")
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    root = np.sqrt(values[:rank])
    first = (left[:, :rank] * root).T.reshape(rank, channels, height, 1)
    second = (root[:, None] * right[:rank]).reshape(rank, filters, 1, width).transpose(1, 0, 2, 3)
    total = np.linalg.norm(values)
    error = float(np.linalg.norm(values[rank:]) / total) if total else 0.0
    if axes == 1:
        return Factors(first[..., 0], second[..., 0], error)
    return Factors(first, second, error)


@dataclass(frozen=True)
class Heir:
    """A node of the old network, and those in its place; `rank` if they are low-rank factors."""

    old: Node
    new: list[Node]
    rank: int | None = None


def carry(
    heirs: Iterable[Heir], values: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, float]]:
    """The arrays of the new network by name, and the error of each factorised kernel by path.

    `values` has an array for every parameter of the old network. Layers that are to be trained
    anew get none. Raises CnnError (E0621) if a rank is too large for a kernel.
    """
    arrays: dict[str, Array] = {}
    errors: dict[str, float] = {}
    for heir in heirs:
        found = {role: values[p.name] for role, p in _parameters(heir.old).items()}
        first, last = _parameters(heir.new[0]), _parameters(heir.new[-1])
        if heir.rank is not None:
            try:
                factors = factorise_kernel(found["weight"], heir.rank)
            except ValueError as error:
                raise CnnError.of("E0621", f"{heir.old.name}: {error}") from None
            errors[heir.old.name] = factors.error
            arrays[first["weight"].name] = factors.first
            found["weight"] = factors.second
        elif len(heir.new) > 1 or any(found[role].shape != p.shape for role, p in last.items()):
            continue
        arrays |= {parameter.name: found[role] for role, parameter in last.items()}
    return {name: array.astype(np.float32) for name, array in arrays.items()}, errors


def _parameters(node: Node) -> dict[str, Parameter]:
    """The parameters of a node as written, by role."""
    return {role: e for role, e in node.params.items() if isinstance(e, Parameter)}
