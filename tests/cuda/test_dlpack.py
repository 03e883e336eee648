"""Tensors in and out through DLPack; numpy is the other library.

Memory of the emulated device is memory of the host, so its device is given the type of a CPU,
which numpy can read.
"""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda import BACKEND, dlpack
from cnndsl.backends.cuda.module import CudaModule
from cnndsl.diagnostics import CnnError
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.module import Array
from tests.cuda.emulator import Emulator
from tests.onnx.support import small_net
from tests.operators.cases import parameter_values

IMAGE = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


class OnDevice:
    """An array of another library: numpy's, which knows no streams."""

    def __init__(self, array: Array):
        self.array = array
        self.streams: list[Any] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def __dlpack__(self, *, stream: Any = None) -> Any:
        self.streams.append(stream)
        return self.array.__dlpack__()


@pytest.fixture(scope="module")
def module(emulator: Emulator) -> CudaModule:
    graph = optimise(small_net(), fusions=BACKEND.fusions)[0]
    return emulator.module(graph, parameter_values(graph, 0), 2)


@pytest.fixture(autouse=True)
def _device_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlpack, "FIRST_GPU", (1, 0))


def host_result(module: CudaModule, image: Array, monkeypatch: pytest.MonkeyPatch) -> Array:
    with monkeypatch.context() as patch:
        patch.setattr(dlpack, "FIRST_GPU", (2, 0))
        result = module(image)
    assert isinstance(result, np.ndarray)
    return result


def test_results_are_those_of_host_arrays(module: CudaModule, monkeypatch: pytest.MonkeyPatch):
    first, second = OnDevice(IMAGE.copy()), OnDevice(-IMAGE)
    results = [np.from_dlpack(module(first)), np.from_dlpack(module(image=second))]
    for result, image in zip(results, (IMAGE, -IMAGE), strict=True):
        np.testing.assert_array_equal(result, host_result(module, image, monkeypatch))
    assert first.streams == [module.session.stream.value]


def test_inputs_are_read_where_they_are(module: CudaModule):
    given = OnDevice(IMAGE.copy())
    found = dlpack.view("image", given, 1)
    assert found.address == given.array.ctypes.data
    assert found.shape == IMAGE.shape


def test_tensors_of_another_gpu_are_errors(module: CudaModule, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dlpack, "FIRST_GPU", (1, 1))
    with pytest.raises(CnnError, match="'image' is not on the first GPU"):
        module(OnDevice(IMAGE))


def test_memory_lives_as_long_as_a_library_needs_it(module: CudaModule):
    freed: list[int] = []
    numbers = np.arange(6, dtype=np.float32)
    array = dlpack.DeviceArray(numbers.ctypes.data, (2, 3), freed.append)
    taken = np.from_dlpack(array)
    ignored = array.__dlpack__()
    del array, ignored
    gc.collect()
    assert freed == []
    np.testing.assert_array_equal(taken, numbers.reshape(2, 3))
    del taken
    gc.collect()
    assert freed == [numbers.ctypes.data]
    assert not dlpack._lent


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (IMAGE.astype(np.float64), "is not float32"),
        (IMAGE[:, :, ::2], "is not dense"),
        (IMAGE[:1], "is 2x3x8x8, not 1x3x8x8"),
    ],
)
def test_unfit_tensors_are_errors(module: CudaModule, array: Array, message: str):
    with pytest.raises(CnnError, match=message):
        module(OnDevice(array))
