"""What a user may ask of device code for GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.runtime.options import PRECISION, CompileOptions, option


@dataclass(frozen=True)
class CudaOptions(CompileOptions):
    """Options of the target `cuda`.

    `arch`: the GPU to make code for, by nvcc's name. `precision`: what it stores and multiplies,
    f32, tf32 or f16. `graph`: whether it is given all launches of a call at once. `tune`: how many
    variants of each kernel `cnndsl tune` times at most, 0 stands for its default.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "int8": "no kernels compute on codes on GPUs; `--target onnx` makes models for TensorRT",
        "bf16": "there are no kernels in bf16 for GPUs, but in f16 and tf32",
    }

    arch: str = option("sm_90", "The GPU to make code for.")
    precision: str = option("f32", PRECISION, choices=("f32", "tf32", "f16"))
    graph: bool = option(True, "All launches of a call as one CUDA graph.", choices=("on", "off"))
    tune: int = 0
