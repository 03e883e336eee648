"""The ONNX backend: a checked model of standard operators, run by onnxruntime."""

from cnndsl.backends.onnx.backend import BACKEND

__all__ = ["BACKEND"]
