"""The target `cuda`: kernels for NVIDIA GPUs. No GPU and no driver are needed to compile."""

from cnndsl.backends.cuda.backend import BACKEND

__all__ = ["BACKEND"]
