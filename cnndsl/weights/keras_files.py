"""Weights that Keras saved: `.h5` of all its versions, `.keras` and `.weights.h5` of Keras 3.

The arrays are named `layer/role`, as `kernel` or `moving_mean`. Keras 3 numbers the variables of a
layer; its class tells their roles, and for normalisations the model's configuration which of scale
and centre there are. Nothing but numbers is read: no pickles, no links to other files.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.arrays import BROKEN_ZIP
from cnndsl.runtime.files import DamagedError
from cnndsl.weights.buffers import Array, Weights, widened

if TYPE_CHECKING:
    import h5py

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MEMBER = "model.weights.h5"
CONFIG = "config.json"
EXPANSION = 64
"""How often larger than the file its arrays and members may be, beside a free amount."""
FREE = 1 << 20

HEAP = re.compile(rb"GCOL\x01\0\0\0(.{8})", re.DOTALL)
"""The head of a collection of a global heap, with its size."""

CHANCE = 1 << 16
"""Objects of what only looks like a collection: numbers that happen to be such bytes."""

ROLES = (
    (r"separable_conv\dd", ("depthwise_kernel", "pointwise_kernel", "bias")),
    (r"depthwise_conv\dd", ("depthwise_kernel", "bias")),
    (r"conv\dd(_transpose)?|dense", ("kernel", "bias")),
    (r"batch_normalization", ("gamma", "beta", "moving_mean", "moving_variance")),
    (r"layer_normalization|group_normalization", ("gamma", "beta")),
    (r"p_re_lu", ("alpha",)),
)
"""By Keras' names of classes the roles of a layer's variables, in their order."""


def is_keras_zip(path: Path) -> bool:
    """Whether a zip archive is a model of Keras 3."""
    try:
        with zipfile.ZipFile(path) as archive:
            return MEMBER in archive.namelist()
    except BROKEN_ZIP:
        return False


def read_keras(path: Path) -> Weights:
    """The arrays of a `.keras` archive. Raises DamagedError, and CnnError without h5py."""
    try:
        with zipfile.ZipFile(path) as archive:
            if any(archive.namelist().count(name) > 1 for name in (MEMBER, CONFIG)):
                raise DamagedError("it holds one name twice")
            unpacked = sum(archive.getinfo(name).file_size for name in (MEMBER, CONFIG))
            if unpacked > EXPANSION * path.stat().st_size + FREE:
                raise DamagedError("what it holds is far larger than the file")
            configs = dict(_configs(json.loads(archive.read(CONFIG))))
            content = archive.read(MEMBER)
    except DamagedError:
        raise
    except (*BROKEN_ZIP, RecursionError):
        raise DamagedError("it is cut off, or no model of Keras") from None
    _check_heaps(content)
    return _read(io.BytesIO(content), len(content), configs)


def read_h5(path: Path) -> Weights:
    """The arrays of an HDF5 file. Raises DamagedError, and CnnError without h5py."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        _check_heaps(content)
    return _read(path, path.stat().st_size, {})


