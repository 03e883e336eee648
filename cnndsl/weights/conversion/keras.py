"""Arrays of Keras and TensorFlow in the layouts and under the roles of this project.

    kernel            [*kernel, channels, filters]     weight [filters, channels, *kernel]
    kernel (dense)    [inputs, units]                  weight [units, inputs]
    depthwise_kernel  [*kernel, channels, multiplier]  weight [channels*multiplier, 1, *kernel]
    gamma, beta                                        weight, bias
    moving_mean, moving_variance                       running_mean, running_var
    alpha             [1, ..., channels]               weight [channels]

The kernels of transposed convolutions, [*kernel, filters, channels], follow the first rule too.
A separable convolution becomes two layers, `depthwise` and `pointwise`; a normalisation without
scale or centre gets ones or zeros.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.weights.conversion.layers import Shape

Array = NDArray[Any]

ROLES = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "pointwise_kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "alpha": "weight",
}
PARTS = {"depthwise_kernel": "depthwise.weight", "pointwise_kernel": "pointwise.weight"}
"""Roles of separable convolutions, as parts of their own."""


def is_keras(arrays: Mapping[str, Array]) -> bool:
    """Whether the names are those of Keras."""
    return any(_split(name)[1] in ("kernel", "depthwise_kernel") for name in arrays)


def converted(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays with the roles and layouts of this project; layers keep their names."""
    names = {_split(name) for name in arrays}
    result: dict[str, Array] = {}
    for full_name, array in arrays.items():
        layer, role = _split(full_name)
        separable = (layer, "pointwise_kernel") in names
        part = PARTS.get(role, f"pointwise.{role}") if separable else ROLES.get(role, role)
        result[f"{layer}.{part}"] = _channels_first(layer, role, array)
        if role == "moving_mean":
            for missing, value in (("gamma", 1.0), ("beta", 0.0)):
                if (layer, missing) not in names:
                    result[f"{layer}.{ROLES[missing]}"] = np.full(array.shape, value, np.float32)
    return result


def flattened_channels_first(weight: Array, kernel: Shape) -> Array:
    """A dense weight [units, H*W*C] as [units, C*H*W], for the kernel [units, C, H, W].

    Keras flattens with the channels last.
    """
    units, channels, *spatial = kernel
    maps = weight.reshape(units, *spatial, channels)
    return np.moveaxis(maps, -1, 1).reshape(weight.shape)


def _split(name: str) -> tuple[str, str]:
    """Layer and role of a name such as `block1/conv1/kernel:0`."""
    layer, _, role = name.partition(":")[0].replace("/", ".").rpartition(".")
    return layer, role


def _channels_first(layer: str, role: str, array: Array) -> Array:
    if array.ndim > 2 and (role == "depthwise_kernel" or _is_depthwise(layer, role)):
        *kernel, channels, multiplier = array.shape
        front = np.moveaxis(array, (-2, -1), (0, 1))
        return front.reshape(channels * multiplier, 1, *kernel)
    if role in ("kernel", "pointwise_kernel") and array.ndim >= 2:
        return np.moveaxis(array, (-1, -2), (0, 1))
    return array.reshape(-1) if role == "alpha" and array.size == array.shape[-1] else array


def _is_depthwise(layer: str, role: str) -> bool:
    """Keras 3 calls depthwise kernels `kernel` too; the layer's name tells."""
    return role == "kernel" and re.search("depthwise|dw", layer.rpartition(".")[2]) is not None
