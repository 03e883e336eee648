"""NVIDIA's driver API through ctypes: all that a machine with a GPU needs besides Python.

Source: CUDA driver API reference. Names with _v2 are what its headers make of the plain ones.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from ctypes import c_char_p, c_int, c_size_t, c_uint, c_void_p
from typing import Any

from cnndsl.backends.cuda.machine import require_arch
from cnndsl.diagnostics import CnnError

LIBRARY = "libcuda.so.1"
OUT_OF_MEMORY = 2
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
"""Device attributes."""
MAX_DYNAMIC_SHARED = 8
"""The function attribute: bytes that a launch may ask for."""
STATIC_SHARED = 48 * 1024
"""Bytes of shared memory that a launch may have without asking first."""
NON_BLOCKING = 1
"""The stream flag: no waiting for the default stream."""
CAPTURE_THREAD_LOCAL = 1
INSTALL = "an NVIDIA driver brings it; see `nvidia-smi`"

Function = c_void_p
Stream = c_void_p


class Driver:
    """The library, with errors as CnnError: E0742 no driver, E0744 memory, E0745 any other.

    What is made is given back when `held` is closed.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError:
            raise CnnError.of(
                "E0742", f"no NVIDIA driver on this machine ({LIBRARY})", hint=INSTALL
            ) from None
        status = self._library.cuInit(c_uint(0))
        count = c_int()
        if status or self._library.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
            raise CnnError.of(
                "E0742", f"no NVIDIA GPU can be used here ({self._reason(status)})", hint=INSTALL
            )

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver. Raises CnnError unless it succeeds."""
        status = getattr(self._library, name)(*arguments)
        if status == OUT_OF_MEMORY:
            raise CnnError.of(
                "E0744",
                "the GPU has too little free memory for the module",
                hint="compile it with a smaller --batch, or free memory (`nvidia-smi`)",
            )
        if status:
            raise CnnError.of("E0745", f"{name} failed: {self._reason(status)}")

    def _reason(self, status: int) -> str:
        text = c_char_p()
        self._library.cuGetErrorString(c_int(status), ctypes.byref(text))
        return (text.value or b"no device").decode()

    def context(self) -> c_void_p:
        """The primary context of the first GPU, which other libraries share."""
        device, context = c_int(), c_void_p()
        self.call("cuDeviceGet", ctypes.byref(device), c_int(0))
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        return context

    def enter(self, context: c_void_p) -> None:
        """Make a context that of this thread."""
        self.call("cuCtxSetCurrent", context)

    def capability(self) -> tuple[int, int]:
        """The GPU's compute capability."""
        values = []
        for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR):
            value = c_int()
            self.call("cuDeviceGetAttribute", ctypes.byref(value), c_int(attribute), c_int(0))
            values.append(value.value)
        return values[0], values[1]

    def allocate(self, size: int) -> int:
        """Device memory, until it is freed."""
        address = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(address), c_size_t(max(size, 1)))
        return address.value

    def free(self, address: int) -> None:
        """Give device memory back."""
        self.call("cuMemFree_v2", ctypes.c_uint64(address))

    def allocate_host(self, size: int, held: ExitStack) -> int:
        """Memory of the host that the GPU can copy by itself."""
        address = c_void_p()
        self.call("cuMemAllocHost_v2", ctypes.byref(address), c_size_t(max(size, 1)))
        held.callback(self.call, "cuMemFreeHost", address)
        return address.value or 0

    def clear(self, address: int, size: int) -> None:
        """Zeros in device memory."""
        self.call("cuMemsetD8_v2", ctypes.c_uint64(address), ctypes.c_ubyte(0), c_size_t(size))

    def upload(self, target: int, source: int, size: int, stream: Stream | None = None) -> None:
        """Copy to the device; with a stream, in its order."""
        arguments = (ctypes.c_uint64(target), c_void_p(source), c_size_t(size))
        if stream is None:
            self.call("cuMemcpyHtoD_v2", *arguments)
        else:
            self.call("cuMemcpyHtoDAsync_v2", *arguments, stream)

    def download(self, target: int, source: int, size: int, stream: Stream) -> None:
        """Copy from the device, in the order of a stream."""
        self.call(
            "cuMemcpyDtoHAsync_v2",
            c_void_p(target),
            ctypes.c_uint64(source),
            c_size_t(size),
            stream,
        )

    def load(self, cubin: bytes, held: ExitStack) -> c_void_p:
        """Device code, ready to run."""
        module = c_void_p()
        self.call("cuModuleLoadData", ctypes.byref(module), cubin)
        held.callback(self.call, "cuModuleUnload", module)
        return module

    def function(self, module: c_void_p, name: str) -> Function:
        """A kernel of loaded code."""
        function = Function()
        self.call("cuModuleGetFunction", ctypes.byref(function), module, name.encode())
        return function

    def allow_shared(self, function: Function, size: int) -> None:
        """Let launches of a kernel have that many bytes of shared memory."""
        if size > STATIC_SHARED:
            self.call("cuFuncSetAttribute", function, c_int(MAX_DYNAMIC_SHARED), c_int(size))

    def stream(self, held: ExitStack) -> Stream:
        """A stream of its own."""
        stream = Stream()
        self.call("cuStreamCreate", ctypes.byref(stream), c_uint(NON_BLOCKING))
        held.callback(self.call, "cuStreamDestroy_v2", stream)
        return stream

    def launch(
        self,
        function: Function,
        grid: tuple[int, int, int],
        threads: int,
        shared: int,
        stream: Stream,
        pointers: Sequence[int],
    ) -> None:
        """Launch a kernel whose one argument is a struct of pointers."""
        argument = (c_void_p * len(pointers))(*pointers)
        table = (c_void_p * 1)(ctypes.addressof(argument))
        sizes = [c_uint(n) for n in (*grid, threads, 1, 1, shared)]
        self.call("cuLaunchKernel", function, *sizes, stream, table, None)

    def capture(self, stream: Stream, work: Callable[[], None]) -> c_void_p:
        """What `work` gives to a stream as a graph that can be launched, instead of done."""
        graph, executable = c_void_p(), c_void_p()
        self.call("cuStreamBeginCapture_v2", stream, c_int(CAPTURE_THREAD_LOCAL))
        try:
            work()
        finally:
            self.call("cuStreamEndCapture", stream, ctypes.byref(graph))
        self.call(
            "cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_uint64(0)
        )
        self.call("cuGraphDestroy", graph)
        return executable

    def launch_graph(self, executable: c_void_p, stream: Stream) -> None:
        """All recorded work once more."""
        self.call("cuGraphLaunch", executable, stream)

    def destroy_graph(self, executable: c_void_p) -> None:
        """Give a graph back."""
        self.call("cuGraphExecDestroy", executable)

    def synchronise(self, stream: Stream) -> None:
        """Wait until a stream has nothing left to do."""
        self.call("cuStreamSynchronize", stream)

    def finish(self) -> None:
        """Wait for the whole device: streams of their own do not wait for copies outside them."""
        self.call("cuCtxSynchronize")

    def event(self, held: ExitStack) -> c_void_p:
        """A mark in a stream that has a time."""
        event = c_void_p()
        self.call("cuEventCreate", ctypes.byref(event), c_uint(0))
        held.callback(self.call, "cuEventDestroy_v2", event)
        return event

    def record(self, event: c_void_p, stream: Stream) -> None:
        """Put a mark behind what the stream has been given."""
        self.call("cuEventRecord", event, stream)

    def seconds(self, first: c_void_p, last: c_void_p) -> float:
        """Time between two marks that have been passed."""
        milliseconds = ctypes.c_float()
        self.call("cuEventElapsedTime", ctypes.byref(milliseconds), first, last)
        return milliseconds.value / 1e3


class Device:
    """The first GPU, and a stream on it. What it `held` is given back when nothing refers to it.

    Raises CnnError: E0742 without a GPU, E0743 if code for the architecture does not run there.
    """

    def __init__(self, arch: str):
        self._driver = driver = Driver()
        self._context = driver.context()
        driver.enter(self._context)
        require_arch(arch, driver.capability())
        self._held = ExitStack()
        weakref.finalize(self, _release, driver, self._context, self._held)
        self.stream = driver.stream(self._held)

    def _allocate(self, size: int) -> int:
        """Device memory that is held."""
        address = self._driver.allocate(size)
        self._held.callback(self._driver.free, address)
        return address


def _release(driver: Driver, context: c_void_p, held: ExitStack) -> None:
    driver.enter(context)
    held.close()
