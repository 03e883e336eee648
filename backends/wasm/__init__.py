"""WebAssembly: the kernels of CPUs in 128-bit vectors, with a page that shows them at work."""

from cnndsl.backends.wasm.backend import BACKEND

__all__ = ["BACKEND"]