def _check_heaps(content: bytes | mmap) -> None:
    """Raise DamagedError for a heap that the HDF5 library would walk through for ever.

    HDF5 file format specification 3.0, III.E: objects follow one another, number 0 is free space.
    Collections do not overlap: all together have no more objects than the file has room for.
    """
    left = len(content) // 16 + CHANCE
    for head in HEAP.finditer(content):
        place, end = head.end(), head.start() + int.from_bytes(head[1], "little")
        while place + 16 <= min(end, len(content)):
            number, size = struct.unpack_from("<H6xQ", content, place)
            length = 16 + -(-size // 8) * 8 if number else size
            if not 16 <= length <= end - place:
                raise DamagedError("a heap of it is damaged")
            place += length
            left -= 1
        if left < 0:
            raise DamagedError("its heaps overlap")


def _read(file: Path | io.BytesIO, size: int, configs: Mapping[str, Any]) -> Weights:
    try:
        import h5py
    except ImportError:
        raise CnnError.of(
            "E0418",
            "weights of Keras are read with h5py, which is not installed",
            hint="pip install 'cnndsl[keras]'",
        ) from None
    try:
        with h5py.File(file, "r") as root:
            root = root.get("model_weights", root)
            named = _legacy(root) if "layer_names" in root.attrs else _numbered(root, configs)
            found, left = Weights(), EXPANSION * size + FREE
            for name, data in named:
                left -= data.size * data.dtype.itemsize
                if left < 0:
                    raise DamagedError("it claims more numbers than it can hold")
                if name in found:
                    raise DamagedError(f"it has {name} twice")
                found[name] = _numbers(data)
            return found
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise DamagedError(str(error).partition("\n")[0][:200]) from None


def _legacy(root: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    """Layers with the names of their weights as attributes: Keras 1, 2, and `.h5` of Keras 3."""
    for layer in map(_text, root.attrs["layer_names"]):
        for weight in map(_text, root[layer].attrs["weight_names"]):
            role = weight.rpartition("/")[2].partition(":")[0]
            yield f"{_scope(layer, weight)}/{role}", _dataset(root[layer], weight)


def _scope(layer: str, weight: str) -> str:
    """The layer that a weight is of: models inside models have weights of several."""
    inside = weight.rpartition("/")[0].split("/")
    return layer if not inside[0] or inside[0] == layer else "/".join((layer, *inside))


def _numbered(
    root: h5py.Group, configs: Mapping[str, Any], scope: str = ""
) -> Iterator[tuple[str, h5py.Dataset]]:
    """Groups `layers/conv2d_1/vars` with the variables by their numbers: Keras 3."""
    for key in root:
        if key == "optimizer":
            continue
        if hasattr(root.get(key, getlink=True), "filename"):
            raise DamagedError("it links to another file")
        inside = root[key]
        if key == "vars" or not hasattr(inside, "keys"):
            continue
        own = inside.get("vars")
        name = _text(own.attrs["name"]) if own is not None and "name" in own.attrs else key
        path = scope if key == "layers" else f"{scope}/{name}".strip("/")
        if own is not None and len(own):
            roles = _roles(re.sub(r"_\d+$", "", key), len(own), configs.get(name, {}), path)
            for index, role in enumerate(roles):
                yield f"{path}/{role}", _dataset(own, str(index))
        yield from _numbered(inside, configs, path)


def _roles(kind: str, count: int, config: Mapping[str, Any], layer: str) -> tuple[str, ...]:
    """The roles of a layer's variables, by its class and, if known, what it is made with."""
    roles: tuple[str, ...] = next((r for k, r in ROLES if re.fullmatch(k, kind)), ())
    absent = {
        role
        for role, switch in (("gamma", "scale"), ("beta", "center"), ("bias", "use_bias"))
        if config.get(switch) is False
    }
    roles = tuple(role for role in roles if role not in absent)
    if count < len(roles):
        if roles[-1] == "bias":
            roles = roles[:-1]
        elif count == len(roles) - 2:
            roles = roles[2:]
    if count == len(roles):
        return roles
    if roles:
        raise DamagedError(f"{layer} does not tell which variables it has; save it as .keras")
    return tuple(map(str, range(count)))


def _configs(config: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The configurations of all layers, by name."""
    if isinstance(config, dict):
        inner = config.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            yield inner["name"], inner
        for value in config.values():
            yield from _configs(value)
    elif isinstance(config, list):
        for value in config:
            yield from _configs(value)


def _dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    link = group.get(name, getlink=True)
    data = group[name]
    if hasattr(link, "filename") or data.external or data.is_virtual:
        raise DamagedError("it links to another file")
    return data


def _numbers(data: h5py.Dataset) -> Array:
    if data.dtype.kind not in "fiu" or data.shape is None:
        raise DamagedError(f"{data.name} holds {data.dtype}")
    return widened(np.asarray(data[()]))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
