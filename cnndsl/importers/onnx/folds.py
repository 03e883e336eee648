"""How each operator of ONNX is computed of constant arrays, some of which hold open sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from cnndsl.importers.onnx.ranges import slice_of, slices, split_sizes
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.tensors import ELEMENTS, FORMATS
from cnndsl.importers.onnx.values import Array

COMPUTED = 2**28
"""Numbers in an array that is computed."""

Fold: TypeAlias = Callable[[Site, list[Array]], Array | list[Array]]


def check_size(shape: Sequence[int], most: int = COMPUTED) -> None:
    """Raise Refusal for a shape that is none, or has more numbers than `most`."""
    if any(size < 0 for size in shape):
        raise damaged(f"an array has the shape {list(shape)[:16]}")
    if math.prod(shape) > most:
        raise Refusal("E0805", f"a constant has more than {most:,} numbers")


def _constant(site: Site, _: list[Array]) -> Array:
    attributes = site.step.attributes
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if name in attributes and attributes[name] is not None:
            dtype = np.float32 if "float" in name else np.int64
            value = attributes[name]
            return value if isinstance(value, np.ndarray) else np.asarray(value, dtype)
    raise unsupported("a constant that is no array of numbers")


def _constant_of_shape(site: Site, arrays: list[Array]) -> Array:
    value = site.attribute("value", np.ndarray, np.zeros(1, np.float32))
    if value.size != 1:
        raise damaged("its value is not one number")
    shape = _whole_list(arrays[0])
    check_size(shape, ELEMENTS)
    return np.broadcast_to(value.reshape(()), shape)


def _whole_list(array: Array) -> list[int]:
    if array.dtype == np.object_:
        raise unsupported("a shape is open", "give the inputs known sizes")
    if not np.issubdtype(array.dtype, np.integer) or array.size > 64:
        raise damaged("a shape or list of axes holds no whole numbers")
    return [int(size) for size in array.ravel()]


def _cast(site: Site, arrays: list[Array]) -> Array:
    target = site.whole("to")
    if target not in FORMATS:
        raise Refusal("E0802", "a cast to a format that is not read")
    name = FORMATS[target]
    (array,) = arrays
    if array.dtype == np.object_:
        if "int" in name:
            return array
        raise unsupported("an open size as a fraction", "give the inputs known sizes")
    return array.astype("float32" if name == "bfloat16" else name)


def _divide(_: Site, arrays: list[Array]) -> Array:
    """Whole numbers are divided towards zero."""
    a, b = arrays
    if a.dtype == np.object_ or b.dtype == np.object_:
        return np.asarray(a // b, np.object_)
    if np.issubdtype(a.dtype, np.integer):
        if not b.all():
            raise damaged("it divides by zero")
        quotient: Array = (np.sign(a) * np.sign(b)) * (np.abs(a) // np.abs(b))
        return quotient.astype(a.dtype)
    return np.asarray(a / b)


def _gather(site: Site, arrays: list[Array]) -> Array:
    data, indices = arrays
    axis = site.axis(data.ndim, 0)
    size = data.shape[axis]
    if not np.issubdtype(indices.dtype, np.integer):
        raise damaged("its indices are no whole numbers")
    if ((indices < -size) | (indices >= size)).any():
        raise damaged("an index is outside its axis")
    check_size((*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :]))
    return np.take(data, indices % size if size else indices, axis)


def _slice(site: Site, arrays: list[Array]) -> Array:
    (data, *_) = arrays
    result = data
    for axis, start, end, step in slices(site, data.ndim):
        result = result[(slice(None),) * axis + (slice_of(start, end, step),)]
    return result


def _concat(site: Site, arrays: list[Array]) -> Array:
    axis = site.axis(arrays[0].ndim, 0)
    check_size([sum(a.size for a in arrays)])
    return np.concatenate(arrays, axis)


def _split(site: Site, arrays: list[Array]) -> list[Array]:
    data = arrays[0]
    axis = site.axis(data.ndim, 0)
    bounds = np.cumsum(split_sizes(site, data.shape[axis]))[:-1]
    return list(np.split(data, bounds, axis))


def _unsqueeze(site: Site, arrays: list[Array]) -> Array:
    given = site.integers("axes") or site.whole_numbers(1)
    rank = arrays[0].ndim + len(given)
    if rank > 16:
        raise damaged(f"an array of {rank} axes")
    return np.expand_dims(arrays[0], tuple(site.checked_axes(given, rank)))


def _squeeze(site: Site, arrays: list[Array]) -> Array:
    axes = site.axes(1, arrays[0].ndim)
    return np.squeeze(arrays[0], None if axes is None else tuple(axes))


def _reshape(site: Site, arrays: list[Array]) -> Array:
    data = arrays[0]
    shape = _whole_list(arrays[1])
    if not site.whole("allowzero"):
        shape = [data.shape[i] if n == 0 and i < data.ndim else n for i, n in enumerate(shape)]
    return data.reshape(shape)


def _flatten(site: Site, arrays: list[Array]) -> Array:
    data = arrays[0]
    axis = site.whole("axis", 1) % (data.ndim + 1) if data.ndim else 0
    return data.reshape(math.prod(data.shape[:axis]), -1)


def _transpose(site: Site, arrays: list[Array]) -> Array:
    order = site.integers("perm", arrays[0].ndim)
    return np.transpose(arrays[0], None if order is None else site.checked_axes(order, len(order)))


def _expand(_: Site, arrays: list[Array]) -> Array:
    shape = np.broadcast_shapes(arrays[0].shape, tuple(_whole_list(arrays[1])))
    check_size(shape, ELEMENTS)
    return np.broadcast_to(arrays[0], shape)


def _tile(_: Site, arrays: list[Array]) -> Array:
    repeats = _whole_list(arrays[1])
    check_size([n * r for n, r in zip(arrays[0].shape, repeats, strict=True)])
    return np.tile(arrays[0], repeats)


def _clip(site: Site, arrays: list[Array]) -> Array:
    """Limits are operands, some of which are left out, or attributes of floats."""
    if site.opset < 11:
        low, high = (site.attribute(name, float, None) for name in ("min", "max"))
    else:
        low, high = (site.array(i) if site.has(i) else None for i in (1, 2))
    if low is None and high is None:
        return arrays[0]
    return np.clip(arrays[0], low, high).astype(arrays[0].dtype)


def _batch_norm(site: Site, arrays: list[Array]) -> Array:
    """Of weights, which are standardised by their own numbers."""
    data, *others = arrays
    rest = (0, *range(2, data.ndim))
    column = (-1, *(1,) * (data.ndim - 2))
    scale, bias, mean, variance = (array.reshape(column) for array in others)
    if site.whole("training_mode"):
        mean, variance = (f(data, axis=rest, keepdims=True) for f in (np.mean, np.var))
    spread = np.sqrt(variance + site.number("epsilon", 1e-5))
    made: Array = (data - mean) / spread * scale + bias
    return made.astype(data.dtype)


def _cumulative(site: Site, arrays: list[Array]) -> Array:
    data, axes = arrays
    if site.whole("exclusive") or site.whole("reverse"):
        raise unsupported("it goes backwards, or leaves out the number itself")
    (axis,) = site.checked_axes(_whole_list(axes), data.ndim)
    return np.cumsum(data, axis, dtype=data.dtype)


def _dequantised(site: Site, arrays: list[Array]) -> Array:
    """(codes - zero) * scale, by tensor or by index of an axis."""
    codes, scale, *zeros = arrays
    zero = zeros[0] if zeros else np.zeros_like(scale, codes.dtype)
    if site.whole("block_size") or scale.ndim > 1 or zero.size != scale.size:
        raise unsupported("its scales are for blocks")
    if not np.issubdtype(codes.dtype, np.integer) or codes.dtype != zero.dtype:
        raise damaged("its codes or zero points are no whole numbers of one format")
    column = [1] * codes.ndim
    if scale.ndim and scale.size > 1:
        axis = site.axis(codes.ndim, 1)
        column[axis] = codes.shape[axis]
    steps = codes.astype(np.int64) - zero.astype(np.int64).reshape(column)
    return steps.astype(np.float32) * scale.astype(np.float32).reshape(column)


def _quantised(site: Site, arrays: list[Array]) -> Array:
    """Codes of constants, as exporters leave them to runtimes: round(x / scale) + zero, clipped."""
    x, scale, *zeros = arrays
    zero = zeros[0] if zeros else np.zeros_like(scale, np.uint8)
    if site.whole("block_size") or scale.ndim > 1 or zero.size != scale.size:
        raise unsupported("its scales are for blocks")
    if not np.issubdtype(zero.dtype, np.integer) or site.whole("output_dtype"):
        raise unsupported("its codes are of another format")
    column = [1] * x.ndim
    if scale.ndim and scale.size > 1:
        axis = site.axis(x.ndim, 1)
        column[axis] = x.shape[axis]
    steps = np.rint(x.astype(np.float32) / scale.astype(np.float32).reshape(column))
    limits = np.iinfo(zero.dtype)
    codes = steps.astype(np.float64) + zero.astype(np.float64).reshape(column)
    clipped: Array = np.clip(np.nan_to_num(codes), limits.min, limits.max)
    return clipped.astype(zero.dtype)


def _range(_: Site, arrays: list[Array]) -> Array:
    start, limit, step = (array.ravel()[0] for array in arrays)
    if not step:
        raise damaged("a range with steps of 0")
    check_size([max(0, math.ceil((float(limit) - float(start)) / float(step)))])
    return np.arange(start, limit, step, dtype=arrays[0].dtype)


def _reduced(function: Callable[..., Any]) -> Fold:
    def fold(site: Site, arrays: list[Array]) -> Array:
        axes = site.axes(1, arrays[0].ndim)
        keep = bool(site.whole("keepdims", 1))
        return np.asarray(
            function(arrays[0], axis=None if axes is None else tuple(axes), keepdims=keep)
        ).astype(arrays[0].dtype)

    return fold


def _elementwise(function: Callable[..., Any]) -> Fold:
    """A function of numpy, in the format of the last operand."""

    def fold(_: Site, arrays: list[Array]) -> Array:
        if any(a.dtype == np.object_ for a in arrays):
            return np.asarray(function(*(a.astype(np.object_) for a in arrays)), np.object_)
        return np.asarray(function(*arrays)).astype(arrays[-1].dtype, copy=False)

    return fold


def _comparison(function: Callable[..., Any]) -> Fold:
    def fold(_: Site, arrays: list[Array]) -> Array:
        return np.asarray(function(*arrays)).astype(bool)

    return fold


FOLDS: dict[str, Fold] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "CumSum": _cumulative,
    "DequantizeLinear": _dequantised,
    "QuantizeLinear": _quantised,
    "Cast": _cast,
    "Identity": lambda _, arrays: arrays[0],
    "Dropout": lambda _, arrays: arrays[0],
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Split": _split,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "ReduceMean": _reduced(np.mean),
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Div": _divide,
    "Add": _elementwise(lambda a, b: a + b),
    "Sub": _elementwise(lambda a, b: a - b),
    "Mul": _elementwise(lambda a, b: a * b),
    "Pow": lambda _, arrays: np.power(*arrays).astype(arrays[0].dtype, copy=False),
    "Mod": _elementwise(np.mod),
    "Max": _elementwise(lambda *a: np.max(np.broadcast_arrays(*a), 0)),
    "Min": _elementwise(lambda *a: np.min(np.broadcast_arrays(*a), 0)),
    "Neg": _elementwise(lambda a: -a),
    "Abs": _elementwise(np.abs),
    "Sqrt": _elementwise(np.sqrt),
    "Exp": _elementwise(np.exp),
    "Log": _elementwise(np.log),
    "Sin": _elementwise(np.sin),
    "Cos": _elementwise(np.cos),
    "Sigmoid": _elementwise(lambda a: 1 / (1 + np.exp(-a))),
    "Reciprocal": _elementwise(np.reciprocal),
    "Floor": _elementwise(np.floor),
    "Ceil": _elementwise(np.ceil),
    "Round": _elementwise(np.round),
    "Tanh": _elementwise(np.tanh),
    "Equal": _comparison(np.equal),
    "Greater": _comparison(np.greater),
    "Less": _comparison(np.less),
    "GreaterOrEqual": _comparison(np.greater_equal),
    "LessOrEqual": _comparison(np.less_equal),
    "Not": _comparison(np.logical_not),
    "And": _comparison(np.logical_and),
    "Or": _comparison(np.logical_or),
    "Where": _elementwise(np.where),
}
"""What is computed of constants."""
