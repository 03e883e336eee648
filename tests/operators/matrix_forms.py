"""Full convolution as multiplication by a matrix.

Source: Gray, Toeplitz and circulant matrices (2006), chapter 3; Jain, Fundamentals of digital
image processing (1989), chapter 2, for the doubly block circulant form.
"""

from __future__ import annotations

import numpy as np

from cnndsl.runtime.module import Array


def circulant(kernel: Array, length: int) -> Array:
    """The matrix of the full convolution with a kernel [M] of an input with N = `length` numbers.

    W[i,j] = w[(i-j) mod L], L = M+N-1, with w the kernel padded by zeros: W @ x, for an input x
    padded to L, is the full convolution.
    """
    size = len(kernel) + length - 1
    padded = np.pad(kernel, (0, size - len(kernel)))
    i, j = np.indices((size, size))
    return np.asarray(padded[(i - j) % size])


def doubly_block_circulant(kernel: Array, shape: tuple[int, int]) -> Array:
    """The matrix of the full convolution with a kernel [M, N] of images of the given shape.

    With the images padded to L1 x L2 = (M + rows - 1) x (N + columns - 1) and flattened row by
    row: W[(i1,i2), (j1,j2)] = k[(i1-j1) mod L1, (i2-j2) mod L2], k the kernel padded alike.
    """
    rows, columns = (k + n - 1 for k, n in zip(kernel.shape, shape, strict=True))
    padded = np.zeros((rows, columns), kernel.dtype)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    i1, i2, j1, j2 = np.indices((rows, columns, rows, columns))
    matrix = np.asarray(padded[(i1 - j1) % rows, (i2 - j2) % columns])
    return matrix.reshape(rows * columns, rows * columns)
