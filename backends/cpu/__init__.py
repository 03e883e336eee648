"""The target `cpu`: native code through TVM. Nothing outside this folder knows TVM."""

from cnndsl.backends.cpu.backend import BACKEND

__all__ = ["BACKEND"]
