"""Five algorithms for one convolution, which agree.

Each takes an image V [channels, rows, columns] and gives the cross-correlation
Z[i,j,k] = sum_{l,m,n} V[l, j+m, k+n] K[i,l,m,n] without padding, stride 1, of a kernel K
[filters, channels, m, n], as [filters, rows-m+1, columns-n+1].
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnndsl.runtime.module import Array


def direct(image: Array, kernel: Array) -> Array:
    """The formula: one scalar product for each output."""
    filters, _, m, n = kernel.shape
    rows, columns = _outputs(image, kernel)
    result: Array = np.empty((filters, rows, columns), np.result_type(image, kernel))
    for i, j, k in np.ndindex(*result.shape):
        result[i, j, k] = np.vdot(image[:, j : j + m, k : k + n], kernel[i])
    return result


def im2col(image: Array, kernel: Array) -> Array:
    """One matrix product: kernels as rows, windows as columns.

    Source: Chellapilla et al. (2006), High performance convolutional neural networks for document
    processing.
    """
    windows = sliding_window_view(image, kernel.shape[2:], axis=(1, 2))
    columns = windows.transpose(0, 3, 4, 1, 2).reshape(kernel[0].size, -1)
    result: Array = kernel.reshape(len(kernel), -1) @ columns
    return result.reshape(len(kernel), *_outputs(image, kernel))


def winograd(image: Array, kernel: Array) -> Array:
    """F(2x2, 3x3): 16 products instead of 36 for each tile of 2x2 outputs.

    Z = A^T [(G K G^T) * (B^T V B)] A. Source: Lavin and Gray (2016), Fast algorithms for
    convolutional neural networks, section 4.1. Raises ValueError unless the kernel is 3x3.
    """
    if kernel.shape[2:] != (3, 3):
        raise ValueError(f"F(2x2, 3x3) needs a 3x3 kernel, not {kernel.shape[2:]}")
    rows, columns = _outputs(image, kernel)
    even = np.pad(image, ((0, 0), (0, rows % 2), (0, columns % 2)))
    tiles = sliding_window_view(even, (4, 4), axis=(1, 2))[:, ::2, ::2]
    weight = _G @ kernel @ _G.T
    data = _B.T @ tiles @ _B
    products = np.einsum("ilxy,lpqxy->ipqxy", weight, data, optimize=True)
    blocks = _A.T @ products @ _A
    down, across = blocks.shape[1:3]
    result = blocks.transpose(0, 1, 3, 2, 4).reshape(len(kernel), 2 * down, 2 * across)
    return np.asarray(result[:, :rows, :columns])


_B = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]], dtype=np.float64)
_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]], dtype=np.float64)


def fft(image: Array, kernel: Array) -> Array:
    """Products of spectra: both padded to M+N-1, the kernel turned round.

    Source: Mathieu et al. (2014), Fast training of convolutional networks through FFTs.
    """
    m, n = kernel.shape[2:]
    size = (image.shape[1] + m - 1, image.shape[2] + n - 1)
    spectra = np.fft.rfft2(kernel[:, :, ::-1, ::-1], size) * np.fft.rfft2(image, size)
    full = np.fft.irfft2(spectra.sum(1), size)
    rows, columns = _outputs(image, kernel)
    return full[:, m - 1 : m - 1 + rows, n - 1 : n - 1 + columns]


def separable(image: Array, kernel: Array) -> Array:
    """A column pass and a row pass, for kernels that are outer products of vectors.

    w1*w2 multiplications for each output become w1+w2. Raises ValueError unless every K[i,l] has
    rank 1 (to a relative precision of 1e-10).
    """
    u, singular, v = np.linalg.svd(kernel)
    if (singular[..., 1:] > 1e-10 * singular[..., :1]).any():
        raise ValueError("the kernel is not an outer product of vectors")
    column = u[..., 0] * singular[..., :1]
    m, n = kernel.shape[2:]
    down = sliding_window_view(image, m, axis=1)
    passed = np.einsum("ljkm,ilm->iljk", down, column, optimize=True)
    across = sliding_window_view(passed, n, axis=3)
    return np.asarray(np.einsum("iljkn,iln->ijk", across, v[..., 0, :], optimize=True))


def _outputs(image: Array, kernel: Array) -> tuple[int, int]:
    return image.shape[1] - kernel.shape[2] + 1, image.shape[2] - kernel.shape[3] + 1
