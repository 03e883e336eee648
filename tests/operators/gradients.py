"""Gradients of a strided convolution, for one sample and any number of axes.

For Z[i,j,k] = sum_{l,m,n} V[l, j*s1+m, k*s2+n] K[i,l,m,n] and the gradient G of a loss with
respect to Z. Source: Goodfellow et al., Deep Learning (2016), section 9.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndsl.backends.numpy.kernels.types import last_axes, taps
from cnndsl.runtime.module import Array


def kernel_gradient(
    inputs: Array, gradient: Array, kernel: Sequence[int], stride: Sequence[int]
) -> Array:
    """g[i,l,m,n] = sum_{j,k} G[i,j,k] V[l, j*s1+m, k*s2+n].

    `inputs` is V [channels, *spatial], `gradient` is G [filters, *outputs]; returns
    [filters, channels, *kernel].
    """
    filters, *outputs = gradient.shape
    result = np.zeros((filters, len(inputs), *kernel), np.result_type(inputs, gradient))
    rows = gradient.reshape(filters, -1)
    for offset, tap in taps(inputs, outputs, kernel, stride, (1,) * len(kernel)):
        last_axes(result, offset)[...] = rows @ tap.reshape(len(inputs), -1).T
    return result


def input_gradient(
    gradient: Array, weight: Array, spatial: Sequence[int], stride: Sequence[int]
) -> Array:
    """h[l,j,k] = sum of G[i,j',k'] K[i,l,m,n] over all j'*s1+m = j and k'*s2+n = k.

    `gradient` is G [filters, *outputs], `weight` is K [filters, channels, *kernel], `spatial` the
    size of V; returns [channels, *spatial].
    """
    filters, channels, *kernel = weight.shape
    result = np.zeros((channels, *spatial), np.result_type(gradient, weight))
    columns = gradient.reshape(filters, -1)
    for offset, target in taps(result, gradient.shape[1:], kernel, stride, (1,) * len(kernel)):
        product = last_axes(weight, offset).T @ columns
        target += product.reshape(target.shape)
    return result
